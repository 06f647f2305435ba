"""What a file's bytes tell: its kind, and what marks it, however its parts are laid.

Programs that show a picture read its file in ways of their own, and skip what others stumble over.
So no mark is missed because the parts before it are odd.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

UNKNOWN_TYPE = "application/octet-stream"
_SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
}
_BRANDS = {  # of files that are made of boxes as an MP4 is
    b"qt  ": "video/quicktime",
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), "image/heic"),
    b"mif1": "image/heif",
}
_FORMS = {b"WEBP": "image/webp", b"AVI ": "video/avi"}  # of RIFF files
# The number of the box of all credentials. In a JPEG that box is cut into segments, in a GIF into
# blocks, where their heads tell: in what is coded of a JPEG's picture, FF has other neighbours.
_STORE = bytes.fromhex("63327061 0011 0010 8000 00aa00389b71")
_IN_PARTS = {b"\xff\xd8": rb"|\xff\xeb..JP", b"GI": rb"|!\xff\x0bC2PA_GIF"}
_LONGEST = 16  # bytes of these, at most
_XMP = (b"<x:xmpmeta", b"</x:xmpmeta>"), (b"<rdf:RDF", b"</rdf:RDF>")
_MAX_PACKET = 1 << 20  # bytes of XMP; real packets are a few kB, and some cameras pad theirs
_MAX_TEXT = 1_000  # bytes
_LINE = re.compile(rb"[^\x00-\x1f]*")
_BLOCK = 1 << 20  # bytes that are read at a time


def media_type_of(head: bytes) -> str:
    """What a file is, by its first 12 bytes: a type that C2PA knows, or UNKNOWN_TYPE."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"RIFF"):
        return _FORMS.get(head[8:12], UNKNOWN_TYPE)
    found = (kind for start, kind in _SIGNATURES.items() if head.startswith(start))
    return next(found, UNKNOWN_TYPE)


def holds_credentials(stream: BinaryIO) -> bool:
    """Whether there is something like Content Credentials in a file, whatever they are worth."""
    stream.seek(0)
    sought = re.compile(re.escape(_STORE) + _IN_PARTS.get(stream.read(2), b""), re.DOTALL)
    stream.seek(0)
    before = b""
    while block := stream.read(_BLOCK):
        if sought.search(before + block):
            return True
        before = block[-_LONGEST:]
    return False


def xmp_packets(stream: BinaryIO, word: bytes) -> Iterator[bytes]:
    """The XMP packets in a file that have a word in them, each in one or two wrappings.

    Only those are found that stand in it as they are.
    """
    for opening, ending in _XMP:
        stream.seek(0)
        held = b""
        while block := stream.read(_BLOCK):
            held, begin = held + block, 0
            while (found := held.find(word, begin)) >= 0:
                if (end := held.find(ending, found)) < 0:
                    break
                start = held.rfind(opening, begin, end)
                begin = end + len(ending)
                if start >= 0 and word in (packet := held[start:begin]):
                    yield packet
            # What may belong to a packet that goes on.
            held = held[max(begin, len(held) - _MAX_PACKET) :]


def first_text(stream: BinaryIO, begins: re.Pattern[bytes]) -> str | None:
    """The first text in a file that begins so, up to where a line or it ends.

    begins: of at most _MAX_TEXT bytes.
    """
    stream.seek(0)
    held = b""
    while block := stream.read(_BLOCK):
        held += block
        if found := begins.search(held):
            text = (held[found.start() :] + stream.read(_MAX_TEXT))[:_MAX_TEXT]
            return _LINE.match(text)[0].decode("utf-8", "replace")
        held = held[-_MAX_TEXT:]
    return None
