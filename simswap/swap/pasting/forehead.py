"""A swapped face's forehead: lines and spots are the target's, as those are poor that are drawn."""

from __future__ import annotations

import cv2
import numpy as np

from simswap.swap.pasting.masks import smoothstep

# In units of the distance from the eyes to the mouth.
FROM, WHOLLY = 0.62, 0.72  # above the eyes: brows may reach up to there; the forehead begins
COARSEST = 0.26  # sigma up to which it is a line or spot, and beyond that the face's shape
SHARE = 0.8  # of these


def keep_forehead(
    swapped_crop: np.ndarray, target_crop: np.ndarray, mask: np.ndarray, landmarks: np.ndarray
) -> np.ndarray:
    """The swapped face with the target's lines and spots above its brows, in place of its own.

    swapped_crop: [S, S, 3] float32 RGB in [0, 1]; target_crop: [S, S, 3] uint8 RGB; mask: [S, S],
    where the face is kept; landmarks: [5, 2] in crop pixels -> [S, S, 3] float32 RGB in [0, 1].
    """
    eyes, mouth = landmarks[:2].mean(0, np.float64), landmarks[3:].mean(0, np.float64)
    height = float(np.hypot(*(eyes - mouth)))
    if not 1 <= height <= len(mask):
        return swapped_crop
    upwards = (eyes - mouth) / height**2
    x, y = np.arange(len(mask), dtype=np.float32), np.arange(len(mask), dtype=np.float32)[:, None]
    above = (x - np.float32(eyes[0])) * np.float32(upwards[0])  # the eyes, [S, S]
    above = above + (y - np.float32(eyes[1])) * np.float32(upwards[1])
    weight = SHARE * smoothstep((above - FROM) / (WHOLLY - FROM)) * (mask > 0)
    rows = slice(int(np.flatnonzero(weight.any(axis=1)).max(initial=-1)) + 1)
    if not rows.stop:
        return swapped_crop
    difference = cv2.subtract(target_crop / np.float32(255), swapped_crop)
    # With some rows below, whose differences are around those of the last ones.
    shown = difference[: rows.stop + round(2 * COARSEST * height)]
    detail = (shown - cv2.GaussianBlur(shown, (0, 0), COARSEST * height))[rows]
    changed = swapped_crop.copy()
    changed[rows] = np.clip(swapped_crop[rows] + weight[rows, :, None] * detail, 0, 1)
    return changed
