"""What a signer left out of a file's hash, where it is more than the credentials themselves."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from simswap.provenance import pointers
from simswap.provenance.parts import is_credentials_alone

LEFT_OUT = "simswap.partsLeftOut"  # our code: it fits whatever these parts hold
_NOTICED = ".additionalExclusionsPresent"  # end of C2PA's code, which is no failure to it
# Boxes that C2PA's own library leaves out of each MP4 and AVIF: of what kind the file is, where its
# parts begin, and padding.
_USUAL = ("/ftyp", "/mfra", "/free", "/skip")
# A hash of a photo's parts, one by one: what is put between or behind them goes unnoticed.
_BY_PARTS = "assertion.boxesHash.match"
_OWN = "/uuid"  # the credentials' box, if it is told by its number
_IN_BOXES = "c2pa.hash.bmff"
# A picture's place in the file is a number, which may point into such a box too, also into the
# credentials' own, whose signature has bytes to spare. So padding must be all zeros, there is one
# list of kinds, in plain text, and no fragments, of which players read what they want when they
# want it.
_MOST_KINDS = 96  # bytes; honest ones have some 40
# Boxes at the top of a file that may stand before the credentials.
_BEFORE = {b"ftyp", b"free", b"skip", b"wide", b"uuid", b"moov", b"meta"}
_KNOWN = {*_BEFORE, pointers.MEDIA}
_MAX_HOLDER = 200_000_000  # bytes of a box with tables; a day's have half of it
_KINDS = re.compile(rb"[ -~]{4}.{4}(?:[ -~]{4})*", re.DOTALL)  # what ftyp has: a number is second
_PADDING = (b"free", b"skip")
_LEFT_OUT = (b"ftyp", *_PADDING)
_NOT_HASHED = (b"uuid", *_PADDING)  # and a few letters of the kind that the file is of
_ONCE = (b"ftyp", b"moov", b"meta")  # of which a reader might take another than is looked at
_NUMBER = 16  # bytes, of a uuid box, by which it is told
_CREDENTIALS = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # number of their box
_MAX_BOXES = 100_000
_CHUNK = 2**20  # bytes


def has_unusual(codes: Iterable[str], manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest's hash leaves out what is shown, or could be.

    codes: what C2PA says of it beside failures. manifest: of C2PA's own reader.
    """
    codes = list(codes)
    if _BY_PARTS in codes:
        return True
    noticed = [code for code in codes if code.endswith(_NOTICED)]
    return bool(noticed) and not (
        all(code == f"assertion.bmffHash{_NOTICED}" for code in noticed) and _are_usual(manifest)
    )


def _are_usual(manifest: Mapping[str, Any]) -> bool:
    hashes = [
        held
        for held in manifest.get("assertions", ())
        if str(held.get("label")).startswith(_IN_BOXES)
    ]
    try:
        left_out = [each for held in hashes for each in held["data"]["exclusions"]]
        return bool(hashes) and all(
            each["xpath"] in _USUAL or (each["xpath"] == _OWN and bool(each["data"]))
            for each in left_out
        )
    except (KeyError, TypeError):  # not as C2PA has it
        return False


def could_hold_pixels(stream: BinaryIO, left_out: list[pointers.Span]) -> bool:
    """Whether what C2PA's library leaves out of a file has room for what is shown.

    stream: a file with credentials, on the disk. left_out: of the hash of its bytes, see
    parts.left_out_by; nothing in a file of boxes, such as an MP4 or AVIF.
    """
    stream.seek(4)
    if stream.read(4) == b"ftyp":
        return bool(left_out) or _have_room(stream)
    return not is_credentials_alone(stream, left_out)


def spans_left_out(stream: BinaryIO) -> list[pointers.Span]:
    """Where in an MP4 or AVIF lies what a signer may leave out: bytes, the last exclusive.

    stream: a file on the disk, of which could_hold_pixels is False. Of other kinds of file, none.
    """
    stream.seek(4)
    if stream.read(4) != b"ftyp":
        return []
    found = [
        (start + (_NUMBER if kind == b"uuid" else 0), end)
        for kind, start, end in _boxes(stream)
        if kind in _NOT_HASHED
    ]
    return [(start, end) for start, end in found if start < end]


def _have_room(stream: BinaryIO) -> bool:
    """Whether the boxes that are left out of an MP4 or AVIF have."""
    left_out, media, holders = [], [], []
    before, num_credentials = set(), 0
    for number, (kind, start, end) in enumerate(_boxes(stream)):
        stream.seek(start)
        is_own = kind == b"uuid" and stream.read(_NUMBER) == _CREDENTIALS
        if number >= _MAX_BOXES or end < start or kind not in _KNOWN:
            return True
        if is_own and not before <= _BEFORE:
            return True
        if _holds_more(stream, kind, start, end):
            return True
        if kind in _ONCE and kind in before:
            return True
        num_credentials += is_own
        before.add(kind)
        if is_own or kind in _LEFT_OUT:
            left_out.append((start, end))
        elif kind == pointers.MEDIA:
            media.append((start, end))
        elif kind in pointers.HOLDERS:
            holders.append((start, end))
    # Of a file with both, the kind in ftyp decides whether its photo or its film is shown.
    if num_credentials > 1 or {b"moov", b"meta"} <= before:
        return True
    return any(_point_into(stream, holder, media, left_out) for holder in holders)


def _holds_more(stream: BinaryIO, kind: bytes, start: int, end: int) -> bool:
    """Whether a box that is left out holds more than one of its kind needs."""
    if kind in _PADDING:
        return not _is_blank(stream, start, end)
    if kind != b"ftyp":
        return False
    stream.seek(start)
    content = stream.read(min(end - start, _MOST_KINDS + 1))
    return len(content) > _MOST_KINDS or not _KINDS.fullmatch(content)


def _point_into(
    stream: BinaryIO,
    holder: pointers.Span,
    media: list[pointers.Span],
    forbidden: list[pointers.Span],
) -> bool:
    start, end = holder
    if end - start > _MAX_HOLDER:
        return True
    stream.seek(start)
    return pointers.point_into(stream.read(end - start), media, forbidden)


def _boxes(stream: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Kind, and where the content begins and ends, of each box at the top of a file."""
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


def _is_blank(stream: BinaryIO, start: int, end: int) -> bool:
    stream.seek(start)
    while start < end and (chunk := stream.read(min(_CHUNK, end - start))):
        if chunk.strip(b"\0"):
            return False
        start += len(chunk)
    return True
