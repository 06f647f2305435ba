"""Decoded pictures of any pixel kind, brought to upright 8-bit RGB with the profile they are in."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageCms

from simswap.colour_profile import plain_profile
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

_ORIENTATION_TAG = 0x0112
_ORIENTATIONS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def turn_upright(picture: Image.Image) -> Image.Image:
    """Apply the EXIF orientation, if there is one; broken EXIF counts as none."""
    try:
        orientation = picture.getexif().get(_ORIENTATION_TAG)
    except DECODE_ERRORS:
        return picture
    method = _ORIENTATIONS.get(orientation) if isinstance(orientation, int) else None
    return picture if method is None else picture.transpose(method)


def to_rgb(
    picture: Image.Image, icc_profile: bytes | None
) -> tuple[np.ndarray, np.ndarray | None, bytes | None]:
    """Pixels [H, W, 3] uint8 RGB, alpha [H, W] uint8 or None, and the profile the pixels are in.

    An RGB profile is written anew, so that nothing but its colours is kept; see colour_profile.
    Where that cannot be, and for grey and print colours, pixels are converted to sRGB, whose
    profile is None, by their own profile where the file has a sound one. 16-bit pixels become 8.
    Raises MediaError for 32-bit pixels, ValueError for a kind Pillow cannot convert.
    """
    picture = _to_8_bit(picture)
    space = icc_profile[16:20] if icc_profile and icc_profile[36:40] == b"acsp" else b""
    alpha = None
    if picture.has_transparency_data:
        picture = picture.convert("LA" if picture.mode == "LA" else "RGBA")
        alpha = np.array(picture.getchannel("A"))
        picture = picture.convert("L" if picture.mode == "LA" else "RGB")
    profile = None
    if space == b"RGB " and picture.mode != "CMYK":
        picture = picture if picture.mode == "RGB" else picture.convert("RGB")
        profile = plain_profile(icc_profile)
        if profile is None:
            picture = _to_srgb(picture, icc_profile)
    elif (space, picture.mode) in ((b"GRAY", "L"), (b"CMYK", "CMYK")):
        picture = _to_srgb(picture, icc_profile)
    elif picture.mode != "RGB":
        picture = picture.convert("RGB")
    return np.array(picture), alpha, profile


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
