"""Photos decoded no larger than a crop needs, where the file's kind allows it: JPEG."""

from __future__ import annotations

import io

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from simswap.errors import MediaError
from simswap.media.decoding import MAX_PIXELS, check_size, readable_damage
from simswap.media.photo_files import pictures_in
from train.data.rows import PhotoRow, decode_photo
from train.errors import CorruptPhotoError

FACTORS = (8, 4, 2)  # by which JPEG's blocks can be decoded smaller, at a fraction of the time
NAME = "the photo"  # in messages


def decode_to_fit(row: PhotoRow, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """A row's photo and landmarks, smaller if a crop then still has no more pixels than the photo.

    scale: pixels of the crop for one of the photo. A row without landmarks has none to be used.
    Returns [H, W, 3] uint8 RGB upright, [5, 2] float32. Raises CorruptPhotoError.
    """
    factor = next((factor for factor in FACTORS if factor * scale <= 1), 1)
    if factor > 1 and row.image.startswith(b"\xff\xd8\xff"):
        try:
            with readable_damage(NAME):
                photo = _reduced(row.image, factor)
        except MediaError as error:
            raise CorruptPhotoError(f"{row.name}: {error}") from error
        if photo is not None:
            # Pixel 0 has its middle at 0, so scaling moves it by half of what it shrinks.
            return photo, (row.landmarks + 0.5) / factor - 0.5
    return decode_photo(row), row.landmarks


def _reduced(data: bytes, factor: int) -> np.ndarray | None:
    """None where more than pixels must be looked at: turned photos, profiles, print colours."""
    held = pictures_in(data, NAME)  # without what a library would copy, unpack or count
    decoded = JpegImageFile(io.BytesIO(held.data))
    size = decoded.size
    check_size(size, NAME, held.max_pixels or MAX_PIXELS)
    is_plain = decoded.mode in ("RGB", "L") and not decoded.info.get("icc_profile")
    if held.orientation != 1 or not is_plain:
        return None
    wanted = tuple(-(-side // factor) for side in size)
    decoded.draft(decoded.mode, (size[0] // factor, size[1] // factor))
    return np.asarray(decoded.convert("RGB")) if decoded.size == wanted else None
