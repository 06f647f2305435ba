"""Blends a swapped crop into its frame, under its mask."""

from __future__ import annotations

import cv2
import numpy as np

from simswap import geometry

_AT_ONCE = 4_000_000  # pixels, of which a blend takes 20 bytes each


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
    pixels, weight = cv2.convertScaleAbs(swapped_crop, alpha=255), mask
    scale, interpolation = geometry.scale_of(crop_to_frame), cv2.INTER_CUBIC
    resized_size = max(round(size * scale), 1)  # of the whole face, though little may be in sight
    if resized_size**2 <= _AT_ONCE:
        # First a resize to the face's own size: it averages where the crop shrinks (a warp would
        # pick single pixels), and where it grows a cubic resize is far cheaper than a cubic warp.
        side = (resized_size, resized_size)
        shrinks = scale < 1
        pixels = cv2.resize(
            pixels, side, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        )
        weight = cv2.resize(
            weight, side, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        )
        weight[[0, -1]] = weight[:, [0, -1]] = 0  # where it shrank it reached in from the border
        crop_to_frame = geometry.compose(
            geometry.resize_transform(size / resized_size), crop_to_frame
        )
        # Linear blurs detail of single pixels, which a much enlarged crop does not have.
        interpolation = cv2.INTER_LINEAR if scale > 2 else cv2.INTER_CUBIC
    rows = max(_AT_ONCE // (x1 - x0), 1)
    for top in range(y0, y1, rows):
        region = frame[top : min(top + rows, y1), x0:x1]
        to_region = geometry.compose(crop_to_frame, np.array([[1.0, 0, -x0], [0, 1, -top]]))
        _blend(region, pixels, weight, to_region, interpolation)


def _blend(
    region: np.ndarray,
    pixels: np.ndarray,
    weight: np.ndarray,
    to_region: np.ndarray,
    interpolation: int,
) -> None:
    def moved(picture: np.ndarray, interpolation: int) -> np.ndarray:
        # The repeated border is the mask's 0, and keeps dark fringes out.
        shape, border = region.shape[1::-1], cv2.BORDER_REPLICATE
        return cv2.warpAffine(picture, to_region, shape, flags=interpolation, borderMode=border)

    share = moved(weight, cv2.INTER_LINEAR)
    region[:] = cv2.blendLinear(
        moved(pixels, interpolation), np.ascontiguousarray(region), share, 1 - share
    )
