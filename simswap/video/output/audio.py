"""The source's sound on its way to the result: copied where that can be, else encoded anew."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from simswap.video.output.tracks import take_over
from simswap.video.source.container import is_decoded, opened, packets_of
from simswap.video.source.info import VideoInfo

# What a container may hold and players then play.
_PLAYED = {"aac", "mp3", "ac3", "eac3", "alac"}
_PCM = {"pcm_s16le", "pcm_s24le"}
_COPIED = {
    "mp4": _PLAYED | {"opus", "flac"},
    "mov": _PLAYED | _PCM,
    "matroska": _PLAYED | _PCM | {"opus", "flac", "vorbis"},
    "webm": {"opus", "vorbis"},
}
MAX_TRACKS = 8  # of sound that are kept; for each of them the file is read once
_AAC_KINDS = {1, 2, 5, 29}  # Main, LC, HE and HE of version 2
_AAC_RATES = 13  # that are told by a number
_FLAC_HEADER_BYTES = 34
# What may be outside of the pictures' time; files can hold hours of it in a few bytes.
_LEAD_SECONDS = 10  # before the first picture
_TAIL_SECONDS = 1  # after the last
_PACKETS_PER_SECOND = 1000  # Opus of 2.5 ms has 400, Vorbis' short blocks 750
_SKIPPED = "skip_samples"  # how much of a packet's sound is not played: numbers only
TREATMENTS = ("copy", "encode", "drop")  # each for where the one before fails
_AAC, _OPUS = ("aac", "AAC"), ("libopus", "Opus")
_ENCODERS = {"mp4": _AAC, "mov": _AAC, "matroska": _AAC, "webm": _OPUS}
_RATES = {_AAC: {44100, 32000, 24000, 22050, 16000}, _OPUS: {24000, 16000}}
_USUAL_RATE = 48000
_BITS_PER_CHANNEL = 96_000  # per second: hard to tell from the original, with either codec


def add_audio(
    output: OutputContainer,
    info: VideoInfo,
    span: tuple[int, int],
    shift: Fraction,
    treatment: str,
    stack: ExitStack,
) -> tuple[Iterator[Packet], tuple[str, ...]]:
    """Add the source's sound for frames span[0] to span[1] - 1 to a file being written.

    Whole packets are kept, so that a cut falls up to a packet (some 20 ms) beside the frame; what
    sounds when stays exact. shift: seconds to take off all times. treatment: "copy" it where the
    container takes it, "encode" it in any case, or "drop" it. stack: closes the source.
    Returns the packets to write, ascending, and notices.
    """
    if not info.has_audio:
        return iter(()), ()
    if treatment == "drop":
        return iter(()), (f"The sound ({info.audio_codec}) is damaged and is dropped.",)
    tracks, told = [], []
    with opened(info.path, info.max_pixels) as source:
        numbers = [stream.index for stream in source.streams.audio]
    for count, number in enumerate(numbers, start=1):
        if count > MAX_TRACKS:
            told.append(f"Of {len(numbers)} sound tracks the first {MAX_TRACKS} are kept.")
            break
        # Each is read by itself, as they lie one behind the other in some files.
        source = stack.enter_context(opened(info.path, info.max_pixels))
        which = "The sound" if len(numbers) == 1 else f"Sound track {count}"
        track = source.streams[number]
        num_before = len(output.streams.audio)
        packets, notices = _add_track(output, source, track, which, info, span, shift, treatment)
        if len(numbers) > 1 and len(output.streams.audio) > num_before:
            take_over(track, output.streams.audio[-1])  # by which people choose
        tracks.append(packets)
        told += notices
    return heapq.merge(*tracks, key=_decoded_at), tuple(dict.fromkeys(told))


def _decoded_at(packet: Packet) -> Fraction:
    return packet.dts * packet.time_base


def _add_track(
    output: OutputContainer,
    source: InputContainer,
    stream: AudioStream,
    which: str,
    info: VideoInfo,
    span: tuple[int, int],
    shift: Fraction,
    treatment: str,
) -> tuple[Iterator[Packet], tuple[str, ...]]:
    """One track; see add_audio. which: its name in notices."""
    if stream.codec_context is None:
        return iter(()), (f"{which} is of an unknown kind and is dropped.",)
    start, end = _seconds(info, span)
    told, codec = (), stream.codec_context.codec.canonical_name
    stop = Fraction((source.start_time or 0) + (source.duration or 0), 1_000_000)
    if span[1] == info.num_frames and stop > end:
        told = (f"The sound ends {_TAIL_SECONDS} s after the last picture, where it went on.",)
    packets = _packets(source, stream, start, end, is_cut=span[0] > 0)
    container_format = output.format.name
    is_taken = codec in _COPIED[container_format]
    is_plain = _is_plain(codec, stream.codec_context.extradata or b"")
    if treatment == "copy" and is_taken and is_plain:
        if codec == "opus" and container_format == "mp4":
            told += (f"{which} (Opus) is kept as it is; QuickTime may not play it in an MP4.",)
        return _copied(packets, output.add_stream_from_template(stream), stream, shift), told
    if not is_decoded(stream):
        return iter(()), (f"{which} ({codec}) is of a rare kind and is dropped.",)
    added = _add_encoder(output, stream, container_format)
    name = _ENCODERS[container_format][1]
    why = (
        "its header may hold a name"
        if is_taken
        else f"{container_format} does not take it as it is"
    )
    notice = f"{which} ({codec}) is encoded anew as {name}: {why}."
    before, after = stream.codec_context.layout.nb_channels, added.layout.nb_channels
    if after < before:
        notice += f" Its {before} channels become {after}."
    return _encoded(packets, added, shift, end - start), (*told, notice)


def _is_plain(codec: str, header: bytes) -> bool:
    """Whether a codec's header, which is copied with the sound, has room for what it must say only.

    Vorbis' header never has: it holds the tags of the sound, who made it and its title.
    """
    if not header:
        return codec != "vorbis"
    if codec == "aac":
        if not 2 <= len(header) <= 5:
            return False
        bits = int.from_bytes(header[:2], "big")
        kind, rate, channels = bits >> 11, bits >> 7 & 15, bits >> 3 & 15
        return kind in _AAC_KINDS and rate < _AAC_RATES and 1 <= channels <= 7
    if codec == "mp3":  # what an AVI says of it
        return len(header) == 12 and header[:2] == b"\1\0" and header[3:6] == bytes(3)
    if codec == "opus":
        return _is_plain_opus(header)
    if codec == "flac":
        return len(header) == _FLAC_HEADER_BYTES
    return codec == "alac" and len(header) == 36 and header[:12] == b"\0\0\0\x24alac" + bytes(4)


def _is_plain_opus(header: bytes) -> bool:
    if len(header) < 19 or header[:9] != b"OpusHead\1":
        return False
    channels, family = header[9], header[18]
    if family == 0:
        return len(header) == 19 and 1 <= channels <= 2
    return family == 1 and 1 <= channels <= 8 and len(header) == 21 + channels


def _add_encoder(
    output: OutputContainer, stream: AudioStream, container_format: str
) -> AudioStream:
    rate = stream.codec_context.sample_rate
    encoder = _ENCODERS[container_format]
    is_known = rate in _RATES[encoder]
    added = output.add_stream(encoder[0], rate=rate if is_known else _USUAL_RATE)
    added.layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
    added.bit_rate = _BITS_PER_CHANNEL * added.layout.nb_channels
    added.codec_context.thread_count = 1
    return added


def _seconds(info: VideoInfo, span: tuple[int, int]) -> tuple[Fraction, Fraction]:
    """Where the sound begins and ends, in the file's seconds: with the pictures, or near them."""
    times, first, end = info.frame_times, *span
    start, stop = int(times[first]) * info.time_base, info.end_time * info.time_base + _TAIL_SECONDS
    if first == 0:
        start -= _LEAD_SECONDS
    if end < len(times):
        stop = int(times[end]) * info.time_base
    return start, stop


def _packets(
    source: InputContainer,
    stream: AudioStream,
    start: Fraction,
    end: Fraction,
    *,
    is_cut: bool,
) -> Iterator[Packet]:
    """Packets that sound between start and end. is_cut: that is not the file's own beginning."""
    most = int((end - start) * _PACKETS_PER_SECOND)
    base, newest = stream.time_base, None
    try:
        if is_cut:
            source.seek(int(start / base), stream=stream, backward=True)
        for packet in packets_of(source, stream):
            if packet.size == 0 or packet.pts is None or packet.is_corrupt:
                continue
            # No container takes times that run backwards, as they do in damaged files.
            if newest is not None and packet.pts <= newest:
                continue
            if (packet.pts + max(packet.duration or 0, 1)) * base <= start:
                continue
            if packet.pts * base >= end or most <= 0:
                return
            newest = packet.pts
            most -= 1
            yield packet
    except FFmpegError:
        return  # the file breaks off here, as its list of frames has told


def _copied(
    packets: Iterator[Packet], copy: AudioStream, stream: AudioStream, shift: Fraction
) -> Iterator[Packet]:
    """The packets' sound and times, and nothing else that the file says beside them."""
    offset = round(shift / stream.time_base)
    for packet in packets:
        plain = Packet(bytes(packet))
        plain.stream, plain.time_base = copy, packet.time_base
        plain.pts = plain.dts = packet.pts - offset
        plain.duration, plain.is_keyframe = packet.duration, packet.is_keyframe
        if packet.has_sidedata(_SKIPPED):
            plain.set_sidedata(packet.get_sidedata(_SKIPPED))
        yield plain


def _encoded(
    packets: Iterator[Packet], stream: AudioStream, shift: Fraction, most: Fraction
) -> Iterator[Packet]:
    """most: seconds of sound, as a packet may hold more than its time tells."""
    seconds = Fraction(0)
    for frame in _frames(packets):
        seconds += Fraction(frame.samples, frame.sample_rate)
        if seconds > most + _TAIL_SECONDS:
            break
        frame.pts -= round(shift / frame.time_base)
        yield from stream.encode(frame)
    yield from stream.encode()


def _frames(packets: Iterator[Packet]) -> Iterator[AudioFrame]:
    for packet in packets:
        try:
            yield from (frame for frame in packet.decode() if frame.pts is not None)
        except FFmpegError:
            continue  # a click in the sound, no reason to lose the video
