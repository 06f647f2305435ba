"""How a frame is turned and mirrored on the screen."""

from __future__ import annotations

import math

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

MATRIX_BYTES = 36  # of 3 x 3 numbers


def orientation_of(frame: VideoFrame) -> tuple[int, bool]:
    """Rotation and mirroring by the display matrix; see VideoInfo.

    The frame's own `rotation` takes a matrix that mirrors for one that turns.
    """
    try:
        found = [data for data in frame.side_data if data.type is Type.DISPLAYMATRIX]
    except ValueError:  # beside it lies something that PyAV has no name for
        return round(frame.rotation / 90) * 90 % 360, False
    if not found or found[0].buffer_size < MATRIX_BYTES:
        return 0, False
    # Of the stored point (x, y) the picture shows (a x + c y, b x + d y).
    a, b, _, c, d, *_ = np.frombuffer(found[0], np.int32, MATRIX_BYTES // 4).astype(float)
    is_mirrored = bool(a * d < b * c)
    if is_mirrored:
        a, b = -a, -b
    return round(math.degrees(math.atan2(c - b, a + d)) / 90) * 90 % 360, is_mirrored
