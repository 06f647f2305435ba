"""Decoded pictures of any pixel kind, brought to upright 8-bit RGB with the profile they are in."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

from simswap.errors import MediaError
from simswap.media.colours.profile import plain_profile

# What Pillow's decoders raise for bytes that are not what they should be.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    AssertionError,  # Pillow's, for a palette that is missing
    OverflowError,
    AttributeError,
    RuntimeError,  # libheif's, where its header and what is coded differ
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_STRIP = 1_000_000  # pixels that are converted at a time, or one row
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo, upright.

    image: [H, W, 3] uint8 RGB, in the colours of `icc_profile` (sRGB where that is None), which
    holds nothing but them; see to_rgb.
    alpha: [H, W] uint8, 0 is transparent; None for a format or file without transparency.
    notices: what the caller should know of how the file was read, in plain words.
    path: the file it was read from, which what is made of it names as where it came from.
    """

    image: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    notices: tuple[str, ...] = ()
    path: Path | None = None


def to_rgb(
    picture: Image.Image, icc_profile: bytes | None, orientation: int = 1
) -> tuple[np.ndarray, np.ndarray | None, bytes | None]:
    """Pixels [H, W, 3] uint8 RGB, alpha [H, W] uint8 or None, and the profile the pixels are in.

    icc_profile: one of bounded cost; see colours.profile. orientation: as EXIF
    counts them, 1 to 8; the result is upright.
    An RGB profile is written anew, so that nothing but its colours is kept; see there.
    Where that cannot be, and for grey and print colours, pixels are converted to sRGB, whose
    profile is None, by their own profile where the file has a sound one. 16-bit pixels become 8.
    Raises MediaError for 32-bit pixels, ValueError for a kind Pillow cannot convert.
    """
    if picture.mode in ("I", "F"):
        raise MediaError(
            "The photo has 32-bit pixels, whose brightness has no agreed scale. "
            "Save it with 8 or 16 bits."
        )
    convert, profile = _conversion(picture, icc_profile)
    width, height = picture.size
    shape = (width, height) if orientation > 4 else (height, width)
    has_alpha = picture.has_transparency_data and not picture.mode.startswith("I;16")
    image = np.empty((*shape, 3), np.uint8)
    alpha = np.empty(shape, np.uint8) if has_alpha else None
    # Strip by strip, so that no copy of the whole lies about.
    rows = max(_STRIP // width, 1)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        strip = _to_8_bit(picture.crop((0, top, width, bottom)))
        if orientation in _ORIENTATIONS:
            strip = strip.transpose(_ORIENTATIONS[orientation])
        place = _place(top, bottom, height, orientation)
        if alpha is not None:
            strip = strip if strip.mode == "LA" else strip.convert("RGBA")
            alpha[place] = np.asarray(strip)[..., -1]
        image[place] = np.asarray(convert(strip))
    return image, alpha, profile


def _place(top: int, bottom: int, height: int, orientation: int) -> tuple[slice, ...]:
    """Where these rows of a picture lie in the upright one."""
    is_reversed = orientation in (3, 4, 6, 7)
    rows = slice(height - bottom, height - top) if is_reversed else slice(top, bottom)
    return (slice(None), rows) if orientation > 4 else (rows,)


def _to_8_bit(picture: Image.Image) -> Image.Image:
    if not picture.mode.startswith("I;16"):
        return picture
    # Pillow's own conversion clips at 255 instead of scaling.
    grey = np.asarray(picture).astype(np.uint32)
    return Image.fromarray(((grey * 255 + 32_767) // 65_535).astype(np.uint8))


def _conversion(
    picture: Image.Image, icc_profile: bytes | None
) -> tuple[Callable[[Image.Image], Image.Image], bytes | None]:
    """What makes a strip of a picture RGB, and the profile its colours are in then."""
    space = icc_profile[16:20] if icc_profile else b""
    is_grey = picture.mode in ("L", "LA") or picture.mode.startswith("I;16")
    if space == b"RGB " and picture.mode != "CMYK":
        profile = plain_profile(icc_profile)
        return (_plain, profile) if profile else (_to_srgb("RGB", icc_profile), None)
    if space == b"GRAY" and is_grey:
        return _to_srgb("L", icc_profile), None
    if space == b"CMYK" and picture.mode == "CMYK":
        return _to_srgb("CMYK", icc_profile), None
    return _plain, None


def _plain(picture: Image.Image) -> Image.Image:
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _to_srgb(mode: str, icc_profile: bytes) -> Callable[[Image.Image], Image.Image]:
    """The way to sRGB as a profile tells, or by Pillow's plain formula if that is damaged."""
    try:
        transform = ImageCms.buildTransform(
            io.BytesIO(icc_profile),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return _plain
    return lambda picture: transform.apply(picture.convert(mode))
