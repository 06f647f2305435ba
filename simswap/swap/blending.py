"""Fits a swapped crop to its frame: a soft mask, its fine detail, its pixels in place.

A crop of 128 px, enlarged, is blurred against its surroundings. What the crop cannot hold (pores,
lashes, single hairs) is the target's, so it is put back where the swap left the face's structure as
it was, and left out where it drew something else.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from simswap import geometry

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

STRUCTURE_SIGMA = 3.0  # px of the crop; coarser differences are light, and hide no detail
REACH_SIGMA = 2.0  # px of the crop around a change in structure
TOLERANCE = 0.07  # of [0, 1]; the change in structure at which half of the detail is left


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
    at_border = _smoothstep(border_distance / min(fade, BORDER_FADE))
    return _smoothstep(inside / fade) * at_border


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
    near = near + _smoothstep(stands_out) * np.minimum(silhouette - near, 0)
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


def _smoothstep(ramp: np.ndarray) -> np.ndarray:
    ramp = np.clip(ramp, 0, 1)
    return ramp * ramp * (3 - 2 * ramp)


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


def paste_into(
    frame: np.ndarray, swapped_crop: np.ndarray, mask: np.ndarray, frame_to_crop: np.ndarray
) -> None:
    """Blend a swapped crop into the frame itself where the mask says.

    frame: [H, W, 3] uint8 RGB; swapped_crop: [S, S, 3] float32 RGB in [0, 1]; mask: [S, S]
    float32, 0 on its border; frame_to_crop: [2, 3]. Pixels where the warped mask is 0 stay as they
    are, to the bit.
    """
    size = len(mask)
    crop_to_frame = geometry.invert(frame_to_crop)
    x0, y0, x1, y1 = geometry.crop_region(crop_to_frame, size, frame.shape)
    if x1 <= x0 or y1 <= y0:
        return
    # First a resize to the face's own size: it averages where the crop shrinks (a warp would pick
    # single pixels), and where it grows a cubic resize is far cheaper than a cubic warp.
    scale = geometry.scale_of(crop_to_frame)
    resized_size = max(round(size * scale), 1)
    side = (resized_size, resized_size)
    shrinks = scale < 1
    pixels = cv2.resize(
        cv2.convertScaleAbs(swapped_crop, alpha=255),
        side,
        interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC,
    )
    weight = cv2.resize(mask, side, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    weight[[0, -1]] = weight[:, [0, -1]] = 0  # where it shrank it reached in from the border
    to_region = geometry.compose(
        geometry.resize_transform(size / resized_size),
        geometry.compose(crop_to_frame, np.array([[1.0, 0, -x0], [0, 1, -y0]])),
    )

    def moved(picture: np.ndarray, interpolation: int) -> np.ndarray:
        # The repeated border is the mask's 0, and keeps dark fringes out.
        shape = (x1 - x0, y1 - y0)
        border = cv2.BORDER_REPLICATE
        return cv2.warpAffine(picture, to_region, shape, flags=interpolation, borderMode=border)

    # Linear blurs detail of single pixels, which a much enlarged crop does not have, nor a mask.
    pixels = moved(pixels, cv2.INTER_LINEAR if scale > 2 else cv2.INTER_CUBIC)
    weight = moved(weight, cv2.INTER_LINEAR)
    region = np.ascontiguousarray(frame[y0:y1, x0:x1])
    frame[y0:y1, x0:x1] = cv2.blendLinear(pixels, region, weight, 1 - weight)


def _agreement(swapped: np.ndarray, given: np.ndarray) -> np.ndarray:
    """How far a swap kept the structure of each place: [S, S], 1 where all of it."""
    difference = cv2.cvtColor(swapped - given, cv2.COLOR_RGB2GRAY)
    structure = difference - cv2.GaussianBlur(difference, (0, 0), STRUCTURE_SIGMA)
    change = cv2.GaussianBlur(structure * structure, (0, 0), REACH_SIGMA)
    return 1 / (1 + change / TOLERANCE**2)


def _enlarged(crop: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC)
