"""Cuts faces out of a frame for the networks."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from simswap import geometry
from simswap.types import Face


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """A face cut out for the generator.

    crop: [S, S, 3] uint8 RGB; frame_to_crop: [2, 3]; landmarks: [5, 2] in crop pixels.
    """

    crop: np.ndarray
    frame_to_crop: np.ndarray
    landmarks: np.ndarray


def align_face(frame: np.ndarray, face: Face, template: str, size: int) -> AlignedFace:
    """Cut a face out of a frame; `template` is one of geometry.template_names()."""
    frame_to_crop = geometry.frame_to_crop_transform(face.landmarks, template, size)
    return AlignedFace(
        crop=geometry.warp_to_crop(frame, frame_to_crop, size),
        frame_to_crop=frame_to_crop,
        landmarks=geometry.apply(frame_to_crop, face.landmarks),
    )


def enlarged(frame: np.ndarray, face: AlignedFace, side: int) -> AlignedFace:
    """The same face, cut out of its frame at `side` pixels a side."""
    to_enlarged = geometry.resize_transform(side / len(face.crop))
    frame_to_crop = geometry.compose(face.frame_to_crop, to_enlarged)
    return AlignedFace(
        crop=geometry.warp_to_crop(frame, frame_to_crop, side, cv2.INTER_CUBIC),
        frame_to_crop=frame_to_crop,
        landmarks=geometry.apply(to_enlarged, face.landmarks),
    )
