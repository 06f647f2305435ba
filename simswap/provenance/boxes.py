"""What C2PA's hash leaves out of an MP4, MOV or AVIF: of what kind it is, padding, credentials.

Of all other boxes (ISO 14496-12) it covers the content, and where each begins in the file. In a
file that SimSwap wrote nothing points into those that are left out.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

# Of the boxes at the top of our files. Players read fragments (mfra) when they please.
_KNOWN = {b"ftyp", b"free", b"skip", b"wide", b"uuid", b"moov", b"meta", b"mdat"}
_PADDING = (b"free", b"skip")
_ONCE = (b"ftyp", b"moov", b"meta", b"uuid")
_MOST_KINDS = 96  # bytes; ours have some 40
_KINDS = re.compile(rb"[ -~]{4}.{4}(?:[ -~]{4})*", re.DOTALL)  # what ftyp has: a number is second
# What the credentials' box begins with: its number, a version, what it is for, and where parts of a
# hash lie: nowhere.
_STORE = bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(4) + b"manifest\0" + bytes(8)
_MAX_BOXES = 10_000
_CHUNK = 2**20  # bytes


def is_made_of_boxes(stream: BinaryIO) -> bool:
    """Whether a file is an MP4, AVIF or another of their kind."""
    stream.seek(4)
    return stream.read(4) == b"ftyp"


def have_room(stream: BinaryIO) -> bool:
    """Whether what is left out of a file of boxes, on the disk, holds more than it needs."""
    seen: set[bytes] = set()
    for number, (kind, start, end) in enumerate(_boxes(stream)):
        if number >= _MAX_BOXES or kind not in _KNOWN or (kind in _ONCE and kind in seen):
            return True
        if not start <= end <= os.fstat(stream.fileno()).st_size:
            return True
        if _holds_more(stream, kind, start, end):
            return True
        seen.add(kind)
    return False


def _holds_more(stream: BinaryIO, kind: bytes, start: int, end: int) -> bool:
    """Whether a box that is left out holds more than one of its kind needs."""
    stream.seek(start)
    if kind in _PADDING:
        return not _is_blank(stream, end)
    if kind == b"ftyp":
        content = stream.read(min(end - start, _MOST_KINDS + 1))
        return len(content) > _MOST_KINDS or not _KINDS.fullmatch(content)
    return kind == b"uuid" and stream.read(len(_STORE)) != _STORE


def _boxes(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and where content begins and ends, of each box at the top of a file."""
    position, size = 0, os.fstat(stream.fileno()).st_size
    while position < size:
        stream.seek(position)
        length, kind = struct.unpack(">I4s", stream.read(8).ljust(8, b"\0"))
        start = position + 8
        if length == 1:
            length, start = int.from_bytes(stream.read(8), "big"), position + 16
        end = position + length if length else size
        yield kind, start, end
        position = max(end, start)


def _is_blank(stream: BinaryIO, end: int) -> bool:
    while chunk := stream.read(min(_CHUNK, end - stream.tell())):
        if chunk.strip(b"\0"):
            return False
    return True
