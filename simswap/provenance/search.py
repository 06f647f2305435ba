"""Finds in a file's bytes what marks it, wherever that stands and however its parts are laid.

Programs that show a picture read its file in ways of their own, and skip what others stumble over.
So no mark is missed because the parts before it are odd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

_STORE_ID = bytes.fromhex("63327061 0011 0010 8000 00aa00389b71")  # of the box of all credentials
_BOXES = re.compile(rb"\xff\xeb(..)JP..(.{4})", re.DOTALL)  # a JPEG's segments for them
_MAX_JPEG, _MAX_BOXES = 20_000_000, 10_000  # bytes in which they are looked for, and how many
_XMP = (b"<x:xmpmeta", b"</x:xmpmeta>"), (b"<rdf:RDF", b"</rdf:RDF>")
_MAX_PACKET = 1 << 20  # bytes of XMP; real packets are a few kB, and some cameras pad theirs
_MAX_PACKETS = 10_000  # files have one
_MAX_TEXT = 1_000  # bytes
_LINE = re.compile(rb"[^\x00-\x1f]*")
_BLOCK = 1 << 20  # bytes that are read at a time


def holds_credentials(stream: BinaryIO) -> bool:
    """Whether there are Content Credentials in a file, whatever they are worth."""
    stream.seek(0)
    if stream.read(2) == b"\xff\xd8" and _STORE_ID in _joined(stream.read(_MAX_JPEG)):
        return True
    before = b""
    stream.seek(0)
    while block := stream.read(_BLOCK):
        if _STORE_ID in before + block:
            return True
        before = block[-len(_STORE_ID) :]
    return False


def _joined(jpeg: bytes) -> bytes:
    """What segments for boxes hold together, wherever one is cut (ISO 19566-5, annex D)."""
    bodies, position = [], 0
    for _ in range(_MAX_BOXES):
        if (found := _BOXES.search(jpeg, position)) is None:
            break
        start, length = found.start() + 4, int.from_bytes(found[1], "big") - 2
        is_first = found[2] == b"\0\0\0\1"
        bodies.append(jpeg[start + (8 if is_first else 16) : start + length])
        position = max(start + length, found.end())
    return b"".join(bodies)


def xmp_packets(stream: BinaryIO) -> Iterator[bytes]:
    """The XMP packets in a file that stand in it as they are, each in one or two wrappings."""
    for opening, ending in _XMP:
        yield from _between(stream, opening, ending)


def first_text(stream: BinaryIO, begins: bytes) -> str | None:
    """The first text in a file that begins so, up to where a line or the text ends."""
    stream.seek(0)
    held = b""
    while block := stream.read(_BLOCK):
        held += block
        if (start := held.find(begins)) >= 0:
            text = (held[start:] + stream.read(_MAX_TEXT))[:_MAX_TEXT]
            return _LINE.match(text)[0].decode("utf-8", "replace")
        held = held[-len(begins) :]
    return None


def _between(stream: BinaryIO, opening: bytes, ending: bytes) -> Iterator[bytes]:
    stream.seek(0)
    held, begin, count = b"", 0, 0  # begin: of what is not used up of the bytes that are held
    while block := stream.read(_BLOCK):
        position, held = max(len(held) - len(ending), begin), held + block
        while (found := held.find(ending, position)) >= 0:
            position = found + len(ending)
            start = held.rfind(opening, max(begin, position - _MAX_PACKET), found)
            begin, count = position, count + 1
            if start >= 0:
                yield held[start:position]
            if count >= _MAX_PACKETS:
                return
        kept = max(begin, len(held) - _MAX_PACKET)
        held, begin = held[kept:], 0
