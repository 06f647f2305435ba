"""What a video file holds: its frames' times, shape, colours and sound."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from simswap.errors import MediaError, OptionError
from simswap.files import printable
from simswap.video.source.animation import (
    TIME_BASE,
    look_at_animation,
    plays_of_gif,
)
from simswap.video.source.container import (
    check_is_file,
    holds_too_much,
    is_too_large,
    naming_damage,
    opened,
    packets_of,
    picture_stream,
)
from simswap.video.source.frame_lists import FrameList, check_count, list_frames
from simswap.video.source.limits import VideoLimits, check_cost, check_size
from simswap.video.source.losses import losses_of
from simswap.video.source.picture.colour import STANDARD, Colour, colour_of
from simswap.video.source.picture.orientation import orientation_of
from simswap.video.source.structure import check_structure, is_animation

_PROBED_PACKETS = 500  # how far a first frame that can be decoded is looked for
# Clocks that start anywhere; the others' zero is the video's own.
_FREE_CLOCKS = {"mpegts", "mpeg", "asf", "flv"}


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """A video file as it will be read.

    width, height: of the frames as shown. is_mirrored: whether players flip the stored pictures
    left to right; rotation: degrees counter-clockwise (0, 90, 180, 270) that they turn them by
    after that. time_base: seconds per unit of all times. frame_times: [N] int64, when each frame is
    shown, ascending; end_time: when the last ends. max_pixels: of the largest frame to be decoded,
    also if frames grow; max_reach: see VideoLimits. origin: seconds at which the file's own clock
    starts. sample_aspect: width of a pixel by its height. key_frames: see FrameList. notices: what
    is dropped or changed. num_plays: of an animation, 0 without end; None for a film.
    num_subtitles: tracks of them.
    """

    path: Path
    max_pixels: int
    width: int
    height: int
    rotation: int
    is_mirrored: bool
    time_base: Fraction
    frame_times: np.ndarray
    end_time: int
    key_frames: np.ndarray
    origin: Fraction
    frame_rate: Fraction
    codec: str
    colour: Colour
    bit_depth: int
    is_interlaced: bool
    sample_aspect: Fraction
    has_audio: bool
    audio_codec: str | None
    notices: tuple[str, ...]
    num_plays: int | None = None
    num_subtitles: int = 0
    num_chapters: int = 0
    max_reach: int | None = None

    @property
    def num_frames(self) -> int:
        """How many frames there are; at least one."""
        return len(self.frame_times)

    @property
    def duration(self) -> float:
        """Seconds from the first frame's start to the last one's end."""
        return float((self.end_time - int(self.frame_times[0])) * self.time_base)

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height before rotation."""
        return (self.height, self.width) if self.rotation % 180 else (self.width, self.height)

    @property
    def frame_bytes(self) -> int:
        """Of a decoded frame, [H, W, 3] uint8."""
        return 3 * self.width * self.height

    def seconds(self, frame: int) -> float:
        """When a frame (0 to N; N: the end) is shown, counted from the first one."""
        time = self.end_time if frame >= self.num_frames else int(self.frame_times[frame])
        return float((time - int(self.frame_times[0])) * self.time_base)


def probe_video(path: str | os.PathLike[str], limits: VideoLimits | None = None) -> VideoInfo:
    """Everything that reading and writing need to know of a video.

    Reads the file once through without decoding it (with decoding, where its packets do not tell
    when frames are shown: GIF, AVI), so that a damaged file is known before work begins. What the
    file claims is held against the limits first, then a trial run in another process tells
    whether looking it through stays within them.
    Raises MediaError, in one sentence, for a file that is missing, no video, damaged from its
    first frame on, without frames, or over a limit.
    """
    path, limits = Path(path), limits or VideoLimits()
    check_is_file(path)
    check_size(path, limits)
    check_structure(path, limits.max_decoded)
    check_cost(path, limits)
    return look_through(path, limits)


def look_through(path: Path, limits: VideoLimits) -> VideoInfo:
    """What `probe_video` does once the file's cost is known to be bounded."""
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


def trim(info: VideoInfo, start: float | None, end: float | None) -> tuple[int, int]:
    """First frame and end frame (exclusive) of a stretch of a video.

    start, end: seconds from the first frame; None: the video's own. A frame belongs to it if it is
    the one on screen at `start`, or begins after that and before `end`.
    Raises OptionError if no frame lies between, or a value is not within the video.
    """
    start = 0.0 if start is None else start
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise OptionError(f"{name} is {value}; give seconds from 0 up.")
    if start >= info.duration:
        raise OptionError(f"start is {start:g} s, but the video ends at {info.duration:.3f} s.")
    if end is not None and end <= start:
        raise OptionError(f"end ({end:g} s) is not after start ({start:g} s).")
    seconds = (info.frame_times - info.frame_times[0]) * float(info.time_base)
    # Half a millisecond of grace: 0.0333 means the second frame of 30 per second.
    first = int(np.searchsorted(seconds, start + 0.0005, side="right")) - 1
    last = info.num_frames if end is None else int(np.searchsorted(seconds, end - 0.0005))
    return first, max(last, first + 1)


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
        num_chapters=len(container.chapters()),
    )


def _frame_rate(time_base: Fraction, frames: FrameList) -> Fraction:
    num_units = frames.end - int(frames.times[0])
    return (len(frames.times) / (num_units * time_base)).limit_denominator(100_000)
