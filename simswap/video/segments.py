"""The parts that a video is cut into, and what is counted of each."""

from __future__ import annotations

from dataclasses import dataclass

_MAX_NUMBER = 1e15  # in a record


@dataclass(frozen=True)
class Segment:
    """Frames `first` to `end` - 1 of the video."""

    number: int
    first: int
    end: int


def cut(first: int, end: int, length: int) -> tuple[Segment, ...]:
    """Frames `first` to `end` - 1 in segments of `length` frames, in order."""
    starts = range(first, end, length)
    return tuple(
        Segment(number, start, min(start + length, end)) for number, start in enumerate(starts)
    )


@dataclass(frozen=True)
class SegmentRecord:
    """What was counted while a segment was made.

    num_unswapped: frames with faces of which none was swapped. num_repeated: frames that could not
    be decoded. seconds: that it took. size: of its file, in bytes.
    """

    num_frames: int
    faces_swapped: int
    frames_without_face: int
    num_unswapped: int
    num_repeated: int
    seconds: float
    size: int = 0

    def __post_init__(self) -> None:
        numbers = [*vars(self).values()]
        if not all(isinstance(n, int | float) and 0 <= n < _MAX_NUMBER for n in numbers):
            raise ValueError(f"{numbers} are not all numbers of a segment")
        if self.num_frames == 0:
            raise ValueError("a segment has frames")
