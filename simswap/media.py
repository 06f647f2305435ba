"""Photos in and out.

What a file may be is decided by its own first bytes, and what it may cost by its header, before
any pixel is decoded. Messages name a file by its base name only, so a server shows no path of its
own; `check_output` names the folder the caller passed.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import jpeg_factory
from PIL.PngImagePlugin import PngImageFile, PngInfo
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from simswap.content_credentials import sign_photo
from simswap.errors import MediaError, OptionError
from simswap.files import replaced, temporary_beside
from simswap.pixels import DECODE_ERRORS, to_rgb, turn_upright
from simswap.provenance import printable, synthetic_xmp

MAX_FILE_BYTES = 100_000_000
MAX_PIXELS = 50_000_000
MIN_SIDE = 16  # px; no face can be found in less

# Longest side each format can hold, by suffix.
OUTPUT_SUFFIXES = {".png": 2**31 - 1, ".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}

# The only decoders a file can reach; among those left out is one that starts Ghostscript (EPS).
_DECODERS: dict[bytes, Callable[[BinaryIO], ImageFile]] = {
    b"\xff\xd8\xff": jpeg_factory,
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"RIFF": WebPImageFile,
    b"GIF8": GifImageFile,
    b"BM": BmpImageFile,
    b"II*\0": TiffImageFile,
    b"MM\0*": TiffImageFile,
}


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo, upright.

    image: [H, W, 3] uint8 RGB, in the colours of `icc_profile` (sRGB where that is None).
    alpha: [H, W] uint8, 0 is transparent; None for a format or file without transparency.
    notices: what the caller should know of how the file was read, in plain words.
    path: the file it was read from, which what is made of it names as where it came from.
    """

    image: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None
    notices: tuple[str, ...] = ()
    path: Path | None = None


def read_photo(path: str | os.PathLike[str]) -> Photo:
    """Read a JPEG, PNG, WebP, GIF, BMP or TIFF file of any of their pixel kinds.

    EXIF orientation is applied; of an animation or a file of several pages the first picture is
    taken, with a notice. 16-bit pixels are brought to 8; colours other than RGB become sRGB.
    Raises MediaError (missing, not a photo, damaged, larger than the limits, tiny).
    """
    path = Path(path)
    name = printable(path.name)
    with _opened(path, name) as stream, _quiet_pillow():
        try:
            decoded = _decoder_for(stream, name)(stream)
            _check_size(decoded.size, name)
            decoded.load()
            return replace(_to_photo(decoded, name), path=path)
        except DECODE_ERRORS as error:
            raise MediaError(
                f"{name} is damaged or incomplete and cannot be decoded. "
                "Save or download it again, or choose another photo."
            ) from error


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
            "Use .png, .jpg or .webp."
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
    model: str,
    quality: int = 95,
) -> tuple[str, ...]:
    """Write a photo that a model made or changed, marked and signed; all of it or nothing.

    image: [H, W, 3] uint8 RGB. The format follows the suffix: .png, .jpg, .jpeg, .webp.
    like: the photo it was made from, whose colour profile is kept, and whose transparency where the
        format has any (a JPEG gets the plain RGB pixels). Its EXIF is not: it may tell a place.
    model: name of the model bundle, for the mark and the Content Credentials.
    quality: 1 to 100 for JPEG (never colour-subsampled) and WebP (100: lossless).
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
    encoded = _encode(suffix, image, like, synthetic_xmp(model), quality)
    signed, notices = sign_photo(encoded, suffix, model, like.path)
    try:
        with replaced(path) as part:
            part.write_bytes(signed)
    except OSError as error:
        raise MediaError(
            f"{printable(path.name)} could not be written ({error.strerror}). "
            "Free some space or choose another folder."
        ) from error
    return notices


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


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    # Pillow warns of odd metadata on stderr, where it says nothing to the person with the photo.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _decoder_for(stream: BinaryIO, name: str) -> Callable[[BinaryIO], ImageFile]:
    head = stream.read(16)
    stream.seek(0)
    for signature, decoder in _DECODERS.items():
        if head.startswith(signature) and (signature != b"RIFF" or head[8:12] == b"WEBP"):
            return decoder
    if head[4:8] == b"ftyp":
        is_photo = head[8:12] in (b"heic", b"heix", b"mif1", b"msf1", b"avif")
        kind = "a HEIC or AVIF photo" if is_photo else "a video"
        raise MediaError(f"{name} is {kind}, which is not read here. Save it as JPEG or PNG.")
    raise MediaError(f"{name} is not a photo in a known format. Use JPEG, PNG, WebP, BMP or TIFF.")


def _check_size(size: tuple[int, int], name: str) -> None:
    width, height = size
    if width * height > MAX_PIXELS:
        raise MediaError(
            f"{name} has {width}x{height} pixels, more than the {MAX_PIXELS // 1_000_000} million "
            "a photo may have. Save it smaller."
        )
    if min(size) < MIN_SIDE:
        raise MediaError(
            f"{name} has {width}x{height} pixels, too few to show a face. "
            f"Use a photo of at least {MIN_SIDE} px a side."
        )


def _to_photo(decoded: ImageFile, name: str) -> Photo:
    notices = []
    # An MPO is one JPEG photo with previews or a depth map behind it.
    if getattr(decoded, "is_animated", False) and decoded.format != "MPO":
        kind = "several pages" if decoded.format == "TIFF" else "an animation"
        notices.append(f"{name} holds {kind}: only the first picture is used.")
    if decoded.mode == "CMYK":
        notices.append(f"{name} is made for print (CMYK): its colours were converted to sRGB.")
    upright = turn_upright(decoded)
    return Photo(*to_rgb(upright, decoded.info.get("icc_profile")), tuple(notices))


def _encode(suffix: str, image: np.ndarray, like: Photo, xmp: bytes, quality: int) -> bytes:
    alpha = like.alpha if suffix in (".png", ".webp") else None
    if alpha is not None and alpha.shape != image.shape[:2]:
        raise ValueError(f"image is {image.shape[:2]}, the photo's alpha {alpha.shape}.")
    pixels = image if alpha is None else np.dstack([image, alpha])
    picture = Image.fromarray(np.ascontiguousarray(pixels))
    encoded = io.BytesIO()
    if suffix == ".png":
        text = PngInfo()
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
        picture.save(
            encoded,
            "JPEG",
            quality=quality,
            subsampling=0,
            xmp=xmp,
            icc_profile=like.icc_profile,
        )
    return encoded.getvalue()
