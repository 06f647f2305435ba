"""Joins encoded segments and the source's sound to one file, bit by bit the same every time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet

from simswap.errors import MediaError
from simswap.files import replaced
from simswap.video.output.animation import write_animation
from simswap.video.output.audio import TREATMENTS, add_audio
from simswap.video.output.losses import picture_losses
from simswap.video.output.texts import add_texts
from simswap.video.output.writing import Encoding
from simswap.video.source.container import naming_failures, opened
from simswap.video.source.info import VideoInfo

Seal = Callable[[Path], tuple[str, ...]]


def join_segments(
    segments: Sequence[Path],
    info: VideoInfo,
    first: int,
    end: int,
    encoding: Encoding,
    output: Path,
    *,
    metadata: Mapping[str, str],
    seal: Seal = lambda part: (),
) -> tuple[str, ...]:
    """Write `output` from the encoded frames `first` to `end` - 1 and the source's sound.

    segments: in order, together exactly these frames. metadata: the container's tags, see
    label.video_metadata; nothing of the source's own tags (place, camera, date) is taken over. The
    same segments give the same bytes, up to what `seal` does: it gets the whole file before that
    stands under the output's name, may change it, and returns notices.
    Returns notices in plain words. Raises MediaError if the segments do not fit or the output
    cannot be written.
    """
    delay = _check(segments, end - first)
    notices = tuple(picture_losses(info, encoding))
    with naming_failures(output), replaced(output, durable=True) as part:
        if encoding.is_animation:
            write = partial(write_animation, segments, info, (first, end), encoding.format)
            return notices + write(part, metadata) + seal(part)
        mux = partial(_mux, segments, info, (first, end), encoding, part, delay, metadata)
        return notices + _mux_somehow(mux, info) + seal(part)


def _check(segments: Sequence[Path], num_frames: int) -> int:
    """The greatest delay, in frames, between a frame's place in the file and on the screen."""
    delay, count, headers = 0, 0, set()
    for segment in segments:
        with opened(segment) as container:
            headers.add(container.streams.video[0].codec_context.extradata)
        ranks = _ranks(segment)
        count += len(ranks)
        delay = max(delay, int((np.arange(len(ranks)) - ranks).max(initial=0)))
    if count != num_frames:
        raise MediaError(
            f"The job's segments hold {count} frames instead of {num_frames}. Start the job anew."
        )
    if len(headers) > 1:
        raise MediaError("The job's segments were written with different settings. Start it anew.")
    return delay


def _ranks(segment: Path) -> np.ndarray:
    """Place on the screen of each packet of a segment, in the file's order, [n]."""
    with opened(segment) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    return np.argsort(np.argsort(np.array(times, np.int64)))


def _mux_somehow(mux: Callable[[str], tuple[str, ...]], info: VideoInfo) -> tuple[str, ...]:
    """Hours of work must not be lost to a damaged sound track: try less of it each time.

    mux: writes the result, with one of TREATMENTS of the sound.
    """
    has_others = info.has_audio or info.num_subtitles or info.num_chapters
    for treatment in TREATMENTS:
        try:
            return mux(treatment)
        except FFmpegError as error:
            # A full disk stays full; pictures alone that cannot be written are past help.
            if isinstance(error, OSError) or treatment == TREATMENTS[-1] or not has_others:
                raise
    raise AssertionError("the last treatment returns or raises")


def _mux(
    segments: Sequence[Path],
    info: VideoInfo,
    span: tuple[int, int],
    encoding: Encoding,
    part: Path,
    delay: int,
    metadata: Mapping[str, str],
    treatment: str,
) -> tuple[str, ...]:
    options = {"fflags": "+bitexact"}
    if encoding.format in ("mp4", "mov"):
        # The scale is that of start times, which players round to: 1 ms by default.
        options |= {"movflags": "+faststart", "movie_timescale": "90000"}
    with ExitStack() as stack:
        container = stack.enter_context(
            av.open(str(part), "w", format=encoding.container, options=options)
        )
        container.metadata.update(metadata)
        template = stack.enter_context(opened(segments[0])).streams.video[0]
        stream = container.add_stream_from_template(template)
        stream.time_base = info.time_base
        if encoding.is_high_range and encoding.format != "mkv":
            stream.codec_context.codec_tag = "hvc1"  # QuickTime plays no other
        shift = _shift(info, span[0])
        video = _video_packets(segments, info, span, delay, stream, shift)
        audio, notices = add_audio(container, info, span, shift, treatment, stack)
        texts, more = (
            (iter(()), ())
            if treatment == "drop"
            else add_texts(container, info, span, shift, stack)
        )
        if treatment == "drop" and (info.num_subtitles or info.num_chapters):
            more = ("The subtitles and chapters are damaged and are dropped.",)
        notices += more
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
        ranks, base = _ranks(segment), number
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
