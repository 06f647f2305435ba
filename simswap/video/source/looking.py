"""What a decoding process finds out of a video file; see `info.LookRequest`."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from simswap.errors import MediaError
from simswap.files import printable
from simswap.video.source.animation import (
    TIME_BASE,
    look_at_animation,
    plays_of_gif,
)
from simswap.video.source.container import (
    films,
    holds_too_much,
    is_too_large,
    naming_damage,
    opened,
    packets_of,
    picture_stream,
)
from simswap.video.source.frame_lists import FrameList, check_count, list_frames
from simswap.video.source.info import VideoInfo
from simswap.video.source.limits import OPENING_SECONDS, VideoLimits
from simswap.video.source.losses import losses_of
from simswap.video.source.picture.colour import STANDARD, colour_of
from simswap.video.source.picture.orientation import orientation_of
from simswap.video.source.structure.kinds import is_animation

MAX_TAGS = 1000  # and chapters; libav's time to read them grows with their number's square
_PROBED_PACKETS = 500  # how far a first frame that can be decoded is looked for
_MAX_TAG = 10_000  # characters of a tag that are looked at
# Clocks that start anywhere; the others' zero is the video's own.
_FREE_CLOCKS = {"mpegts", "mpeg", "asf", "flv"}


def read_tags(path: Path, limits: VideoLimits) -> list[str]:
    """The texts that a file's tags hold, or their beginnings.

    Opening it ends this process if that takes too long. Raises MediaError if it cannot be opened,
    or has too many tags.
    """
    if is_animation(path):
        return []
    with ExitStack() as stack:
        with _ending(OPENING_SECONDS):
            container = stack.enter_context(opened(path, limits.max_pixels))
        chapters = container.chapters()
        holders = [container.metadata, *(stream.metadata for stream in container.streams)]
        holders += [chapter["metadata"] for chapter in chapters]
        if sum(map(len, holders)) + len(chapters) > MAX_TAGS:
            raise MediaError(
                f"{printable(path.name)} has more than {MAX_TAGS} tags and chapters, which takes "
                "too much time to read. Convert it to an ordinary MP4 first."
            )
        return [text[:_MAX_TAG] for text in container.metadata.values()]


@contextmanager
def _ending(seconds: float) -> Iterator[None]:
    """The process ends if the block takes so much of its time."""
    has_timer = hasattr(signal, "setitimer")  # not on Windows
    if has_timer:
        signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        if has_timer:
            signal.setitimer(signal.ITIMER_PROF, 0)


def look_through(path: Path, limits: VideoLimits) -> VideoInfo:
    """What a video holds, read and decoded here."""
    info = _of_animation(path, limits) if is_animation(path) else _of_film(path, limits)
    if limits.max_seconds is not None and info.duration > limits.max_seconds:
        raise MediaError(
            f"{printable(path.name)} is {info.duration:.1f} s long; at most "
            f"{limits.max_seconds:g} s are taken. Cut it first."
        )
    return info


def _of_film(path: Path, limits: VideoLimits) -> VideoInfo:
    name = printable(path.name)
    with naming_damage(path):
        with opened(path, limits.max_pixels) as container:
            stream = picture_stream(container, name)
            pixels = stream.codec_context.width * stream.codec_context.height
            if pixels > limits.max_pixels:
                size = f"{stream.codec_context.width}x{stream.codec_context.height}"
                raise MediaError(
                    f"{name} has frames of {size} ({pixels / 1e6:.3g} megapixels); at most "
                    f"{limits.max_pixels / 1e6:.3g} are taken. Scale it down first."
                )
            check_count(stream.frames, limits, name)
            frame = _first_frame(container, stream, name, limits.max_pixels)
        # Opened anew: a stream that has been decoded is not always wound back cleanly.
        with opened(path, limits.max_pixels) as container:
            stream = picture_stream(container, name)
            frames = list_frames(container, stream, limits, name)
            if frames is None:
                raise MediaError(f"{name} has no frames. Give a video with at least one.")
            return _describe(path, container, stream, frame, frames, limits)


def _of_animation(path: Path, limits: VideoLimits) -> VideoInfo:
    found = look_at_animation(path, limits)
    return VideoInfo(
        path=path,
        max_pixels=limits.max_pixels,
        max_reach=limits.max_reach,
        max_memory=limits.memory,
        width=found.size[0],
        height=found.size[1],
        rotation=0,
        is_mirrored=False,
        time_base=TIME_BASE,
        frame_times=found.frames.times,
        end_time=found.frames.end,
        key_frames=found.frames.key_frames,
        origin=Fraction(0),
        frame_rate=_frame_rate(TIME_BASE, found.frames),
        codec=found.codec,
        colour=STANDARD,
        bit_depth=8,
        is_interlaced=False,
        sample_aspect=Fraction(1),
        has_audio=False,
        audio_codec=None,
        notices=found.notices,
        num_plays=found.num_plays,
    )


def _first_frame(
    container: InputContainer, stream: VideoStream, name: str, max_pixels: int
) -> VideoFrame:
    """The first frame that can be decoded: only it tells pixel format, rotation and fields."""
    num_packets = 0
    packets = packets_of(container, stream)
    while num_packets < _PROBED_PACKETS:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            num_packets += packet.size > 0
            frames = packet.decode()
        except av.error.MemoryError:
            raise
        except FFmpegError:
            num_packets += 1
            continue
        context = stream.codec_context
        if holds_too_much(context, max_pixels):
            raise MediaError(
                f"{name} has frames of {context.width}x{context.height} whose colours "
                f"({context.pix_fmt}) take too much memory. Convert it to 8-bit 4:2:0 first, or "
                "scale it down."
            )
        if frames and not is_too_large(frames[0], max_pixels):
            return frames[0]
    if num_packets == 0:
        raise MediaError(f"{name} has no frames. Give a video with at least one.")
    raise MediaError(
        f"{name} ({stream.codec_context.name}) cannot be decoded: the file is damaged, protected, "
        f"of a rare kind, or of more than {max_pixels / 1e6:.0f} megapixels. Convert it to an MP4 "
        "first."
    )


def _describe(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    frame: VideoFrame,
    frames: FrameList,
    limits: VideoLimits,
) -> VideoInfo:
    rotation, is_mirrored = orientation_of(frame)
    width, height = frame.width, frame.height
    aspect = stream.sample_aspect_ratio or Fraction(1)
    if aspect <= 0:
        aspect = Fraction(1)
    if rotation % 180:
        width, height, aspect = height, width, 1 / aspect
    audio = container.streams.best("audio")
    # Sound that cannot be decoded may yet be copied, but only if its format is known at all.
    has_audio = audio is not None and audio.codec_context is not None
    depth = max((component.bits for component in frame.format.components), default=8)
    is_free = bool(set(container.format.name.split(",")) & _FREE_CLOCKS)
    origin = Fraction(container.start_time or 0, 1_000_000) if is_free else Fraction(0)
    return VideoInfo(
        path=path,
        max_pixels=limits.max_pixels,
        max_reach=limits.max_reach,
        max_memory=limits.memory,
        width=width,
        height=height,
        rotation=rotation,
        is_mirrored=is_mirrored,
        time_base=stream.time_base,
        frame_times=frames.times,
        end_time=frames.end,
        key_frames=frames.key_frames,
        origin=origin,
        frame_rate=_frame_rate(stream.time_base, frames),
        codec=stream.codec_context.codec.canonical_name,
        colour=colour_of(frame),
        bit_depth=depth,
        is_interlaced=bool(frame.interlaced_frame),
        sample_aspect=aspect,
        has_audio=has_audio,
        audio_codec=audio.codec_context.codec.canonical_name if has_audio else None,
        notices=losses_of(container, frame, frames, stream),
        num_plays=plays_of_gif(path) if container.format.name == "gif" else None,
        num_subtitles=len(container.streams.subtitles),
        num_films=len(films(container)),
        num_chapters=len(container.chapters()),
    )


def _frame_rate(time_base: Fraction, frames: FrameList) -> Fraction:
    num_units = frames.end - int(frames.times[0])
    return (len(frames.times) / (num_units * time_base)).limit_denominator(100_000)
