"""AVIF and HEIC photos: which a file is, and what its decoder may cost.

Their boxes refer to each other in ways that only a whole reader can follow: pictures are made of
tiles, and what the header says of sizes need not be what is coded. And Pillow's decoder lets no
other thread work. So such a file is decoded in a process of its own, which hands the pixels over.
"""

from __future__ import annotations

import io
import re
import struct
import tempfile
from collections.abc import Iterator

from PIL import AvifImagePlugin
from PIL.AvifImagePlugin import AvifImageFile
from PIL.ImageFile import ImageFile

from simswap.errors import MediaError
from simswap.media import allowance
from simswap.media.handover import handed_over, seconds_in
from simswap.media.pixels import Photo
from simswap.trial_run import no_process, start, watched

TRIAL = "simswap.media.trial"  # the module that the child runs
# Bytes that the child may hold, with the file's own, which this process has; half of them, where
# none or few pixels are claimed.
MEMORY = 540_000_000
_START_MEMORY, _BYTES_PER_PIXEL = 90_000_000, 11  # of it, what a file of so many pixels takes
MAX_PIXELS = {"AVIF": 44_000_000, "HEIC": None}  # with alpha an AVIF takes 10.5 bytes for each
WORK_SECONDS = 15.0  # of processor time; 44 million pixels of a dense AVIF take three
_THREADS = 2  # of a decoder, so that memory is the same on every machine
_AVIF = {b"avif", b"avis"}
_HEIC = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}
SERIES = {b"avis", b"msf1", b"hevc", b"hevx"}  # of these, files of several pictures
_MAX_CLAIM = 50_000_000  # pixels; a file of more is refused by who decodes it
_MAX_BOXES = 1_000  # that a file is walked through
_MAX_TOLD = 1 << 20  # bytes of the box that tells of pictures; of a thousand tiles it has 100,000
_MAX_BRANDS = 256  # bytes of the first box that name what a file is
_COLOURS = re.compile(rb"colrnclx..(..)", re.DOTALL)  # primaries, then the transfer
_SIZE = re.compile(rb"\x00\x00\x00\x14ispe\x00{4}(.{4})(.{4})", re.DOTALL)


def kind_of(data: bytes) -> str | None:
    """Whether a file is an "AVIF" or a "HEIC", by its first bytes; None for any other."""
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4], "big"), _MAX_BRANDS)
    main, others = data[8:12], {data[at : at + 4] for at in range(16, end, 4)}
    if main not in _AVIF | _HEIC:
        return None
    return "AVIF" if main in _AVIF or (main in (b"mif1", b"msf1") and others & _AVIF) else "HEIC"


def decode_apart(data: bytes, name: str, most: int) -> Iterator[tuple[Photo, int]]:
    """Up to `most` pictures of a file, and how many it has, decoded in a process of their own.

    name: of the file, for messages. Raises MediaError (as decode_photo does, takes too much).
    """
    claimed = _claimed_pixels(data)
    allowance.begin(claimed, name)
    seconds = allowance.seconds_left(WORK_SECONDS, name)
    with tempfile.TemporaryFile() as output:
        with allowance.place(_START_MEMORY + _BYTES_PER_PIXEL * claimed) as fits:
            try:
                child = start(TRIAL, [str(most), str(seconds)], data, output)
            except OSError as error:
                raise no_process(name, error) from error
            memory = MEMORY if claimed > allowance.LARGE else MEMORY // 2
            problem = watched(child, memory - len(data), seconds, fits)
        taken = None if problem else seconds_in(output)
        allowance.spend(seconds if taken is None else taken)
        if problem or taken is None:
            raise MediaError(
                f"{name} {problem or 'makes its reader fail'} when it is decoded: it is very "
                "large, damaged, or made in an unusual way. Save it as JPEG or PNG, or smaller."
            )
        yield from handed_over(output, name)


def _claimed_pixels(data: bytes) -> int:
    """Of the largest picture that the boxes of a file tell of, up to as many as any may have."""
    sizes = _SIZE.findall(_told_in(data))
    areas = (int.from_bytes(w, "big") * int.from_bytes(h, "big") for w, h in sizes)
    return min(max(areas, default=0), _MAX_CLAIM)


def _told_in(data: bytes) -> bytes:
    """The box that tells of a file's pictures, or its beginning; nothing where there is none."""
    position = 0
    for _ in range(_MAX_BOXES):
        length, kind = struct.unpack(">I4s", data[position : position + 8].ljust(8, b"\0"))
        if kind == b"meta":
            return data[position : position + min(length or _MAX_TOLD, _MAX_TOLD)]
        if length == 1:
            length = int.from_bytes(data[position + 8 : position + 16], "big")
        if length < 8:
            break
        position += length
    return b""


def transfer_in(data: bytes) -> int | None:
    """Of the first picture, as ITU-T H.273 numbers them; None where the boxes do not tell."""
    found = _COLOURS.search(_told_in(data))
    return int.from_bytes(found[1], "big") if found else None


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
