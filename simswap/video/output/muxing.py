"""Writes one file of encoded segments and of the source's sound, texts and chapters.

Where the source has any of these, a decoding process does it: only there a stranger's file is
opened.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet

from simswap.errors import CostlyVideoError, CrowdedError
from simswap.video.output.audio import TREATMENTS, add_audio
from simswap.video.output.texts import add_texts
from simswap.video.output.writing import Encoding
from simswap.video.source.container import naming_failures, opened
from simswap.video.source.decoding import process
from simswap.video.source.decoding.child import Piece
from simswap.video.source.info import VideoInfo, VideoRequest
from simswap.video.source.limits import usual_memory

_SECONDS = 30.0  # of processor time for any film, and more for a large one
_BYTES_PER_SECOND = 10_000_000  # a tenth of what a slow disk takes
_TRIES = 3  # where others' files leave too little memory
_MAX_TOLD = 100_000  # bytes of notices


@dataclass(frozen=True, eq=False)
class MuxRequest(VideoRequest):
    """A file is to be written at `part`, which stands for `output` until it is done.

    segments: in order. span: the frames of the source that they hold, the last exclusive. delay: in
    frames, the greatest between a frame's place in the file and on the screen. metadata: tags.
    treatments: of the sound, each for where the one before fails.
    """

    segments: Sequence[Path]
    info: VideoInfo
    span: tuple[int, int]
    encoding: Encoding
    delay: int
    metadata: Mapping[str, str]
    part: Path
    output: Path
    treatments: Sequence[str] = TREATMENTS

    num_pieces = 1
    usual_memory = usual_memory(0)

    @property
    def piece_seconds(self) -> float:
        """Of processor time, for all of it."""
        num_bytes = self.info.path.stat().st_size
        num_bytes += sum(segment.stat().st_size for segment in self.segments)
        return _SECONDS + num_bytes / _BYTES_PER_SECOND

    seconds_each = piece_seconds

    def pieces(self) -> Iterator[Piece]:
        """The notices, once the file is written."""
        try:
            yield 0, json.dumps(self.write()).encode()
        finally:
            process.end_idle()  # that have decoded its sound

    def room(self, size: int) -> bytearray | None:
        """Of the notices."""
        return bytearray(size) if size <= _MAX_TOLD else None

    def write(self) -> tuple[str, ...]:
        """Write the file here, and return notices.

        Hours of work must not be lost to a damaged sound track: less of it is tried each time.
        Raises MediaError if it cannot be written.
        """
        with naming_failures(self.output):
            for treatment in self.treatments:
                try:
                    return self._mux(treatment)
                except FFmpegError as error:
                    # A full disk stays full; pictures alone that cannot be written are past help.
                    is_last = treatment == self.treatments[-1]
                    if isinstance(error, OSError) or is_last or not has_others(self.info):
                        raise
        raise AssertionError("the last treatment returns or raises")

    def _mux(self, treatment: str) -> tuple[str, ...]:
        options = {"fflags": "+bitexact"}
        if self.encoding.format in ("mp4", "mov"):
            # The scale is that of start times, which players round to: 1 ms by default.
            options |= {"movflags": "+faststart", "movie_timescale": "90000"}
        with ExitStack() as stack:
            container = stack.enter_context(
                av.open(str(self.part), "w", format=self.encoding.container, options=options)
            )
            container.metadata.update(self.metadata)
            template = stack.enter_context(opened(self.segments[0])).streams.video[0]
            stream = container.add_stream_from_template(template)
            stream.time_base = self.info.time_base
            if self.encoding.is_high_range and self.encoding.format != "mkv":
                stream.codec_context.codec_tag = "hvc1"  # QuickTime plays no other
            shift = _shift(self.info, self.span[0])
            video = _video_packets(self.segments, self.info, self.span, self.delay, stream, shift)
            audio, notices = add_audio(container, self.info, self.span, shift, treatment, stack)
            texts, more = (
                (iter(()), ())
                if treatment == "drop"
                else add_texts(container, self.info, self.span, shift)
            )
            if treatment == "drop" and (self.info.num_subtitles or self.info.num_chapters):
                more = (
                    "The subtitles and chapters are damaged, or take too much, and are dropped.",
                )
            notices += more
            # Now, as a header that fails with a packet of sound would seem to be that packet's
            # fault, and writing it once more ends the process.
            container.start_encoding()
            num_lost = 0
            for packet in heapq.merge(video, audio, texts, key=_decoding_second):
                try:
                    container.mux_one(packet)
                except InvalidDataError:
                    if packet.stream is stream:
                        raise
                    num_lost += 1  # a damaged packet of the source's sound or subtitles
        if num_lost:
            notices += (f"{num_lost} damaged pieces of the sound or the subtitles are left out.",)
        return notices


def mux(request: MuxRequest) -> tuple[str, ...]:
    """Write a file as `MuxRequest.write` does, in a decoding process if the source is needed."""
    if not has_others(request.info):
        return request.write()
    for tries_left in reversed(range(_TRIES)):
        try:
            with closing(process.answers_of(request)) as answers:
                ((_, told),) = answers
                return tuple(json.loads(told))
        except CrowdedError:
            if not tries_left:
                raise
        except CostlyVideoError:  # which must not lose hours of work either
            break
    return replace(request, treatments=TREATMENTS[-1:]).write()  # for which it is not opened


def has_others(info: VideoInfo) -> bool:
    """Whether a source has more than pictures."""
    return bool(info.has_audio or info.num_subtitles or info.num_chapters)


def ranks_of(segment: Path) -> np.ndarray:
    """Place on the screen of each packet of a segment, in the file's order, [n]."""
    with opened(segment) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    return np.argsort(np.argsort(np.array(times, np.int64)))


def _shift(info: VideoInfo, first: int) -> Fraction:
    """Seconds taken off all times: a trimmed video starts at 0, a whole one where it did."""
    if first == 0:
        return info.origin
    return int(info.frame_times[first]) * info.time_base


def _decoding_second(packet: Packet) -> float:
    return float(packet.dts * packet.time_base)


def _video_packets(
    segments: Sequence[Path],
    info: VideoInfo,
    span: tuple[int, int],
    delay: int,
    stream: object,
    shift: Fraction,
) -> Iterator[Packet]:
    """The segments' packets with the source's times, and decoding times that fit all of them.

    A packet is decoded when the frame `delay` before it in the file's order is shown: never
    later than its own time, and ascending across segments, whatever the frames' distances.
    """
    times = np.append(info.frame_times, info.end_time) - round(shift / info.time_base)
    number = span[0]
    step = int(times[span[0] + 1] - times[span[0]])
    for segment in segments:
        ranks, base = ranks_of(segment), number
        with opened(segment) as container:
            packets = (packet for packet in container.demux(video=0) if packet.size)
            for packet, rank in zip(packets, ranks, strict=True):
                shown, before = base + int(rank), number - delay
                early = max(0, span[0] - before)
                packet.stream = stream
                packet.time_base = info.time_base
                packet.pts = int(times[shown])
                packet.dts = int(times[max(before, span[0])]) - early * step
                packet.duration = int(times[shown + 1] - times[shown])
                number += 1
                yield packet
