"""Looks for the watermark in a file: in a photo, or in frames from all over a video."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simswap.media.photos import read_pictures
from simswap.video.source.info import VideoInfo, probe_video
from simswap.video.source.limits import VERIFY_LIMITS, VideoLimits
from simswap.video.source.reading import read_chosen
from simswap.watermark.code import watermark_id
from simswap.watermark.reading import WatermarkReading, combine_readings

if TYPE_CHECKING:  # it brings torch
    from simswap.swap.pipeline import Pipeline

MAX_FRAMES = 12  # of a video or an animation that are looked at, evenly spread


def never() -> bool:
    """The time is not up: of a search that may take any."""
    return False


@dataclass(frozen=True)
class FoundWatermark:
    """What was found in the pixels of a photo, or of frames of a video.

    seconds: when each frame that was looked at is shown; 0 for the pictures of a photo file, of
    which an animation has several. num_pictures: that the file has. num_films: likewise, of which
    one was looked at; num_odd: pictures that were not, or not in their own size.
    is_marked: whether each picture that was looked at carries a watermark.
    model_id: 32 bits as hexadecimal digits, of the surest one; None without any. model: its name,
    if it is a known one. false_positive: at most this is the probability that pictures without a
    watermark read so; 1 without one.
    """

    seconds: tuple[float, ...]
    num_pictures: int
    is_marked: tuple[bool, ...]
    model_id: str | None
    model: str | None
    false_positive: float
    num_films: int = 1
    num_odd: int = 0

    @property
    def is_found(self) -> bool:
        """Whether any frame carries a watermark."""
        return self.model_id is not None

    @property
    def is_all(self) -> bool:
        """Whether what was looked at is what players show, frame for frame."""
        return self.num_films == 1 and not self.num_odd

    @property
    def odds(self) -> str:
        """False positives in words, as a power of ten."""
        return f"at most once in 10^{math.floor(-math.log10(max(self.false_positive, 1e-300)))}"


def find_watermark(
    path: Path,
    kind: str,
    pipeline: Pipeline,
    names: Iterable[str],
    limits: VideoLimits = VERIFY_LIMITS,
    is_over: Callable[[], bool] = never,
) -> FoundWatermark:
    """Look for the watermark in a "photo" or "video".

    names: of models that may have made it, beside the pipeline's own. limits: of a video.
    is_over: whether the time for it is used up. It is asked after each picture, and in a video
    between them too; at least one picture is looked at.
    Raises MediaError if the pictures cannot be decoded.
    """
    seconds, count, films, num_odd, frames = _look_at(path, kind, pipeline, limits, is_over)
    watermarks = combine_readings(frames)
    is_marked = tuple(bool(readings) for readings in frames)
    if not watermarks:
        return FoundWatermark(seconds, count, is_marked, None, None, 1.0, films, num_odd)
    known = {watermark_id(name): name for name in (*names, pipeline.name)}
    best = watermarks[0]
    model = known.get(best.bundle_id)
    return FoundWatermark(
        *(seconds, count, is_marked, f"{best.bundle_id:08x}", model, best.false_positive),
        *(films, num_odd),
    )


def _look_at(
    path: Path, kind: str, pipeline: Pipeline, limits: VideoLimits, is_over: Callable[[], bool]
) -> tuple[tuple[float, ...], int, int, int, list[Sequence[WatermarkReading]]]:
    """As FoundWatermark: seconds, num_pictures, num_films, num_odd; and what the pictures say."""
    if kind == "photo":
        looked = []
        for picture, count in read_pictures(path, MAX_FRAMES):
            looked.append((pipeline.read_watermarks(picture), count))
            if is_over():
                break
        return (0.0,) * len(looked), looked[0][1], 1, 0, [readings for readings, _ in looked]
    info = probe_video(path, limits)
    numbers = _spread(info, limits.max_decoded)
    if len(info.key_frames):  # from all over it, should the time be up before the last
        numbers = [*numbers[::4], *numbers[2::4], *numbers[1::2]]
    readings = []
    frames = read_chosen(info, numbers, lambda: bool(readings) and is_over())
    for frame in frames:
        readings.append(pipeline.read_watermarks(frame))
    looked = sorted(zip(numbers, readings, strict=False), key=lambda it: it[0])
    seconds = tuple(round(info.seconds(number), 3) for number, _ in looked)
    return (
        seconds,
        info.num_frames,
        info.num_films,
        frames.num_repeated,
        [found for _, found in looked],
    )


def _spread(info: VideoInfo, max_decoded: int | None) -> list[int]:
    """Numbers of frames all over a video, none so far behind a key frame that it costs much.

    max_decoded: pixels of all frames that may be decoded to get at them.
    """
    count = min(MAX_FRAMES, info.num_frames)
    numbers = np.linspace(0, info.num_frames - 1, count).round().astype(int)
    if len(info.key_frames) and max_decoded is not None:
        keys = np.searchsorted(info.frame_times, info.key_frames[:, 0])
        nearest = keys[(np.searchsorted(keys, numbers, side="right") - 1).clip(min=0)]
        reach = max_decoded // (info.width * info.height * MAX_FRAMES)
        numbers = np.minimum(numbers, np.maximum(nearest, 0) + reach)
    return sorted({int(number) for number in numbers})
