"""Bytes of a photo to its pixels.

What a file may be is decided by its own first bytes, and what it may cost by its structure and its
header, before any pixel is decoded.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO

import numpy as np
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from simswap.errors import CrowdedError, MediaError
from simswap.files import search
from simswap.media import allowance
from simswap.media.colours.high_range import HLG, PQ, bring_to_standard_range
from simswap.media.colours.profile import bounded_profile
from simswap.media.heif_files import (
    decode_apart,
    kind_of,
    open_avif,
    open_heic,
    transfer_in,
)
from simswap.media.photo_files import MAX_PROFILE_BYTES, Pictures, pictures_in
from simswap.media.pixels import DECODE_ERRORS, Photo, to_rgb

MAX_PIXELS = 50_000_000
MAX_PLAIN_PIXELS = 65_000_000  # without transparency, of the kinds that need least memory
MAX_OWN_PIXELS = 65_000_000  # of a user's own photo: phones take 64 million
MAX_SERIES_PIXELS = 100_000_000  # of a file's pictures up to the last that is looked at
MAX_CANVAS_PIXELS = 12_000_000  # of an animation, of whose pictures decoders hold several
MIN_SIDE = 16  # px; no face can be found in less
MAX_SIDE = 65_500  # px, as JPEG has; a row of a longer picture could be all of it
MAX_JPEGS = 1_000  # pictures of one file that are counted

# The only decoders a file can reach; among those left out is one that starts Ghostscript (EPS).
_DECODERS: dict[str, Callable[[BinaryIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WebP": WebPImageFile,
    "GIF": GifImageFile,
    "BMP": BmpImageFile,
    "TIFF": TiffImageFile,
    "AVIF": open_avif,
    "HEIC": open_heic,
}

_PLAIN = {"JPEG", "PNG"}
_ORIENTATION = 0x0112  # of EXIF
Check = Callable[[tuple[int, int], str], None]
_JPEG_START = re.compile(rb"\xff\xd8\xff[\xc0-\xc4\xdb\xdd\xe0-\xef\xfe]")


def check_size(size: tuple[int, int], name: str, max_pixels: int = MAX_PIXELS) -> None:
    """Raise MediaError if a photo of this width and height is not taken."""
    width, height = size
    if width * height > max_pixels:
        raise MediaError(
            f"{name} has {width}x{height} pixels, more than the {max_pixels // 1_000_000} million "
            "a photo may have. Save it smaller."
        )
    if max(size) > MAX_SIDE:
        raise MediaError(
            f"{name} has {width}x{height} pixels; at most {MAX_SIDE} px a side are taken. "
            "Cut the part out of it that shows the face."
        )
    if min(size) < MIN_SIDE:
        raise MediaError(
            f"{name} has {width}x{height} pixels, too few to show a face. "
            f"Use a photo of at least {MIN_SIDE} px a side."
        )


def _check_kind(size: tuple[int, int], first: Pictures, name: str) -> None:
    most = first.max_pixels
    if most is not None and size[0] * size[1] > most:
        kind = "JPEG of several scans" if first.kind == "JPEG" else first.kind
        kind = f"an animated {kind}" if first.has_more else f"a {kind}".replace("a AV", "an AV")
        raise MediaError(
            f"{name} is {kind} of {size[0]}x{size[1]} pixels; at most {most // 1_000_000} "
            "million are taken of that kind, which takes much memory. Save it smaller, or as PNG."
        )


def decode_photo(data: bytes, name: str, check: Check | None = None) -> Photo:
    """The first picture of a file's bytes, upright; all photos, whoever sends them, pass here.

    name: of the file, for messages. check: raises for a size (width, height) that is not taken,
    before any pixel is decoded; None: for one over the limit of its kind.
    Raises MediaError (no photo, damaged, larger than the limits, more than memory holds).
    """
    with readable_damage(name):
        return decode_first(pictures_in(data, name), name, check)


def decode_first(first: Pictures, name: str, check: Check | None = None) -> Photo:
    """As decode_photo, once the file's own bytes may be given up: they need much memory, too."""
    if kind_of(first.data) is not None:
        photo, _ = next(decode_apart(first.data, name, 1))
        (check or check_size)(photo.image.shape[1::-1], name)
        return photo
    with readable_damage(name):
        decoded = _opened(first, name, check)
        decoded.load()
        return _to_photo(decoded, first, name)


def _opened(held: Pictures, name: str, check: Check | None = None) -> ImageFile:
    """A picture whose size is taken, and whose turn to be decoded has come."""
    decoded = _DECODERS[held.kind](io.BytesIO(held.data))
    if check is None:
        is_plain = held.kind in _PLAIN and not decoded.has_transparency_data
        check_size(decoded.size, name, MAX_PLAIN_PIXELS if is_plain else MAX_PIXELS)
    else:
        check(decoded.size, name)
    _check_kind(decoded.size, held, name)
    allowance.begin(decoded.width * decoded.height, name)
    return decoded


def decode_series(data: bytes, name: str, most: int) -> Iterator[tuple[np.ndarray, int]]:
    """Up to `most` pictures of a file, evenly spread: [H, W, 3] uint8 RGB, and how many it has.

    Of large and long animations only the beginning is looked at. Pictures that are damaged, or too
    large or small to be looked at, are left out, but for the first.
    Raises MediaError as decode_photo does.
    """
    if data.startswith(b"\xff\xd8\xff"):
        jpegs = _decode_jpegs(data, name, most)
        del data
        yield from jpegs
        return
    decode = decode_here if kind_of(data) is None else decode_apart
    series = decode(data, name, most)
    del data
    for photo, count in series:
        yield photo.image, count


def decode_here(data: bytes, name: str, most: int) -> Iterator[tuple[Photo, int]]:
    """As decode_series, in this process, whatever the file's kind but a JPEG; whole photos."""
    with readable_damage(name):
        held = pictures_in(data, name, every=most > 1)
        del data
        decoded = _opened(held, name)
    count = max(getattr(decoded, "n_frames", 1), 1)
    # To show a picture of an animation, those before it are decoded.
    size = decoded.width * decoded.height
    reach = max(min(MAX_SERIES_PIXELS // size, count), 1) if size <= MAX_CANVAS_PIXELS else 1
    for number in _spread(reach, most):
        try:
            with readable_damage(name):
                if number:
                    decoded.seek(number)
                decoded.load()
                check_size(decoded.size, name)  # a HEIC's header need not tell what is coded
                photo = _to_photo(decoded, held, name)
        except MediaError as error:
            if not number or isinstance(error, CrowdedError):
                raise
        else:
            yield photo, count


def decode_animation(data: bytes, name: str) -> Iterator[Photo]:
    """All pictures of an animated WebP or PNG, one after the other, each as it is shown.

    Raises MediaError as decode_photo does, at the picture that is damaged.
    """
    with readable_damage(name):
        held = pictures_in(data, name, every=True)
        decoded = _opened(held, name)
    has_still = bool(decoded.info.get("default_image"))  # for programs that show no animations
    for number in range(int(has_still), decoded.n_frames):
        with readable_damage(name):
            decoded.seek(number)
            decoded.load()
            photo = _to_photo(decoded, held, name)
        yield photo


def _decode_jpegs(data: bytes, name: str, most: int) -> Iterator[tuple[np.ndarray, int]]:
    starts = _jpeg_starts(data)
    left = MAX_SERIES_PIXELS
    # Of a file with one picture the bytes are given up before it is decoded.
    most_pixels = MAX_PLAIN_PIXELS if len(starts) == 1 else MAX_PIXELS

    def check(size: tuple[int, int], name: str) -> None:
        nonlocal left
        check_size(size, name, most_pixels)
        left -= size[0] * size[1]
        if left < 0:
            raise MediaError(f"{name} has too many pixels in all. Save its pictures one by one.")

    for number in _spread(len(starts), most):
        try:
            with readable_damage(name):
                first = pictures_in(data[starts[number] :], name)
            if len(starts) == 1:
                data = b""
            image = decode_first(first, name, check).image
        except MediaError as error:
            if not number or isinstance(error, CrowdedError):
                raise
        else:
            yield image, len(starts)


def _jpeg_starts(data: bytes) -> list[int]:
    """Where the pictures of a JPEG file begin: an MPO, as a stereo camera takes it, has several.

    Whatever lies between them. A picture's own thumbnail, before its scan, does not count. Those
    after the first MAX_JPEGS are not looked for.
    """
    return list(islice(_starts_in(data), MAX_JPEGS))


def _starts_in(data: bytes) -> Iterator[int]:
    yield 0
    scan = data.find(b"\xff\xda")
    while scan >= 0 and (found := search(_JPEG_START, data, scan)) is not None:
        yield found.start()
        scan = data.find(b"\xff\xda", found.end())


def _spread(count: int, most: int) -> list[int]:
    """Numbers below `count`, evenly spread, the first and last among them."""
    return sorted({int(number) for number in np.linspace(0, count - 1, min(most, count)).round()})


@contextmanager
def readable_damage(name: str) -> Iterator[None]:
    """Turn what decoders raise for a damaged file into a MediaError that names it."""
    try:
        with _quiet_pillow():
            yield
    except DECODE_ERRORS as error:
        raise MediaError(
            f"{name} is damaged or incomplete and cannot be decoded. "
            "Save or download it again, or choose another photo."
        ) from error
    except MemoryError as error:
        raise MediaError(
            f"{name} takes more memory than there is. Save it smaller, or try again later."
        ) from error


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    # Pillow warns of odd metadata on stderr, where it says nothing to the person with the photo.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")
        yield


def _to_photo(decoded: ImageFile, first: Pictures, name: str) -> Photo:
    notices = []
    if first.has_more:
        kind = "several pages" if first.kind == "TIFF" else "an animation"
        notices.append(f"{name} holds {kind}: only the first picture is used.")
    if decoded.mode == "CMYK":
        notices.append(f"{name} is made for print (CMYK): its colours were converted to sRGB.")
    profile = decoded.info.get("icc_profile")
    num_bytes = first.num_left_out or len(profile or b"")
    if num_bytes > MAX_PROFILE_BYTES:
        size = f"{num_bytes / 1e6:.0f} MB"
        notices.append(f"The colour profile in {name} ({size}) is too large and is left out.")
        profile = None
    if profile:
        profile = bounded_profile(profile)
        if profile is None:
            notices.append(
                f"The colour profile in {name} is damaged or of a rare kind and is left out."
            )
    orientation = first.orientation
    if first.kind == "AVIF":  # Pillow puts what the file's boxes say into the EXIF
        orientation = decoded.getexif().get(_ORIENTATION, 1)
    image, alpha, profile = to_rgb(decoded, profile, orientation)
    if profile is None and kind_of(first.data) is not None:
        transfer = transfer_in(first.data)
        if transfer in (PQ, HLG):
            bring_to_standard_range(image, transfer)
            notices.append("HDR becomes standard dynamic range: bright parts lose contrast.")
    return Photo(image, alpha, profile, tuple(notices))
