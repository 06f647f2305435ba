"""One photo -> the face's surroundings, small and with landmarks, or the reason why not."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
from PIL import Image

from simswap.geometry import TEMPLATES, apply, frame_to_crop_transform, invert, scale_of
from simswap.types import Face
from train.data.shards import PhotoRow, decode_photo
from train.errors import CorruptPhotoError, TrainingError
from train.pairing.alignment import coverage

Detect = Callable[[np.ndarray], list[Face]]  # uint8 [H, W, 3] RGB -> faces, largest first

# Around a crop, relative to its side: what training shifts, scales and turns a crop into.
_MARGIN = 0.1
_IDENTITY_TEMPLATE = "arcface"  # identity networks' crops are cut from the same photo
_ENCODERS: dict[str, dict[str, object]] = {
    "webp": {"method": 4},
    "jpeg": {"subsampling": 0},
    "png": {"compress_level": 3},
}


@dataclass(frozen=True)
class PhotoSettings:
    """What becomes of a photo."""

    template: str = "simswap_frontal"  # alignment of the crops that training will cut
    crop_size: int = 512  # px; the largest crop to be cut: photos that hold more are shrunk
    min_crop: int = 64  # px; faces whose crop covers less than this in the photo are dropped
    max_outside: float = 0.1  # share of a crop that may lie outside of its photo
    image_format: str = "webp"  # webp, jpeg, png
    quality: int = 95  # of webp and jpeg, 1 to 100
    min_score: float = 0.7  # detector's confidence from which a face counts
    redetect: bool = False  # also where the data set has landmarks
    one_face: bool = False  # drop photos with several faces, whose largest may be somebody else's

    def __post_init__(self) -> None:
        for name, choices in (("template", TEMPLATES), ("image_format", _ENCODERS)):
            if getattr(self, name) not in choices:
                raise TrainingError(
                    f"{name}={getattr(self, name)!r} is unknown. Use {', '.join(choices)}."
                )
        limits = {
            "crop_size": (32, 4096),
            "min_crop": (16, self.crop_size),
            "max_outside": (0, 1),
            "quality": (1, 100),
            "min_score": (0.01, 0.99),
        }
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise TrainingError(
                    f"{name}={getattr(self, name)} must lie between {low} and {high}."
                )


class Reason(StrEnum):
    """Why a photo is left out."""

    CORRUPT = "corrupt or unusable file"
    NO_FACE = "no face found"
    SEVERAL = "several faces"
    COINCIDENT = "landmarks coincide"
    TOO_SMALL = "face too small"
    OUTSIDE = "crop reaches outside of the photo"


@dataclass(frozen=True, eq=False)
class Prepared:
    """What is kept of a photo.

    image: the encoded face with its surroundings; landmarks: [5, 2] float32 in its pixels.
    num_faces: how many the detector found; None if the data set had landmarks.
    """

    image: bytes
    landmarks: np.ndarray
    num_faces: int | None


def prepare_photo(row: PhotoRow, detect: Detect, settings: PhotoSettings) -> Prepared | Reason:
    """Find the largest face where there are no landmarks, cut out its surroundings, shrink them."""
    try:
        photo = decode_photo(row)
    except CorruptPhotoError:
        return Reason.CORRUPT
    landmarks, num_faces = row.landmarks, None
    if landmarks is None or settings.redetect:
        faces = detect(photo)
        if not faces:
            return Reason.NO_FACE
        if settings.one_face and len(faces) > 1:
            return Reason.SEVERAL
        landmarks, num_faces = faces[0].landmarks, len(faces)
    try:
        photo_to_unit = frame_to_crop_transform(landmarks, settings.template, 1)
    except ValueError:
        return Reason.COINCIDENT
    if scale_of(photo_to_unit) * settings.min_crop > 1:
        return Reason.TOO_SMALL
    if 1 - coverage(photo.shape, landmarks, settings.template) > settings.max_outside:
        return Reason.OUTSIDE
    image, landmarks = cut_out(photo, landmarks, settings)
    return Prepared(encode(image, settings), landmarks, num_faces)


def cut_out(
    photo: np.ndarray, landmarks: np.ndarray, settings: PhotoSettings
) -> tuple[np.ndarray, np.ndarray]:
    """The part of a photo that crops need, shrunk to what `crop_size` needs, and its landmarks.

    photo: [H, W, 3] uint8, landmarks: [5, 2] -> [h, w, 3] uint8, [5, 2] float32.
    """
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * (1 + 2 * _MARGIN) - _MARGIN
    to_units = [
        frame_to_crop_transform(landmarks, template, 1)
        for template in (settings.template, _IDENTITY_TEMPLATE)
    ]
    points = np.concatenate([apply(invert(to_unit), corners) for to_unit in to_units])
    limits = np.array(photo.shape[1::-1])
    x0, y0 = np.clip(np.floor(points.min(0)), 0, limits - 1).astype(int)
    x1, y1 = np.clip(np.ceil(points.max(0)) + 1, 1, limits).astype(int)
    part = photo[y0:y1, x0:x1]
    landmarks = landmarks - np.array([x0, y0])
    factor = max(scale_of(to_unit) for to_unit in to_units) * settings.crop_size
    if factor < 1:
        old = np.array(part.shape[1::-1])
        new = np.maximum(np.ceil(old * factor), 1).astype(int)
        part = cv2.resize(part, new.tolist(), interpolation=cv2.INTER_AREA)
        # Pixel 0 has its middle at 0, so scaling moves it by half of what it grows.
        landmarks = (landmarks + 0.5) * (new / old) - 0.5
    return part, landmarks.astype(np.float32)


def encode(image: np.ndarray, settings: PhotoSettings) -> bytes:
    """An image [H, W, 3] uint8 RGB as a file, without any metadata of the photo it comes from."""
    stream = io.BytesIO()
    options = _ENCODERS[settings.image_format]
    Image.fromarray(np.ascontiguousarray(image)).save(
        stream, settings.image_format.upper(), quality=settings.quality, **options
    )
    return stream.getvalue()
