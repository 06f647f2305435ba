"""Fits a swapped crop to its frame: its colours, its fine detail, and its pixels in place.

A crop of 128 px, enlarged, is blurred against its surroundings. What the crop cannot hold (pores,
lashes, single hairs) is the target's, so it is put back where the swap left the face's structure as
it was, and left out where it drew something else.
"""

from __future__ import annotations

import cv2
import numpy as np

from simswap import geometry
from simswap.swap import alignment
from simswap.swap.alignment import AlignedFace

# Surroundings that colours are matched over, as a share of the crop's side. Lightness carries the
# new features, so it is matched over wide areas only; hue carries hardly any.
LIGHTNESS_REACH = 0.12
COLOUR_REACH = 0.05
MATCH_SHRINK = 4  # they are matched on a crop so many times smaller
MAX_LIGHTNESS_SHIFT = 15.0  # CIE L*, of 100
MAX_COLOUR_SHIFT = 20.0  # CIE a*, b*

ENLARGED_FROM = 1.25  # times the crop's side, in the frame; there its blur begins to be seen
LARGEST_CROP = 512  # px; what is beyond that stays a little soft, and costs no more time
STRUCTURE_SIGMA = 3.0  # px of the crop; coarser differences are light, and hide no detail
REACH_SIGMA = 2.0  # px of the crop around a change in structure
TOLERANCE = 0.07  # of [0, 1]; the change in structure at which half of the detail is left


def match_colour(swapped_crop: np.ndarray, target_crop: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Pull the swapped face's light and colour, place by place, to the target face's.

    swapped_crop: [S, S, 3] float32 RGB in [0, 1]; target_crop: the same, or uint8; mask: [S, S]
    -> [S, S, 3] float32 RGB in [0, 1]. Works in CIE Lab, where lightness and hue part; every
    change is bounded, so that a hand or a mask in front of the target tints the result little.
    """
    if float(mask.sum()) < 1:  # nothing of the face is kept, so there is nothing to match
        return swapped_crop
    if target_crop.dtype == np.uint8:
        target_crop = target_crop.astype(np.float32) / 255
    # The shift varies slowly: found on a small picture, it costs a tenth and looks the same.
    size, small = len(mask), max(len(mask) // MATCH_SHRINK, 1)
    swapped, target, kept = (
        cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        for picture in (swapped_crop, target_crop, mask)
    )
    lab = cv2.cvtColor(swapped, cv2.COLOR_RGB2Lab)
    difference = cv2.cvtColor(target, cv2.COLOR_RGB2Lab) - lab
    lightness, colour = difference[..., :1], difference[..., 1:]
    lightness = _local_mean(lightness, kept, LIGHTNESS_REACH)
    colour = _local_mean(colour, kept, COLOUR_REACH)
    lab[..., :1] += np.clip(lightness, -MAX_LIGHTNESS_SHIFT, MAX_LIGHTNESS_SHIFT)
    lab[..., 1:] += np.clip(colour, -MAX_COLOUR_SHIFT, MAX_COLOUR_SHIFT)
    shift = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB) - swapped
    shift = cv2.resize(shift, (size, size), interpolation=cv2.INTER_LINEAR)
    return np.clip(swapped_crop + shift, 0, 1)


def restore_detail(
    frame: np.ndarray, face: AlignedFace, crop: np.ndarray
) -> tuple[AlignedFace, np.ndarray]:
    """A face and its swapped crop at the size that it has in its frame, with the frame's detail.

    crop: [S, S, 3] float32 RGB in [0, 1]. A face that is hardly larger than its crop comes back as
    it is.
    """
    size = len(face.crop)
    side = min(round(size / geometry.scale_of(face.frame_to_crop)), LARGEST_CROP)
    if side < ENLARGED_FROM * size:
        return face, crop
    larger = alignment.enlarged(frame, face, side)
    return larger, with_detail(crop, face.crop, larger.crop)


def with_detail(swapped: np.ndarray, given: np.ndarray, target: np.ndarray) -> np.ndarray:
    """A swapped crop, enlarged, with the target's fine detail: [L, L, 3] float32 RGB in [0, 1].

    swapped: [S, S, 3] float32 RGB in [0, 1]; given: [S, S, 3] uint8 RGB, what the generator was
    given; target: [L, L, 3] uint8 RGB, the same part of the frame, larger.
    """
    side = len(target)
    given = given.astype(np.float32) / 255
    share = _enlarged(_agreement(swapped, given), side)[..., None]
    detail = target.astype(np.float32) / 255 - _enlarged(given, side)
    return np.clip(_enlarged(swapped, side) + share * detail, 0, 1)


def paste_into(
    frame: np.ndarray, swapped_crop: np.ndarray, mask: np.ndarray, frame_to_crop: np.ndarray
) -> None:
    """Blend a swapped crop into the frame itself where the mask says.

    frame: [H, W, 3] uint8 RGB; swapped_crop: [S, S, 3] float32 RGB in [0, 1]; mask: [S, S]
    float32, 0 on its border; frame_to_crop: [2, 3]. Pixels where the warped mask is 0 stay as they
    are, to the bit.
    """
    x0, y0, x1, y1 = geometry.crop_region(frame_to_crop, len(mask), frame.shape)
    if x1 <= x0 or y1 <= y0:
        return
    crop_to_region = geometry.compose(
        geometry.invert(frame_to_crop), np.array([[1.0, 0, -x0], [0, 1, -y0]])
    )
    warped = _warp_to_region(swapped_crop, mask, crop_to_region, (x1 - x0, y1 - y0))
    region = np.ascontiguousarray(frame[y0:y1, x0:x1])
    weight = warped[..., 3].astype(np.float32) / 255
    frame[y0:y1, x0:x1] = cv2.blendLinear(
        np.ascontiguousarray(warped[..., :3]), region, weight, 1 - weight
    )


def _warp_to_region(
    swapped_crop: np.ndarray,
    mask: np.ndarray,
    crop_to_region: np.ndarray,
    region_size: tuple[int, int],
) -> np.ndarray:
    """Crop and mask as [h, w, 4] uint8 on the pixels of a (w, h) region of the frame.

    First a resize to the face's own size: it averages where the crop shrinks (a warp would pick
    single pixels), and where it grows a cubic resize is far cheaper than a cubic warp.
    """
    size, scale = len(mask), geometry.scale_of(crop_to_region)
    resized_size = max(round(size * scale), 1)
    pixels = cv2.resize(
        np.rint(np.dstack([swapped_crop, mask]) * 255).astype(np.uint8),
        (resized_size, resized_size),
        interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC,
    )
    pixels[[0, -1], :, 3] = pixels[:, [0, -1], 3] = 0  # the resize reached in from the border
    resized_to_crop = geometry.resize_transform(size / resized_size)
    return cv2.warpAffine(
        pixels,
        geometry.compose(resized_to_crop, crop_to_region),
        region_size,
        # Linear blurs detail of single pixels, which a much enlarged crop does not have.
        flags=cv2.INTER_LINEAR if scale > 2 else cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,  # repeats the mask's 0, and keeps dark fringes out
    )


def _agreement(swapped: np.ndarray, given: np.ndarray) -> np.ndarray:
    """How far a swap kept the structure of each place: [S, S], 1 where all of it."""
    difference = cv2.cvtColor(swapped - given, cv2.COLOR_RGB2GRAY)
    structure = difference - cv2.GaussianBlur(difference, (0, 0), STRUCTURE_SIGMA)
    change = cv2.GaussianBlur(structure * structure, (0, 0), REACH_SIGMA)
    return 1 / (1 + change / TOLERANCE**2)


def _enlarged(crop: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(crop, (side, side), interpolation=cv2.INTER_CUBIC)


def _local_mean(values: np.ndarray, mask: np.ndarray, reach: float) -> np.ndarray:
    """Mean of [S, S, C] values around each pixel, of those under the mask only."""
    sigma = reach * len(mask)
    total = cv2.GaussianBlur(np.ascontiguousarray(values * mask[..., None]), (0, 0), sigma)
    weight = cv2.GaussianBlur(mask, (0, 0), sigma) + 1e-3  # no mask far around: no shift
    return total.reshape(values.shape) / weight[..., None]
