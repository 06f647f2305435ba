"""The target's fine detail in an enlarged crop.

A crop of 128 px, enlarged, is blurred against its surroundings. What the crop cannot hold (pores,
lashes, single hairs) is the target's, so it is put back where the swap left the face's structure as
it was, and left out where it drew something else.
"""

from __future__ import annotations

import cv2
import numpy as np

STRUCTURE_SIGMA = 3.0  # px of the crop; coarser differences are light, and hide no detail
REACH_SIGMA = 2.0  # px of the crop around a change in structure
TOLERANCE = 0.07  # of [0, 1]; the change in structure at which half of the detail is left


def with_detail(swapped: np.ndarray, given: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A swapped crop, enlarged, with the target's fine detail: [L, L, 3] float32 RGB in [0, 1].

    swapped: [S, S, 3] float32 RGB in [0, 1]; given: [S, S, 3] uint8 RGB, what the generator was
    given; target: [L, L, 3] uint8 RGB, the same part of the frame, larger.
    """
    side = len(target)
    given = given.astype(np.float32) / 255
    share = _agreement(swapped, given)
    # What the target's larger crop has of `given` is taken off before it is enlarged: at once.
    rest = _enlarged(swapped - share[..., None] * given, side)
    share = _enlarged(share / 255, side)
    detailed = cv2.add(rest, cv2.multiply(target, cv2.merge([share] * 3), dtype=cv2.CV_32F))
    return np.clip(detailed, 0, 1, out=detailed)


def _agreement(swapped: np.ndarray, given: np.ndarray) -> np.ndarray:
    """How far a swap kept the structure of each place: [S, S], 1 where all of it."""
    difference = cv2.cvtColor(swapped - given, cv2.COLOR_RGB2GRAY)
    structure = difference - cv2.GaussianBlur(difference, (0, 0), STRUCTURE_SIGMA)
    change = cv2.GaussianBlur(structure * structure, (0, 0), REACH_SIGMA)
    return 1 / (1 + change / TOLERANCE**2)


def _enlarged(crop: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC)
