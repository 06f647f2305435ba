"""Where a face lies in its aligned crop: a soft mask from five landmarks."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

# Face outline around the five landmarks, in units of the eye-to-mouth distance; read off aligned
# crops of frontal to profile heads, a little outside the skin so that the fade happens on it.
FOREHEAD = 1.05  # above the eyes
CHIN = 0.85  # below the mouth
CHEEK = 1.2  # to either side of a frontal face
NEAR_CHEEK_LOSS = 1.6  # the side a turned head's nose points to ends sooner ...
FAR_CHEEK_GAIN = 0.4  # ... the other reaches further, both per unit of nose offset
NEAR_CHEEK_MIN = 0.55
FAR_CHEEK_MAX = 1.3
# In a profile, where the nose stands out beyond the near eye, that side ends at the silhouette.
PROFILE_FROM, PROFILE_TO = -0.14, 0.08
# Of brow, eye, nose, mouth and chin: the landmark that tells (near eye, nose, corner of the mouth),
# and how far beyond it the mask ends; read off two photos.
SILHOUETTE = ((0, -0.08), (0, 0.07), (1, 0.1), (2, 0.16), (2, 0.02))
BROW, CHIN_TIP = 0.7, 0.5  # above the eye, below the mouth
SILHOUETTE_MIN = 0.2  # for landmarks of no face
BORDER_FADE = 0.05  # of the side: the crop's edge cuts a long chin off softly, yet keeps most of it
ROUNDNESS = 2.5  # exponent of the superellipse; 2 is an ellipse, more is squarer


def face_mask(landmarks: np.ndarray, size: int, softness: float) -> np.ndarray:
    """Soft mask of a face in its aligned crop, forehead to chin, narrower where a head turns away.

    landmarks: [5, 2] (x, y) in crop pixels; softness: width of the fade as a share of the crop's
    side -> [size, size] float32 in [0, 1], exactly 0 on the crop's border. A fixed outline per
    crop would be cheaper, but on turned heads it covers background beyond the nose.
    """
    x, y, border_distance = _crop_grid(size)
    landmarks = np.asarray(landmarks, np.float64) / (size - 1)
    centre_x, to_left, to_right, top, bottom = _outline(landmarks, y)
    half_width = np.where(x < centre_x, to_left, to_right).astype(np.float32)  # [size, size]
    half_height = np.float32((bottom - top) / 2)
    across = cv2.pow(np.abs((x - np.float32(centre_x)) / half_width), ROUNDNESS)  # [size, size]
    along = cv2.pow(np.abs((y - np.float32((top + bottom) / 2)) / half_height), ROUNDNESS)
    widest = np.minimum(half_height, (to_left + to_right).astype(np.float32) / 2)  # [size, 1]
    inside = (1 - cv2.pow(across + along, 1 / ROUNDNESS)) * widest
    fade = max(softness, 1 / size)  # softness 0 still needs one pixel
    at_border = smoothstep(border_distance / min(fade, BORDER_FADE))
    return smoothstep(inside / fade) * at_border


def uncovered(mask: np.ndarray, cover: np.ndarray | None) -> np.ndarray:
    """A face's mask ([S, S] float32) less what covers the face, see covering.py; None: nothing."""
    if cover is None or not cover.any():
        return mask
    size = (len(mask), len(mask))
    return mask * (1 - cv2.resize(cover, size, interpolation=cv2.INTER_LINEAR))


def _outline(
    landmarks: np.ndarray, y: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray, float, float]:
    """Centre, widths to the left and right, top and bottom of the face, on a unit square.

    landmarks: [5, 2]; y: the rows that widths are asked for, [size, 1] -> widths [size, 1].
    """
    eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
    height = float(np.clip(mouth[1] - eyes[1], 0.2, 0.5))  # a turned or odd face stays sane
    centre_x = float(np.clip((eyes[0] + mouth[0]) / 2, 0.35, 0.65))
    nose_offset = float(landmarks[2, 0] - centre_x) / height
    near = max(CHEEK - NEAR_CHEEK_LOSS * abs(nose_offset), NEAR_CHEEK_MIN)
    far = min(CHEEK + FAR_CHEEK_GAIN * abs(nose_offset), FAR_CHEEK_MAX)
    turned_to = landmarks[[0, 2, 3] if nose_offset < 0 else [1, 2, 4]]  # eye, nose, mouth corner
    reach = np.abs(turned_to[:, 0] - centre_x) / height
    stands_out = (reach[1] - reach[0] - PROFILE_FROM) / (PROFILE_TO - PROFILE_FROM)
    silhouette = _silhouette(reach, turned_to[:, 1] / height, y / height)
    near = near + smoothstep(stands_out) * np.minimum(silhouette - near, 0)
    far = np.full_like(near, far)
    to_left, to_right = (near, far) if nose_offset < 0 else (far, near)
    top, bottom = eyes[1] - FOREHEAD * height, mouth[1] + CHIN * height
    return centre_x, to_left * height, to_right * height, float(top), float(bottom)


def _silhouette(reach: np.ndarray, rows: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far a profile reaches from the centre in the rows y.

    reach, rows: [3], of eye, nose and corner of the mouth -> as y; all in eye-to-mouth distances.
    """
    eye, nose, mouth = np.maximum.accumulate(rows)  # of an odd face, too, from top to bottom
    knots = [eye - BROW, eye, nose, mouth, mouth + CHIN_TIP]
    widths = [reach[landmark] + beyond for landmark, beyond in SILHOUETTE]
    return np.maximum(np.interp(y, knots, widths), SILHOUETTE_MIN)


@lru_cache(maxsize=8)
def _crop_grid(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each pixel: x [1, size], y [size, 1], distance to the border; on a unit square."""
    position = np.arange(size, dtype=np.float32) / (size - 1)
    to_border = np.minimum(position, 1 - position)
    return position[None, :], position[:, None], np.minimum(to_border[None, :], to_border[:, None])


def smoothstep(ramp: np.ndarray) -> np.ndarray:
    """0 up to 0, 1 from 1 on, and smooth between and at both."""
    ramp = np.clip(ramp, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)
