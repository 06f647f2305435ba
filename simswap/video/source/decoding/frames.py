"""Frames of a video, as they are asked of a decoding process."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from simswap.video.source.decoding.child import PIECE_SECONDS, Piece
from simswap.video.source.decoding.frame_reader import ChosenFrames, FrameReader
from simswap.video.source.info import VideoInfo, VideoRequest
from simswap.video.source.limits import usual_memory

# Of processor time, on average; ordinary frames take a tenth.
SECONDS_EACH, SECONDS_PER_MEGAPIXEL = 0.1, 0.1


@dataclass(frozen=True, eq=False)
class FrameRequest(VideoRequest):
    """Frames of a video that are wanted.

    first, end, is_deep: as FrameReader has them. numbers: those that are wanted instead, see
    ChosenFrames. piece_seconds: of processor time, for any one of them.
    Raises ValueError if the video has no such frames.
    """

    info: VideoInfo
    first: int = 0
    end: int = 0
    is_deep: bool = False
    numbers: tuple[int, ...] | None = None
    piece_seconds: float = PIECE_SECONDS

    def __post_init__(self) -> None:
        if self.numbers is None and not 0 <= self.first < self.end <= self.info.num_frames:
            raise ValueError(
                f"no frames {self.first} to {self.end} in a video of {self.info.num_frames}"
            )

    @property
    def usual_memory(self) -> int:
        """By the size of a frame."""
        return usual_memory(self.info.width * self.info.height)

    def rest(self, count: int) -> FrameRequest | None:
        """The frames that follow."""
        if self.numbers is not None:
            return replace(self, numbers=self.numbers[count:]) if self.numbers[count:] else None
        first = self.first + count
        return replace(self, first=first) if first < self.end else None

    @property
    def num_pieces(self) -> int:
        """As many as were asked for."""
        return self.end - self.first if self.numbers is None else len(self.numbers)

    @property
    def seconds_each(self) -> float:
        """By the size of a frame."""
        if self.numbers is not None:  # far from each other
            return self.piece_seconds
        return SECONDS_EACH + SECONDS_PER_MEGAPIXEL * self.info.width * self.info.height / 1e6

    def pieces(self) -> Iterator[Piece]:
        """The frames' bytes."""
        if self.numbers is not None:
            reader = ChosenFrames(self.info, self.numbers)
        else:
            reader = FrameReader(self.info, self.first, self.end, is_deep=self.is_deep)
        for frame in reader:
            yield reader.num_repeated, memoryview(frame).cast("B")

    def room(self, size: int) -> memoryview | None:
        """A frame's, [H, W, 3]: its `obj` is the array."""
        shape = (self.info.height, self.info.width, 3)
        frame = np.empty(shape, np.uint16 if self.is_deep else np.uint8)
        return memoryview(frame).cast("B") if size == frame.nbytes else None
