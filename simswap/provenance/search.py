"""Finds in a file's bytes what marks it, wherever that stands and however its parts are laid.

Programs that show a picture read its file in ways of their own, and skip what others stumble over.
So no mark is missed because the parts before it are odd. A file is read once, in small memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

_STORE_ID = bytes.fromhex("63327061 0011 0010 8000 00aa00389b71")  # of the box of all credentials
_XMP = (b"<x:xmpmeta", b"</x:xmpmeta>"), (b"<rdf:RDF", b"</rdf:RDF>")
_MAX_PACKET = 1 << 20  # bytes of XMP; real packets are a few kB, and some cameras pad theirs
_MAX_PACKETS = 10_000  # files have one
_BLOCK = 1 << 20  # bytes


def holds_credentials(stream: BinaryIO) -> bool:
    """Whether there are Content Credentials in a file, whatever they are worth."""
    before = b""
    stream.seek(0)
    while block := stream.read(_BLOCK):
        if _STORE_ID in before + block:
            return True
        before = block[-len(_STORE_ID) :]
    return False


def xmp_packets(stream: BinaryIO) -> Iterator[bytes]:
    """The XMP packets in a file that stand in it as they are, in whatever wrapping comes first."""
    for opening, ending in _XMP:
        is_found = False
        for packet in _between(stream, opening, ending):
            is_found = True
            yield packet
        if is_found:
            return


def _between(stream: BinaryIO, opening: bytes, ending: bytes) -> Iterator[bytes]:
    stream.seek(0)
    held, begin, count = b"", 0, 0  # begin: of what is not used up of the bytes that are held
    while block := stream.read(_BLOCK):
        position, held = max(len(held) - len(ending), begin), held + block
        while (found := held.find(ending, position)) >= 0:
            position = found + len(ending)
            start = held.find(opening, max(begin, position - _MAX_PACKET), found)
            begin, count = position, count + 1
            if start >= 0:
                yield held[start:position]
            if count >= _MAX_PACKETS:
                return
        kept = max(begin, len(held) - _MAX_PACKET)
        held, begin = held[kept:], 0
