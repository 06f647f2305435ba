"""How a frame is turned and mirrored on the screen."""

from __future__ import annotations

import math

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from simswap.video.source.picture.side_data import side_data_of

MATRIX_BYTES = 36  # of 3 x 3 numbers


def orientation_of(frame: VideoFrame) -> tuple[int, bool]:
    """Rotation and mirroring by the display matrix; see VideoInfo.

    The frame's own `rotation` takes a matrix that mirrors for one that turns.
    """
    found = side_data_of(frame)
    if found is None:
        return round(frame.rotation / 90) * 90 % 360, False
    matrix = found.get(Type.DISPLAYMATRIX)
    if matrix is None or matrix.buffer_size < MATRIX_BYTES:
        return 0, False
    # Of the stored point (x, y) the picture shows (a x + c y, b x + d y).
    a, b, _, c, d, *_ = np.frombuffer(matrix, np.int32, MATRIX_BYTES // 4).astype(float)
    is_mirrored = bool(a * d < b * c)
    if is_mirrored:
        a, b = -a, -b
    return round(math.degrees(math.atan2(c - b, a + d)) / 90) * 90 % 360, is_mirrored
