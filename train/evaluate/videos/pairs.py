"""Pairs of a source and a video to evaluate swapped videos on, and frames of them.

A CSV with the columns source (photo or video) and target (video), paths from the CSV's folder, and
if several sources show one person, source_identity.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simswap.media.photos import read_photo
from simswap.video.source.info import VideoInfo, probe_video
from simswap.video.source.reading import WatchedReader, read_chosen, read_frames
from train.data.sources import PHOTO_SUFFIXES
from train.errors import TrainingError
from train.evaluate.pairs import read_table


@dataclass(frozen=True)
class VideoPair:
    """A source, and the video whose face is to become the source's; identity: whose it is.

    number: place in the whole list.
    """

    number: int
    identity: str
    source: Path
    target: Path


def load_video_pairs(path: Path, limit: int | None = None) -> list[VideoPair]:
    """The pairs of a CSV, in its order; limit: only the first so many, None: all.

    Raises TrainingError: the CSV, a column, a file or every pair is missing; a target is a photo.
    """
    rows = read_table(path, ["source", "target"])[:limit]
    if not rows:
        raise TrainingError(f"{path} holds no pair to evaluate. Give it at least one row.")
    pairs = []
    for number, row in enumerate(rows):
        source, target = (path.parent / (row[name] or "") for name in ("source", "target"))
        for file in (source, target):
            if not file.is_file():
                raise TrainingError(f"{path}, line {number + 2}: {file} is missing.")
        if is_photo(target):
            raise TrainingError(f"{path}, line {number + 2}: the target {target} is no video.")
        pairs.append(VideoPair(number, row.get("source_identity") or str(source), source, target))
    return pairs


def is_photo(path: Path) -> bool:
    """By its name."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def read_source(path: Path, count: int) -> list[np.ndarray]:
    """The photo, or `count` frames of the video: [H, W, 3] uint8 RGB. Raises MediaError."""
    if is_photo(path):
        return [read_photo(path).image]
    info = probe_video(path)
    return list(read_chosen(info, sampled(info.num_frames, count)))


def sampled(num_frames: int, count: int) -> list[int]:
    """`count` frames' numbers, or all of them, evenly spread, and none at the very ends."""
    count = min(count, num_frames)
    return [int((place + 0.5) * num_frames / count) for place in range(count)]


def frames_beside(
    target: VideoInfo, results: Sequence[VideoInfo | None], numbers: Sequence[int]
) -> Iterator[list[np.ndarray]]:
    """The same frames of a target and of its results, [H, W, 3] uint8 RGB; None: the target's own.

    Raises MediaError if one cannot be read.
    """
    is_run = numbers[-1] - numbers[0] + 1 == len(numbers)

    def read(info: VideoInfo, stack: ExitStack) -> WatchedReader:
        frames = read_frames(info, numbers[0], numbers[-1] + 1) if is_run else None
        return stack.enter_context(closing(frames or read_chosen(info, numbers)))

    with ExitStack() as stack:
        readers = [None if info is None else read(info, stack) for info in results]
        for frame in read(target, stack):
            yield [frame, *(frame if reader is None else next(reader) for reader in readers)]


def result_files(folder: Path, pairs: Sequence[VideoPair]) -> dict[int, Path]:
    """By pair, what a system made: 0.mp4, 1.mp4, ... (also 0000.mp4), or another kind of video.

    The numbers are the pairs' places in the CSV, from 0. Raises TrainingError for a folder without
    any of them.
    """
    found = {
        int(path.stem): path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.stem.isdecimal() and path.is_file() and not is_photo(path)
    }
    files = {pair.number: found[pair.number] for pair in pairs if pair.number in found}
    if not files:
        raise TrainingError(
            f"{folder} holds no results: videos whose names are the pairs' numbers, from 0.mp4 on."
        )
    return files


def probe_result(path: Path, target: VideoInfo) -> VideoInfo:
    """A result, which must have its target's frames. Raises TrainingError, MediaError."""
    info = probe_video(path)
    theirs, ours = (f"{i.width} x {i.height} pixels, {i.num_frames}" for i in (info, target))
    if theirs != ours:
        raise TrainingError(
            f"{path} has {theirs} frames, its target {ours}. Frames are compared one by one: give "
            "the result the size of its target, and write every frame of it."
        )
    return info
