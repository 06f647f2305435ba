"""The source's sound on its way to the result: copied where that can be, else encoded anew."""

from __future__ import annotations

import heapq
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.packet import Packet

from simswap.video.output.sound import (
    SKIPPED,
    TAIL_SECONDS,
    SoundRequest,
    copied_apart,
    encoded_apart,
    packets_between,
)
from simswap.video.output.tracks import take_over
from simswap.video.source.container import is_decoded, opened
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
# Before the first picture; TAIL_SECONDS after the last. Files can hold hours of it in a few bytes.
_LEAD_SECONDS = 10
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
    container takes it, "encode" it in any case, or "drop" it. stack: closes the files that keep it.
    Returns the packets to write, ascending, and notices.
    """
    if not info.has_audio:
        return iter(()), ()
    if treatment == "drop":
        return iter(()), (
            f"The sound ({info.audio_codec}) is damaged, or takes too much, and is dropped.",
        )
    with opened(info.path, info.max_pixels) as source:
        numbers = [stream.index for stream in source.streams.audio]
    way = _Way(output, info, span, shift, treatment == "copy", stack, info.path.stat().st_size)
    tracks, told = [], []
    for count, number in enumerate(numbers[:MAX_TRACKS], start=1):
        which = "The sound" if len(numbers) == 1 else f"Sound track {count}"
        # Each is read by itself, as they lie one behind the other in some files, and the list of
        # all packets, which may take much memory, is there while a file is open.
        with opened(info.path, info.max_pixels) as source:
            num_before = len(output.streams.audio)
            packets, notices = way.add(source, source.streams[number], which)
            if len(numbers) > 1 and len(output.streams.audio) > num_before:
                take_over(source.streams[number], output.streams.audio[-1])  # for people's choice
        tracks.append(packets)
        told += notices
    if len(numbers) > MAX_TRACKS:
        told.append(f"Of {len(numbers)} sound tracks the first {MAX_TRACKS} are kept.")
    return heapq.merge(*tracks, key=_decoded_at), tuple(dict.fromkeys(told))


def _decoded_at(packet: Packet) -> Fraction:
    return packet.dts * packet.time_base


@dataclass
class _Way:
    """Where the source's tracks go; see add_audio.

    may_copy: where the container takes it. left: bytes that copied tracks may have together, which
    are not more than the source's: it may tell of the same ones in each.
    """

    output: OutputContainer
    info: VideoInfo
    span: tuple[int, int]
    shift: Fraction
    may_copy: bool
    stack: ExitStack
    left: int

    def add(
        self, source: InputContainer, stream: AudioStream, which: str
    ) -> tuple[Iterator[Packet], tuple[str, ...]]:
        """Add one track; which: its name in notices."""
        if stream.codec_context is None:
            return iter(()), (f"{which} is of an unknown kind and is dropped.",)
        start, end = _seconds(self.info, self.span)
        told, codec = (), stream.codec_context.codec.canonical_name
        stop = Fraction((source.start_time or 0) + (source.duration or 0), 1_000_000)
        if self.span[1] == self.info.num_frames and stop > end:
            told = (f"The sound ends {TAIL_SECONDS} s after the last picture, where it went on.",)
        container_format = self.output.format.name
        is_taken = codec in _COPIED[container_format]
        is_plain = _is_plain(codec, stream.codec_context.extradata or b"")
        if self.may_copy and is_taken and is_plain:
            if codec == "opus" and container_format == "mp4":
                told += (f"{which} (Opus) is kept as it is; QuickTime may not play it in an MP4.",)
            return self._copied(source, stream, start, end), told
        if not is_decoded(stream):
            return iter(()), (f"{which} ({codec}) is of a rare kind and is dropped.",)
        packets, name, lost = self._encoded(stream, start, end)
        why = (
            "its header may hold a name"
            if is_taken
            else f"{container_format} does not take it as it is"
        )
        return packets, (*told, f"{which} ({codec}) is encoded anew as {name}: {why}.{lost}")

    def _copied(
        self, source: InputContainer, stream: AudioStream, start: Fraction, end: Fraction
    ) -> Iterator[Packet]:
        copy, store = self.output.add_stream_from_template(stream), self._store()
        packets = packets_between(source, stream, start, end, is_cut=self.span[0] > 0)
        plain = _copied(packets, copy, stream, self.shift)
        kept, num_bytes = copied_apart(plain, copy, store, self.left)
        self.left -= num_bytes
        return kept

    def _encoded(
        self, stream: AudioStream, start: Fraction, end: Fraction
    ) -> tuple[Iterator[Packet], str, str]:
        """The packets, the format's name, and which channels are lost."""
        added = _add_encoder(self.output, stream, self.output.format.name)
        before, after = stream.codec_context.layout.nb_channels, added.layout.nb_channels
        request = SoundRequest(
            *(self.info.path, self.info.max_pixels, stream.index),
            *(start, end, self.span[0] > 0, self.shift),
            *(added.codec_context.codec.name, added.format.name),
            *(added.rate, added.layout.name, added.bit_rate),
        )
        lost = f" Its {before} channels become {after}." if after < before else ""
        packets = encoded_apart(request, added, self._store())
        return packets, _ENCODERS[self.output.format.name][1], lost

    def _store(self) -> BinaryIO:
        folder = Path(self.output.name).parent
        return self.stack.enter_context(tempfile.TemporaryFile(dir=folder))


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
    start, stop = int(times[first]) * info.time_base, info.end_time * info.time_base + TAIL_SECONDS
    if first == 0:
        start -= _LEAD_SECONDS
    if end < len(times):
        stop = int(times[end]) * info.time_base
    return start, stop


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
        if packet.has_sidedata(SKIPPED):
            plain.set_sidedata(packet.get_sidedata(SKIPPED))
        yield plain
