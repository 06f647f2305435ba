"""TIFF directories, as photos and as EXIF: read with what they claim held against what there is.

Libraries copy what each entry of a directory claims, and all may claim the same bytes.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np

from simswap.errors import MediaError

MAX_VALUES = 500_000  # numbers in one entry; a photo of 50 million pixels has so many strips
MAX_TILE_PIXELS = 1 << 24  # a decoder holds a whole tile or strip, also of a small picture
MAX_TILED = 2  # pixels of all tiles for each that the picture shows; its edges cut through some
MAX_PIECE_BYTES = 290_000_000  # of a tile or strip, decoded
_BYTES_OF_TYPE = (0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8)
_TEXT_TYPES = (1, 2, 6, 7)  # of which a library makes no list of numbers
_ORIENTATION = 0x0112
_PICTURES = 0xB002  # of a JPEG with several, 16 bytes for each (CIPA DC-007, 5.2.3.3)
_MAX_PICTURES = 1000
_VIEWS = {0x020001, 0x020002, 0x020003}  # panorama, stereo, angles; the others are made of one
_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _SAMPLES = 256, 257, 258, 259, 277
_ROWS_PER_STRIP, _TILE_WIDTH, _TILE_HEIGHT, _PLANAR = 278, 322, 323, 284
_BYTE_COUNTS = (279, 325)  # of strips, of tiles
# What is needed to decode pixels: sizes, layout, colours, tables of JPEG; the ICC profile.
_NEEDED = {
    *(256, 257, 258, 259, 262, 266, 273, 277, 278, 279, 284, 317, 320),
    *(322, 323, 324, 325, 332, 338, 339, 347, 530, 531, 532, 34675),
}
# One number each. Decoders take more types for them than are read here, and differ in what they
# make of several numbers: such files are refused, so that what is checked is what is decoded.
_SINGLE = {256, 257, 259, 262, 266, 277, 278, 284, 317, 322, 323}
_OTHER_TYPES = {347: (1, 7), 532: (3, 4, 5), 34675: (1, 7)}  # tables of JPEG, ratios, a profile
_WHOLE_NUMBERS = (1, 3, 4)
# None, LZW, JPEG, deflate (two), PackBits. Not those of fax, which has no faces, and whose decoder
# prints a line for each damaged row. Not Zstandard and WebP: a few bytes of
# theirs are worth millions of steps, and hardly any photo has them.
_COMPRESSIONS = {1, 5, 7, 8, 32773, 32946}


class Entry(NamedTuple):
    """`count` values of a type; `field`: 4 bytes, the values themselves or their place."""

    tag: int
    type: int
    count: int
    field: bytes

    @property
    def num_bytes(self) -> int:
        """How many bytes the values claim; 0 for an unknown type."""
        return self.count * _BYTES_OF_TYPE[self.type] if self.type < len(_BYTES_OF_TYPE) else 0


def orientation_in(exif: bytes) -> int | None:
    """The orientation (1 to 8) that an EXIF block tells, if it does; nothing else of it is read."""
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        order, entries, _ = _directory(exif)
    except (ValueError, struct.error):
        return None
    found = [entry for entry in entries if entry.tag == _ORIENTATION and entry.count == 1]
    value = _numbers(exif, order, found[0]) if found else ()
    return int(value[0]) if len(value) and 1 <= value[0] <= 8 else None


def has_further_views(directory: bytes) -> bool:
    """Whether a JPEG's list of its pictures (MPF) tells of several views."""
    try:
        order, entries, _ = _directory(directory)
        for entry in entries:
            if entry.tag == _PICTURES:
                (start,) = struct.unpack(order + "I", entry.field)
                places = range(start + 16, start + min(entry.count, 16 * _MAX_PICTURES), 16)
                kinds = (struct.unpack_from(order + "I", directory, place) for place in places)
                return any(kind & 0xFFFFFF in _VIEWS for (kind,) in kinds)
    except (ValueError, struct.error):
        pass
    return False


def first_page(data: bytes, name: str) -> tuple[bytes, int | None, bool]:
    """A TIFF file reduced to its first picture, its orientation, and whether there are more.

    name: of the file, for messages. Raises ValueError if the directory claims more than the file
    has, or is no sensible one; MediaError if it is compressed in a way that is not read.
    """
    order, entries, more = _directory(data)
    orientation = orientation_in(data)
    needed: dict[int, Entry] = {}
    for entry in entries:  # of doubles the first, as libraries differ in which they take
        if entry.tag in _NEEDED and entry.num_bytes:
            needed.setdefault(entry.tag, entry)
    claimed = sum(entry.num_bytes for entry in needed.values())
    if claimed > len(data) or any(
        entry.count > MAX_VALUES and entry.type not in _TEXT_TYPES for entry in needed.values()
    ):
        raise ValueError("The directory claims more than the file has.")
    if any(
        entry.type not in _OTHER_TYPES.get(entry.tag, _WHOLE_NUMBERS)
        or (entry.tag in _SINGLE and entry.count != 1)
        for entry in needed.values()
    ):
        raise ValueError("The directory tells its numbers in a way that programs do not.")
    _check_layout(data, order, needed, name)
    kept = sorted(needed.values())
    directory = struct.pack(order + "H", len(kept))
    directory += b"".join(
        struct.pack(order + "HHI", entry.tag, entry.type, entry.count) + entry.field
        for entry in kept
    )
    gap = bytes(len(data) % 2)
    place = struct.pack(order + "I", len(data) + len(gap))
    parts = [data[:4], place, memoryview(data)[8:], gap, directory, bytes(4)]
    return b"".join(parts), orientation, more


def _directory(data: bytes) -> tuple[str, list[Entry], bool]:
    """Byte order, entries of the first directory, and whether another follows."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        raise ValueError("This is no TIFF directory.")
    (start,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, start)
    end = start + 2 + 12 * count
    entries = [
        Entry(*values) for values in struct.iter_unpack(order + "HHI4s", data[start + 2 : end])
    ]
    if len(entries) < count:
        raise ValueError("The directory is cut off.")
    following = data[end : end + 4]
    return order, entries, len(following) == 4 and following != bytes(4)


def _numbers(data: bytes, order: str, entry: Entry) -> np.ndarray:
    """An entry's whole numbers; none for other types. Raises ValueError if they are not there."""
    kind = {1: "u1", 3: "u2", 4: "u4"}.get(entry.type)
    if kind is None:
        return np.empty(0, np.int64)
    start = 0 if entry.num_bytes <= 4 else struct.unpack(order + "I", entry.field)[0]
    held = entry.field if entry.num_bytes <= 4 else data[start : start + entry.num_bytes]
    return np.frombuffer(held, order + kind, entry.count).astype(np.int64)


def _check_layout(data: bytes, order: str, entries: dict[int, Entry], name: str) -> None:
    def first(tag: int, default: int) -> int:
        values = _numbers(data, order, entries[tag]) if tag in entries else ()
        return int(values[0]) if len(values) else default

    width, height = first(_WIDTH, 0), first(_HEIGHT, 0)
    across, down = first(_TILE_WIDTH, width), first(_TILE_HEIGHT, 0)
    down = down or min(first(_ROWS_PER_STRIP, height), height)
    if not width or not height or not across or not down:
        raise ValueError("The picture has no size.")
    if first(_COMPRESSION, 1) not in _COMPRESSIONS:
        raise MediaError(
            f"{name} is a TIFF that is compressed in a rare way (such as fax, Zstandard or "
            "WebP), which is not read. Save it with LZW, or as PNG."
        )
    if across * down > max(MAX_TILE_PIXELS, width * height):
        raise ValueError("One tile has more pixels than a photo.")
    samples = first(_SAMPLES, 1)
    planes = samples if first(_PLANAR, 1) == 2 else 1
    num_pieces = -(-width // across) * -(-height // down)  # of each plane
    if num_pieces * planes > MAX_VALUES:
        raise ValueError("The picture is cut into more pieces than any program does.")
    if num_pieces * across * down > max(MAX_TILE_PIXELS, MAX_TILED * width * height):
        raise ValueError("The tiles have far more pixels than the picture shows.")
    sizes = (_numbers(data, order, entries[tag]).sum() for tag in _BYTE_COUNTS if tag in entries)
    if sum(sizes) > len(data):
        raise ValueError("The pieces share their bytes.")
    bits = _numbers(data, order, entries[_BITS]).max() if _BITS in entries else 1
    piece = across * down * int(bits) * samples // max(planes, 1) // 8
    if piece > MAX_PIECE_BYTES:
        raise MediaError(
            f"{name} is a TIFF whose pixels are packed {piece / 1e6:.0f} MB at a time, which takes "
            "much memory. Save it with 8 bits, or as PNG."
        )
