"""Photos in and out.

Messages name a file by its base name only, so a server shows no path of its own; `check_output`
names the folder the caller passed.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from simswap.errors import MediaError, OptionError
from simswap.files import printable, replaced, temporary_beside
from simswap.media import allowance
from simswap.media.decoding import (
    Photo,
    check_size,
    decode_first,
    decode_series,
    readable_damage,
)
from simswap.media.photo_files import pictures_in
from simswap.media.tiff_files import has_further_views
from simswap.provenance.metadata import synthetic_xmp
from simswap.provenance.signing import sign_photo

MAX_FILE_BYTES = 100_000_000
# Names of the gain maps of Google and Adobe, of Apple, and of ISO 21496-1.
_GAIN_MAPS = (b"hdrgm:Version", b"aux:hdrgainmap", b"urn:iso:std:iso:ts:21496:-1")
_COPIES = 4  # in memory, of a result that is signed
_MPF = b"MPF\0"  # begins a JPEG's list of its pictures
_MAX_BEFORE_MPF, _MAX_SEGMENT = 500_000, 65_535  # bytes

# Longest side each format can hold, by suffix.
OUTPUT_SUFFIXES = {
    ".png": 2**31 - 1,
    ".jpg": 65_500,
    ".jpeg": 65_500,
    ".webp": 16_383,
    ".avif": 65_535,
}
_TRANSPARENT = (".png", ".webp", ".avif")


def read_photo(path: str | os.PathLike[str], max_pixels: int | None = None) -> Photo:
    """Read a JPEG, PNG, WebP, AVIF, HEIC, GIF, BMP or TIFF file of any of their pixel kinds.

    EXIF orientation is applied; of an animation or a file of several pages the first picture is
    taken, with a notice. 16-bit pixels are brought to 8; colours other than RGB become sRGB.
    max_pixels: of kinds that have no lower limit, None: 65 million without transparency in a JPEG
    or PNG, else 50 million; a swap takes some 12 bytes of memory for each.
    Raises MediaError (missing, not a photo, damaged, larger than the limits, tiny).
    """
    path = Path(path)
    data, name = content_of(path)
    with readable_damage(name):
        first = pictures_in(data, name)
    left_out = tuple(_left_out(data, name))
    del data
    check = None if max_pixels is None else partial(check_size, max_pixels=max_pixels)
    photo = decode_first(first, name, check)
    return replace(photo, path=path, notices=(*photo.notices, *left_out))


def read_pictures(path: str | os.PathLike[str], most: int) -> Iterator[tuple[np.ndarray, int]]:
    """Up to `most` pictures of an animation or of a photo with several; see decode_series."""
    data, name = content_of(Path(path))
    series = decode_series(data, name, most)
    del data
    yield from series


def check_output(path: str | os.PathLike[str], size: tuple[int, int] | None = None) -> None:
    """Raise MediaError now if `path` could not be written later.

    size: (width, height) of the picture to come, where known; some formats hold only so much.
    """
    path = Path(path)
    name = printable(path.name)
    suffix = path.suffix.lower()
    if suffix not in OUTPUT_SUFFIXES:
        raise MediaError(
            f"The output {name!r} has an unknown ending {printable(path.suffix)!r}. "
            "Use .png, .jpg, .webp or .avif."
        )
    if size is not None and max(size) > OUTPUT_SUFFIXES[suffix]:
        raise MediaError(
            f"A {suffix[1:].upper()} file holds at most {OUTPUT_SUFFIXES[suffix]} px a side, "
            f"this photo has {size[0]}x{size[1]}. Write a .png instead."
        )
    check_writable(path)


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise MediaError now if no file could be written, or replaced, at `path` later."""
    name, folder = printable(Path(path).name), printable(str(Path(path).parent))
    path = Path(os.path.realpath(path))  # what a link points to is replaced, not the link
    if not path.parent.is_dir():
        raise MediaError(f"The output folder {folder} does not exist. Create it first.")
    try:
        is_writable = stat.S_ISREG(path.stat().st_mode) and os.access(path, os.W_OK)
    except FileNotFoundError:
        is_writable = True
    except OSError:  # such as a name that is too long
        is_writable = False
    if not is_writable:
        raise MediaError(f"The output {name} cannot be written to. Choose another name.")
    probe = temporary_beside(path)
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError as error:
        raise MediaError(
            f"The output folder {folder} cannot be written to ({error.strerror}). "
            "Choose another folder."
        ) from error


def write_photo(
    path: str | os.PathLike[str],
    image: np.ndarray,
    *,
    like: Photo | None = None,
    model: str | None,
    quality: int = 95,
) -> tuple[str, ...]:
    """Write a photo that a model made or changed, marked and signed; all of it or nothing.

    image: [H, W, 3] uint8 RGB. The format follows the suffix; see OUTPUT_SUFFIXES.
    like: the photo it was made from, whose colour profile is kept, and whose transparency where the
        format has any (a JPEG gets the plain RGB pixels). Its EXIF is not: it may tell a place.
    model: name of the model bundle, for the label and the Content Credentials; None for a photo in
        which nothing was changed, which gets neither.
    quality: 1 to 100 for JPEG and AVIF (never colour-subsampled) and WebP (100: lossless).
    Returns notices in plain words, such as why the photo could not be signed.
    Raises MediaError if the file cannot be written, OptionError for another quality.
    """
    path = Path(path)
    if not 1 <= quality <= 100:
        raise OptionError(f"quality={quality} is outside 1 to 100.")
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(f"image is {image.dtype} {image.shape}, expected uint8 [H, W, 3].")
    check_output(path, size=(image.shape[1], image.shape[0]))
    suffix, like = path.suffix.lower(), like or Photo(image)
    if model is None:
        signed, notices = _encode(suffix, image, like, b"", quality), ()
    else:
        encoded = _encode(suffix, image, like, synthetic_xmp(model), quality)
        allowance.check_signable(len(encoded), _COPIES, "Save it as JPEG, or use a smaller photo.")
        signed, notices = sign_photo(encoded, suffix, model, like.path)
    try:
        with replaced(path, follow=True) as part:
            part.write_bytes(signed)
    except OSError as error:
        raise MediaError(
            f"{printable(path.name)} could not be written ({error.strerror}). "
            "Free some space or choose another folder."
        ) from error
    return notices


def content_of(path: Path) -> tuple[bytes, str]:
    """A photo's bytes, and its name fit for a message.

    Raises MediaError (missing, no file, empty, larger than the limit).
    """
    name = printable(path.name)
    try:
        with _opened(path, name) as stream:
            allowance.begin_file(path.stat().st_size)
            return stream.read(MAX_FILE_BYTES), name
    except OSError as error:
        raise MediaError(
            f"{name} cannot be read ({error.strerror}). Check the disk it lies on."
        ) from error


def _left_out(data: bytes, name: str) -> Iterator[str]:
    """What of a file is not a part of its first picture, in sentences."""
    if any(word in data for word in _GAIN_MAPS):
        yield f"The gain map in {name}, which brightens it on HDR displays, is left out."
    elif data.startswith(b"\xff\xd8\xff"):
        start = data.find(_MPF, 0, _MAX_BEFORE_MPF) + len(_MPF)
        if start >= len(_MPF) and has_further_views(data[start : start + _MAX_SEGMENT]):
            yield f"{name} holds several views: only the first is used."


@contextmanager
def _opened(path: Path, name: str) -> Iterator[BinaryIO]:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise MediaError(f"{name} does not exist or may not be read. Check the path.") from error
    if stat.S_ISDIR(status.st_mode):
        raise MediaError(f"{name} is a folder, not a photo. Give the path of one photo.")
    if not stat.S_ISREG(status.st_mode):
        raise MediaError(f"{name} is not a regular file. Give the path of one photo.")
    if status.st_size == 0:
        raise MediaError(f"{name} is empty (0 bytes). Save or download it again.")
    if status.st_size > MAX_FILE_BYTES:
        raise MediaError(
            f"{name} has {status.st_size / 1e6:.0f} MB, more than the "
            f"{MAX_FILE_BYTES / 1e6:.0f} MB a photo may have. Save it smaller."
        )
    try:
        stream = path.open("rb")
    except OSError as error:
        raise MediaError(
            f"{name} cannot be opened ({error.strerror}). Check its rights."
        ) from error
    with stream:
        yield stream


def _encode(suffix: str, image: np.ndarray, like: Photo, xmp: bytes, quality: int) -> bytes:
    alpha = like.alpha if suffix in _TRANSPARENT else None
    if alpha is not None and alpha.shape != image.shape[:2]:
        raise ValueError(f"image is {image.shape[:2]}, the photo's alpha {alpha.shape}.")
    pixels = image if alpha is None else np.dstack([image, alpha])
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    del pixels
    encoded = io.BytesIO()
    if suffix == ".png":
        text = PngInfo()
        if xmp:
            text.add_itxt("XML:com.adobe.xmp", xmp.decode())
        # Level 3 of zlib: 5 % larger than Pillow's 6 on photos, in a third of the time.
        picture.save(encoded, "PNG", compress_level=3, pnginfo=text, icc_profile=like.icc_profile)
    elif suffix == ".webp":
        picture.save(
            encoded,
            "WEBP",
            quality=quality,
            lossless=quality == 100,
            exact=True,  # colours under full transparency are the photo's too
            xmp=xmp,
            icc_profile=like.icc_profile or b"",
        )
    else:
        kind, colours = ("AVIF", "4:4:4") if suffix == ".avif" else ("JPEG", 0)
        settings = {"quality": quality, "subsampling": colours, "xmp": xmp}
        picture.save(encoded, kind, icc_profile=like.icc_profile or b"", **settings)
    return encoded.getvalue()
