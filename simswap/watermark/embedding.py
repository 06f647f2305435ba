"""Writes the invisible mark into swapped crops: crops in, crops out, no networks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from simswap import geometry
from simswap.watermark import carrier
from simswap.watermark import grain as mark_grain
from simswap.watermark.carrier import PLANE, PLANES
from simswap.watermark.code import symbols_of

SMALLEST = 100.0  # px of the frame that the mark plane must cover; on smaller faces it is lost
FINE_FROM = 135.0  # px of the frame for each 128 of a finer plane, so that it outlives a halving

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, eq=False)
class FaceCrop:
    """A swapped crop about to be pasted: all that the mark depends on.

    swapped: [S, S, 3] float32 RGB in [0, 1]; target: [S, S, 3] uint8 RGB, what it is pasted over;
    mask: [S, S] float32, 1 where `swapped` is kept; landmarks: [5, 2] (x, y) in crop pixels.
    side: px of the frame that the mark plane covers, see side_in_frame.
    """

    swapped: np.ndarray
    target: np.ndarray
    mask: np.ndarray
    landmarks: np.ndarray
    side: float


def side_in_frame(landmarks: np.ndarray) -> float:
    """Pixels of the frame that the mark plane of a face covers; landmarks: [5, 2] in the frame.

    Below SMALLEST a face cannot carry a mark.
    """
    frame_to_plane = geometry.frame_to_crop_transform(landmarks, carrier.TEMPLATE, PLANE)
    return PLANE / geometry.scale_of(frame_to_plane)


def plane_of(side: float) -> int:
    """Pixels of the plane for the symbols of a face that covers `side` px, one of PLANES."""
    return max(plane for plane in PLANES if plane == PLANE or side >= FINE_FROM * plane / PLANE)


def told_if_unmarked(num_faces: int) -> tuple[str, ...]:
    """The notice about faces that are too small for the mark; none if there are none."""
    if not num_faces:
        return ()
    faces = "1 face is" if num_faces == 1 else f"{num_faces} faces are"
    return (f"{faces} too small to carry the invisible mark.",)


def mark_crop(face: FaceCrop, bundle_id: int) -> np.ndarray:
    """The swapped crop ([S, S, 3] float32 RGB in [0, 1]) with the watermark of a model in it.

    Only brightness changes, where the mask is not 0. bundle_id: 32 bits, see code.mark_id.
    """
    size, plane, symbols = len(face.mask), plane_of(face.side), symbols_of(bundle_id)
    crop_to_plane = geometry.compose(
        geometry.frame_to_crop_transform(face.landmarks, carrier.TEMPLATE, PLANE),
        geometry.resize_transform(plane / PLANE),
    )
    mask = face.mask[..., None]
    pasted = (face.swapped * mask) * 255 + face.target * (1 - mask)
    luma, mask = pasted @ LUMA, face.mask
    # A crop aligned like the plane, as the bundled model's are, need not be resampled.
    is_plane = size == plane and np.allclose(crop_to_plane, np.eye(2, 3), atol=1e-3)
    if not is_plane:
        luma, mask = (_warp(picture, crop_to_plane, plane) for picture in (luma, mask))
    grain = mark_grain.grain_of(luma, np.clip(mask, 0, 1), symbols, face.side)
    if not is_plane:
        grain = _warp(grain, geometry.invert(crop_to_plane), size)
    return np.clip(face.swapped + grain[..., None] / 255, 0, 1)


def _warp(picture: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """A single-channel picture through a transform; averaged first where it shrinks."""
    shrink = 1 / geometry.scale_of(transform)
    if shrink > 1.2:
        small = max(round(len(picture) / shrink), 1)
        factor = len(picture) / small
        picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        transform = geometry.compose(geometry.resize_transform(factor), transform)
    return cv2.warpAffine(picture, transform, (size, size), flags=cv2.INTER_CUBIC)
