"""Decoded pictures of any pixel kind, brought to upright 8-bit RGB with the profile they are in."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

from simswap.errors import MediaError

# What Pillow's decoders raise for bytes that are not what they should be.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    AttributeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)

_STRIP = 128  # rows
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turn_upright(picture: Image.Image, orientation: int) -> Image.Image:
    """Apply an orientation as EXIF counts them, 1 to 8; 1 is upright."""
    method = _ORIENTATIONS.get(orientation)
    return picture if method is None else picture.transpose(method)


def to_rgb(
    picture: Image.Image, icc_profile: bytes | None
) -> tuple[np.ndarray, np.ndarray | None, bytes | None]:
    """Pixels [H, W, 3] uint8 RGB, alpha [H, W] uint8 or None, and the profile the pixels are in.

    An RGB profile is kept. Grey and print colours are converted to sRGB, whose profile is None, by
    their own profile where the file has a sound one. 16-bit pixels are brought to 8.
    Raises MediaError for 32-bit pixels, ValueError for a kind Pillow cannot convert.
    """
    picture = _to_8_bit(picture)
    space = icc_profile[16:20] if icc_profile and icc_profile[36:40] == b"acsp" else b""
    alpha = None
    if picture.has_transparency_data:
        if picture.mode != "LA":
            alpha = _array(picture, "RGBA", 3)
            picture = picture if picture.mode == "RGBA" else picture.convert("RGBA")
        else:
            alpha = _array(picture, "LA", 1)
            picture = picture.convert("L")
    is_rgb_profile = space == b"RGB " and picture.mode != "CMYK"
    if (space, picture.mode) in ((b"GRAY", "L"), (b"CMYK", "CMYK")):
        picture = _to_srgb(picture, icc_profile)
    return _array(picture, "RGB"), alpha, icc_profile if is_rgb_profile else None


def _array(picture: Image.Image, mode: str, band: int | slice = slice(None)) -> np.ndarray:
    """Pixels in another mode, or one band of them: strip by strip, so that no copy lies about."""
    width, height = picture.size
    image = np.empty((height, width) if isinstance(band, int) else (height, width, 3), np.uint8)
    for top in range(0, height, _STRIP):
        strip = picture.crop((0, top, width, min(top + _STRIP, height)))
        image[top : top + _STRIP] = np.asarray(strip.convert(mode))[..., band]
    return image


def _to_8_bit(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I;16"):
        # Pillow's own conversion clips at 255 instead of scaling.
        grey = np.asarray(picture).astype(np.uint32)
        return Image.fromarray(((grey * 255 + 32_767) // 65_535).astype(np.uint8))
    if picture.mode in ("I", "F"):
        raise MediaError(
            "The photo has 32-bit pixels, whose brightness has no agreed scale. "
            "Save it with 8 or 16 bits."
        )
    return picture


def _to_srgb(picture: Image.Image, icc_profile: bytes) -> Image.Image:
    """The picture in sRGB as its profile tells, or by Pillow's plain formula if that is damaged."""
    try:
        return ImageCms.profileToProfile(
            picture,
            io.BytesIO(icc_profile),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return picture.convert("RGB")
