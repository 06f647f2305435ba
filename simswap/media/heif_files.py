"""AVIF and HEIC photos: which a file is, and what its decoder may cost.

Their boxes refer to each other in ways that only a whole reader can follow: pictures are made of
tiles, and what the header says of sizes need not be what is coded. So such a file is decoded in a
process of its own first, and in this one if that stayed within bounds.
"""

from __future__ import annotations

import io

from PIL import AvifImagePlugin
from PIL.AvifImagePlugin import AvifImageFile
from PIL.ImageFile import ImageFile

from simswap.errors import MediaError
from simswap.trial_run import problem_of

TRIAL = "simswap.media.trial"  # the module that the child runs
MEMORY = 560_000_000  # bytes that the child may hold; 60 million are Python's and the libraries'
MAX_PIXELS = {"AVIF": 46_000_000, "HEIC": None}  # with alpha an AVIF takes 10.5 bytes for each
WORK_SECONDS = 15.0  # of processor time; the largest photos take two
_THREADS = 2  # of a decoder, so that memory is the same on every machine
_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
SERIES = {b"avis", b"msf1", b"hevc", b"hevx"}  # of these, files of several pictures
_MAX_BRANDS = 256  # bytes of the first box that name what a file is


def kind_of(data: bytes) -> str | None:
    """Whether a file is an "AVIF" or a "HEIC", by its first bytes; None for any other."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), _MAX_BRANDS)
    main, others = data[8:12], {data[at : at + 4] for at in range(16, end, 4)}
    if main not in _AVIF | _HEIC:
        return None
    return "AVIF" if main in _AVIF or (main in (b"mif1", b"msf1") and others & _AVIF) else "HEIC"


def check_cost(data: bytes, name: str, most: int) -> None:
    """Raise MediaError if decoding up to `most` pictures of a file takes too much.

    name: of the file, for the message.
    """
    problem = problem_of(TRIAL, [str(most)], MEMORY, WORK_SECONDS, data)
    if problem:
        raise MediaError(
            f"{name} {problem} when it is decoded: it is very large, damaged, or made in an "
            "unusual way. Save it as JPEG or PNG, or smaller."
        )


def open_avif(stream: io.BytesIO) -> ImageFile:
    """An AVIF, whose pixels are not decoded yet."""
    AvifImagePlugin.DEFAULT_MAX_THREADS = _THREADS
    return AvifImageFile(stream)


def open_heic(stream: io.BytesIO) -> ImageFile:
    """A HEIC, turned upright by its own boxes, whose pixels are not decoded yet."""
    # Loaded for a file of this kind only, as few people have one.
    from pillow_heif import HeifImageFile, options

    options.DECODE_THREADS = _THREADS
    options.THUMBNAILS = options.DEPTH_IMAGES = options.AUX_IMAGES = False
    return HeifImageFile(stream)
