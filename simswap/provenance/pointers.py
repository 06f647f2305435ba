"""Where the boxes of an MP4, AVIF or HEIC say that pictures and sound lie (ISO 14496-12)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from simswap.files import search

HOLDERS = (b"meta", b"moov")  # boxes at the top of a file that hold such tables
MEDIA = b"mdat"
Span = tuple[int, int]  # bytes of a file, the last exclusive

# Looked for anywhere in their holders: a table in an unusual place counts for readers, too.
# Of others it is not told where they point: of compressed ones (cmov), of fragments and of what
# leads to these (a maker's name does, too), which players read when they please.
_TABLES = re.compile(rb"stco|co64|iloc|cmov|mvex|moof|traf|tfhd|trun|sidx|mfra|tfra|Anev")
_LONG_SIZE = b"\0\0\0\1"  # before the name of a box whose size has 64 bits
_MAX_TABLES = 100_000  # of one holder
_IN_FILE, _IN_ITEM = 0, 2  # how a picture's place is told
_MAX_EXTENTS = 100_000
_FAR = 2**63  # behind all files


class _Broken(Exception):
    """A table that is not as the standard has it."""


def point_astray(holder: bytes, media: list[Span]) -> bool:
    """Whether tables name a place outside of the media, or one that cannot be told.

    holder: what stands in one of HOLDERS. media: the contents of the file's mdat boxes, where a
    photo's pictures must lie, and a film's samples begin; how long these are is not looked at.
    """
    try:
        num_lists = 0
        for table, body in _tables_in(holder):
            if table in (b"stco", b"co64"):
                if not _all_within(_chunks(holder, body, table == b"co64"), media):
                    return True
            elif table == b"iloc":
                num_lists += 1  # each may tell of very many pictures, in the same bytes
                items = np.array(list(_items(holder, body)), np.uint64).reshape(-1, 2)
                if num_lists > 1 or not _all_within(items[:, 0], media, items[:, 1]):
                    return True
            else:
                return True
    except _Broken:
        return True
    return False


def _tables_in(holder: bytes) -> Iterator[tuple[bytes, int]]:
    """The name of each, and where its content begins; one may begin in another's name."""
    place = 0
    for _ in range(_MAX_TABLES):
        found = search(_TABLES, holder, place)
        if found is None:
            return
        place = found.start()
        if holder[max(place - 4, 0) : place] == _LONG_SIZE:  # which then stands behind the name
            raise _Broken
        yield found[0], found.end()
        place += 1
    raise _Broken


def _all_within(offsets: np.ndarray, spans: list[Span], ends: np.ndarray | None = None) -> bool:
    """Whether what begins at offsets lies in the spans, up to its ends or with its first byte.

    spans: in the order of the file.
    """
    if not len(spans):
        return not len(offsets)
    edges = np.array(spans, np.uint64)
    offsets = offsets.astype(np.uint64)
    number = np.searchsorted(edges[:, 0], offsets, side="right")  # of those that begin before it
    last = edges[np.maximum(number, 1) - 1, 1]
    is_in = offsets < last if ends is None else ends <= last
    return bool(((number > 0) & is_in).all())


def _chunks(data: bytes, body: int, is_long: bool) -> np.ndarray:
    count, width = _number(data, body + 4, 4), 8 if is_long else 4
    if len(data) - body - 8 < count * width:
        raise _Broken
    return np.frombuffer(data, f">u{width}", count, body + 8)


def _items(data: bytes, body: int) -> Iterator[Span]:
    """Of an iloc: the bytes that each picture has in the file."""
    version, sizes = data[body : body + 1], _number(data, body + 4, 2)
    if version not in (b"\0", b"\1", b"\2"):
        raise _Broken
    size_of = [sizes >> shift & 15 for shift in (12, 8, 4, 0)]  # offset, length, base, index
    wide = 4 if version == b"\2" else 2
    count, place, left = _number(data, body + 6, wide), body + 6 + wide, _MAX_EXTENTS
    for _ in range(count):
        place += wide  # its number
        method = _IN_FILE
        if version != b"\0":
            method, place = _number(data, place, 2) & 15, place + 2
        if method >= _IN_ITEM or _number(data, place, 2):  # of another item, or another file
            raise _Broken
        base, place = _number(data, place + 2, size_of[2]), place + 2 + size_of[2]
        num_extents, place = _number(data, place, 2), place + 2
        left -= num_extents + 1
        if left < 0:
            raise _Broken
        for _ in range(num_extents):
            place += size_of[3] if version != b"\0" else 0
            offset = base + _number(data, place, size_of[0])
            length = _number(data, place + size_of[0], size_of[1])
            place += size_of[0] + size_of[1]
            if method == _IN_FILE:
                end = offset + length if length else _FAR  # to the file's end
                yield min(offset, _FAR), min(end, _FAR)


def _number(data: bytes, place: int, length: int) -> int:
    found = data[place : place + length]
    if len(found) < length:
        raise _Broken
    return int.from_bytes(found, "big")
