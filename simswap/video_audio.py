"""The source's sound on its way to the result: copied where that can be, else encoded anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from simswap.video_files import is_decoded, opened, packets_of
from simswap.video_info import VideoInfo

# What a container may hold and players then play.
_COPIED = {
    "mp4": {"aac", "mp3", "ac3", "eac3", "alac", "opus", "flac"},
    "webm": {"opus", "vorbis"},
}
TREATMENTS = ("copy", "encode", "drop")  # each for where the one before fails
_ENCODERS = {"mp4": ("aac", "AAC"), "webm": ("libopus", "Opus")}
_RATES = {"mp4": {44100, 32000, 24000, 22050, 16000}, "webm": {24000, 16000}}
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
    source = stack.enter_context(opened(info.path))
    stream = source.streams.best("audio")
    packets = _packets(source, stream, *_seconds(info, span))
    container_format = output.format.name
    if treatment == "copy" and info.audio_codec in _COPIED[container_format]:
        return _copied(packets, output.add_stream_from_template(stream), stream, shift), ()
    if not is_decoded(stream):
        return iter(()), (f"The sound ({info.audio_codec}) is of a rare kind and is dropped.",)
    added = _add_encoder(output, stream, container_format)
    name = _ENCODERS[container_format][1]
    notice = f"The sound ({info.audio_codec}) is encoded anew as {name}: {container_format} "
    return _encoded(packets, added, shift), (notice + "does not take it as it is.",)


def _add_encoder(
    output: OutputContainer, stream: AudioStream, container_format: str
) -> AudioStream:
    rate = stream.codec_context.sample_rate
    added = output.add_stream(
        _ENCODERS[container_format][0],
        rate=rate if rate in _RATES[container_format] else _USUAL_RATE,
    )
    added.layout = "mono" if stream.codec_context.layout.nb_channels == 1 else "stereo"
    added.bit_rate = _BITS_PER_CHANNEL * added.layout.nb_channels
    added.codec_context.thread_count = 1
    return added


def _seconds(info: VideoInfo, span: tuple[int, int]) -> tuple[Fraction | None, Fraction | None]:
    """Where the sound is cut, in the file's seconds; None where it is left as it is."""
    times, first, end = info.frame_times, *span
    start = int(times[first]) * info.time_base if first > 0 else None
    stop = int(times[end]) * info.time_base if end < len(times) else None
    return start, stop


def _packets(
    source: InputContainer, stream: AudioStream, start: Fraction | None, end: Fraction | None
) -> Iterator[Packet]:
    """Packets that sound between start and end."""
    base, newest = stream.time_base, None
    try:
        if start is not None:
            source.seek(int(start / base), stream=stream, backward=True)
        for packet in packets_of(source, stream):
            if packet.size == 0 or packet.pts is None or packet.is_corrupt:
                continue
            # No container takes times that run backwards, as they do in damaged files.
            if newest is not None and packet.pts <= newest:
                continue
            if start is not None and (packet.pts + max(packet.duration or 0, 1)) * base <= start:
                continue
            if end is not None and packet.pts * base >= end:
                return
            newest = packet.pts
            yield packet
    except FFmpegError:
        return  # the file breaks off here, as its list of frames has told


def _copied(
    packets: Iterator[Packet], copy: AudioStream, stream: AudioStream, shift: Fraction
) -> Iterator[Packet]:
    offset = round(shift / stream.time_base)
    for packet in packets:
        packet.stream = copy
        packet.pts -= offset
        packet.dts = packet.pts
        yield packet


def _encoded(packets: Iterator[Packet], stream: AudioStream, shift: Fraction) -> Iterator[Packet]:
    for frame in _frames(packets):
        frame.pts -= round(shift / frame.time_base)
        yield from stream.encode(frame)
    yield from stream.encode()


def _frames(packets: Iterator[Packet]) -> Iterator[AudioFrame]:
    for packet in packets:
        try:
            yield from (frame for frame in packet.decode() if frame.pts is not None)
        except FFmpegError:
            continue  # a click in the sound, no reason to lose the video
