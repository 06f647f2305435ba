"""Frames of a video, decoded by another process, which may be ended.

The library decodes a packet at once, and what a packet makes it do has no bound: nothing in this
process could stop it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from contextlib import closing

import numpy as np

from simswap.video.source.decoding.frame_reader import Frames
from simswap.video.source.decoding.frames import FrameRequest
from simswap.video.source.decoding.process import answers_of
from simswap.video.source.info import VideoInfo

logger = logging.getLogger(__name__)


class WatchedReader(Frames):
    """The frames of a request, in order."""

    def __init__(self, request: FrameRequest, is_over: Callable[[], bool] | None = None) -> None:
        """is_over: asked after each frame, and now and then; the frames end once it says so."""
        self._frames = self._read(request, is_over)

    def _read(
        self, request: FrameRequest, is_over: Callable[[], bool] | None
    ) -> Generator[np.ndarray, None, None]:
        with closing(answers_of(request, is_over)) as answers:
            for self.num_repeated, room in answers:
                yield room.obj
                if is_over is not None and is_over():
                    return
        if self.num_repeated:
            logger.warning(
                "%d frames of a video could not be decoded, or not in their own size",
                self.num_repeated,
            )


def read_frames(info: VideoInfo, first: int, end: int) -> WatchedReader:
    """Decode frames `first` to `end` - 1, beginning at the key frame before.

    Yields exactly end - first upright frames, uint8 [H, W, 3] RGB. A frame that cannot be decoded
    is replaced by the one before it, as players do, and counted in `num_repeated`.
    Raises MediaError, while iterating, if none of these frames can be decoded, one takes too much
    time or memory, or no process can be started; ValueError if the video has no such frames.
    """
    return WatchedReader(FrameRequest(info, first, end))


def read_deep_frames(info: VideoInfo, first: int) -> WatchedReader:
    """As read_frames, to the end: uint16 [H, W, 3] RGB in the video's own transfer and colours."""
    return WatchedReader(FrameRequest(info, first, info.num_frames, is_deep=True))


def read_chosen(
    info: VideoInfo, numbers: Sequence[int], is_over: Callable[[], bool] | None = None
) -> WatchedReader:
    """Decode some frames; see `read_frames`.

    numbers: in any order. Without key frames they are ascending, and the file is decoded once.
    is_over: whether to end before the last of them; see WatchedReader.
    """
    return WatchedReader(FrameRequest(info, numbers=tuple(numbers)), is_over)
