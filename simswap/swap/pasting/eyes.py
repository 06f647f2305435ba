"""A swapped face's eyes: no paler than its target's, and where the target's look.

The generator draws them pale, and irises and the lights in them soft.
"""

from __future__ import annotations

import cv2
import numpy as np

RADII = 0.26, 0.13  # of an eye with its lids, of the distance between both
DETAIL = 0.2  # sigma, of that distance, up to which it is the eye, and beyond that shadow
SHARE = 0.9  # of the target's contrast: its lashes may be darker
MOST_GAIN = 1.6
LIGHTER = 0.4  # of the gain where it makes lighter: whites would glare
SOFT = 0.015  # sigma of the border, of the crop's side
DARKEST = 2.0  # percentile of luma in the target's eyes: no pupil gets darker
OPEN_RADII = 0.17, 0.075  # of an open eye between its lids, of the distance between both
FINE = 0.1  # sigma, of that distance, up to which it is an iris, its edge or a light in the eye
GAZE = 0.55  # of that is the target's; all of it would cost likeness


def match_eyes(
    swapped_crop: np.ndarray, target_crop: np.ndarray, mask: np.ndarray, landmarks: np.ndarray
) -> np.ndarray:
    """The swapped face with eyes whose lightness varies as much as the target's, or more.

    swapped_crop: [S, S, 3] float32 RGB in [0, 1]; target_crop: [S, S, 3] uint8 RGB; mask: [S, S],
    where the face is kept; landmarks: [5, 2] in crop pixels -> [S, S, 3] float32 RGB in [0, 1].
    Closed eyes vary little, so they give no more.
    """
    distance = _distance(landmarks)
    if not 1 <= distance <= len(mask):
        return swapped_crop
    luma, target_luma = _lumas(swapped_crop, target_crop)
    own, theirs = (_detail(plane, DETAIL * distance) for plane in (luma, target_luma))
    region = eye_region(landmarks, len(mask))
    seen = (region > 0) & (mask > 0.5)
    if not seen.any():
        return swapped_crop
    # One gain for both, which belong together.
    gain = SHARE * float(theirs[seen].std()) / max(float(own[seen].std()), 1e-6)
    if gain <= 1:
        return swapped_crop
    more = min(gain, MOST_GAIN) - 1
    weight = cv2.GaussianBlur(region.astype(np.float32), (0, 0), SOFT * len(mask))
    own = np.minimum(own, 0) + LIGHTER * np.maximum(own, 0)
    change = more * weight * np.clip(mask, 0, 1) * own
    darkest = np.minimum(luma, float(np.percentile(target_luma[seen], DARKEST)))
    change = np.maximum(luma + change, darkest) - luma
    return np.clip(swapped_crop + change[..., None], 0, 1)


def keep_gaze(
    swapped_crop: np.ndarray, target_crop: np.ndarray, mask: np.ndarray, landmarks: np.ndarray
) -> np.ndarray:
    """The swapped face with more of the target's own eyes: irises and the lights in them.

    Arguments and what comes of them: as of match_eyes. Colours stay the swapped face's.
    """
    distance = _distance(landmarks)
    if not 1 <= distance <= len(mask):
        return swapped_crop
    region = eye_region(landmarks, len(mask), OPEN_RADII).astype(np.float32)
    seen = np.flatnonzero(region.any(axis=1))
    if not seen.size:
        return swapped_crop
    # With all rows that their details depend on.
    further = round(4 * max(FINE * distance, SOFT * len(mask)))
    rows = slice(max(int(seen[0]) - further, 0), int(seen[-1]) + further + 1)
    luma, target_luma = _lumas(swapped_crop[rows], target_crop[rows])
    weight = cv2.GaussianBlur(region[rows], (0, 0), SOFT * len(mask)) * np.clip(mask[rows], 0, 1)
    change = GAZE * weight * _detail(target_luma - luma, FINE * distance)
    changed = swapped_crop.copy()
    changed[rows] = np.clip(swapped_crop[rows] + change[..., None], 0, 1)
    return changed


def eye_region(landmarks: np.ndarray, size: int, radii: tuple[float, float] = RADII) -> np.ndarray:
    """Where both eyes are in a crop, with their lids: [size, size] uint8, 1 there.

    landmarks: [5, 2] in crop pixels, whose eyes lie at most `size` apart; radii: half axes, as
    shares of the distance between both.
    """
    across = landmarks[1].astype(np.float64) - landmarks[0]
    distance, tilt = np.hypot(*across), float(np.degrees(np.arctan2(across[1], across[0])))
    axes = tuple(max(round(radius * distance), 1) for radius in radii)
    region = np.zeros((size, size), np.uint8)
    for eye in np.round(landmarks[:2]).astype(int).tolist():
        cv2.ellipse(region, eye, axes, tilt, 0, 360, 1, -1)
    return region


def _distance(landmarks: np.ndarray) -> float:
    return float(np.hypot(*(landmarks[1].astype(np.float64) - landmarks[0])))


def _lumas(swapped_crop: np.ndarray, target_crop: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    target_luma = cv2.cvtColor(target_crop, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255
    return cv2.cvtColor(swapped_crop, cv2.COLOR_RGB2GRAY), target_luma


def _detail(plane: np.ndarray, sigma: float) -> np.ndarray:
    """How much lighter or darker than around."""
    return plane - cv2.GaussianBlur(plane, (0, 0), sigma)
