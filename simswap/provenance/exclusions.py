"""What a signer left out of a file's hash, where it is more than the credentials themselves."""

from __future__ import annotations

import base64
import os
import re
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from simswap.provenance import pointers
from simswap.provenance.parts import credentials_left_out
from simswap.provenance.store import is_signed_throughout

LEFT_OUT = "simswap.partsLeftOut"  # our code: it fits whatever these parts hold
_NOTICED = ".additionalExclusionsPresent"  # end of C2PA's code, which is no failure to it
# Boxes that C2PA's own library leaves out of each MP4 and AVIF: of what kind the file is, where its
# parts begin, and padding. All others it hashes, with the place in the file where each begins.
_USUAL = ("/ftyp", "/mfra", "/free", "/skip")
# A hash of a photo's parts, one by one: what is put between or behind them goes unnoticed.
_BY_PARTS = "assertion.boxesHash.match"
_IN_BOXES = "c2pa.hash.bmff"  # a number stands behind it; without, places are not hashed
# A picture's place in the file is a number, which may point into such a box too, or into its head,
# where a byte can decide what is shown. So tables must point into what is hashed, padding must be
# all zeros, there is one list of kinds, in plain text, and no fragments, of which players read what
# they want when they want it.
# Boxes at the top of a file that may stand before the credentials.
_BEFORE = {b"ftyp", b"free", b"skip", b"wide", b"uuid", b"moov", b"meta"}
_KNOWN = {*_BEFORE, pointers.MEDIA}
_MAX_HOLDER = 200_000_000  # bytes of a box with tables; a day's have half of it
_PADDING = (b"free", b"skip")
_MOST_KINDS = 96  # bytes; honest ones have some 40
_KINDS = re.compile(rb"[ -~]{4}.{4}(?:[ -~]{4})*", re.DOTALL)  # what ftyp has: a number is second
# What the credentials' box begins with: its number, a version, what it is for, and where parts of a
# hash lie: nowhere.
_CREDENTIALS = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_OWN = "/uuid", [{"offset": 8, "value": base64.b64encode(_CREDENTIALS).decode()}]  # as C2PA says it
_STORE = _CREDENTIALS + bytes(4) + b"manifest\0" + bytes(8)
_MAX_STORE = 20_000_000  # bytes; of one picture they have some 4,000
_NOT_HASHED = (b"ftyp", b"uuid", *_PADDING)
_ONCE = (b"ftyp", b"moov", b"meta")  # of which a reader might take another than is looked at
_NUMBER = 16  # bytes, of a uuid box, by which it is told
_MAX_BOXES = 100_000
_CHUNK = 2**20  # bytes


def has_unusual(codes: Iterable[str], manifest: Mapping[str, Any]) -> bool:
    """Whether a manifest's hash leaves out what is shown, or could be.

    codes: what C2PA says of it beside failures. manifest: of C2PA's own reader.
    """
    codes = list(codes)
    hashes = [
        held
        for held in manifest.get("assertions", ())
        if str(held.get("label")).startswith(_IN_BOXES)
    ]
    if _BY_PARTS in codes or not all(map(_is_usual, hashes)):
        return True
    noticed = [code for code in codes if code.endswith(_NOTICED)]
    return any(code != f"assertion.bmffHash{_NOTICED}" for code in noticed)


def _is_usual(held: Mapping[str, Any]) -> bool:
    """Whether a hash of boxes is one of the whole file, but for what the library leaves out."""
    try:
        hashed = held["data"]
        # The library takes one that is not there to fit, and those of fragments as far as they go.
        is_there = bool(hashed["hash"]) and not hashed.get("merkle")
        return (
            is_there
            and held["label"].startswith(f"{_IN_BOXES}.v")
            and all(
                each["xpath"] in _USUAL or (each["xpath"], each["data"]) == _OWN
                for each in hashed["exclusions"]
            )
        )
    except (KeyError, TypeError, AttributeError):  # not as C2PA has it
        return False


def could_hold_pixels(
    stream: BinaryIO,
    left_out: list[pointers.Span],
    versions: Collection[str],
    is_own: bool,
    has_stamps: bool,
) -> bool:
    """Whether what C2PA's library leaves out of a file has room for what is shown.

    stream: a file with credentials, on the disk. left_out: of the hash of its bytes, see
    parts.left_out_by; nothing in a file of boxes, such as an MP4 or AVIF. versions: see
    store.is_signed_throughout. is_own: whether this machine's signer signed it; has_stamps: whether
    that one asks a server for the time.
    """
    stream.seek(0)
    head = stream.read(12)
    if head[4:8] != b"ftyp":
        store = credentials_left_out(stream, left_out)
    else:
        store = None if left_out or _have_room(stream) else _store_in(stream)
    # A WebP's decoder may read on from a picture that ends too early.
    is_loose = head[4:8] == b"ftyp" or head[8:] == b"WEBP"
    may_be_stamped = has_stamps if is_own else not is_loose
    return store is None or not is_signed_throughout(store, versions, may_be_stamped)


def boxes_left_out(stream: BinaryIO) -> list[tuple[int, int, int]]:
    """Where in an MP4 or AVIF lies what a signer may leave out: a box's head, its content, its end.

    stream: a file on the disk, of which could_hold_pixels is False. Of other kinds of file, none.
    """
    stream.seek(4)
    if stream.read(4) != b"ftyp":
        return []
    return [
        (head, min(start + (_NUMBER if kind == b"uuid" else 0), end), end)
        for kind, head, start, end in _boxes(stream)
        if kind in _NOT_HASHED
    ]


def _store_in(stream: BinaryIO) -> bytes | None:
    """The credentials in an MP4 or AVIF, in which there is one box for them."""
    for kind, _, start, end in _boxes(stream):
        stream.seek(start)
        if kind == b"uuid" and stream.read(len(_STORE)) == _STORE and end - start <= _MAX_STORE:
            return stream.read(end - start - len(_STORE))
    return None


def _have_room(stream: BinaryIO) -> bool:
    """Whether the boxes that are left out of an MP4 or AVIF have."""
    media, holders = [], []
    before, num_credentials = set(), 0
    for number, (kind, _, start, end) in enumerate(_boxes(stream)):
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
        if kind == pointers.MEDIA:
            media.append((start, end))
        elif kind in pointers.HOLDERS:
            holders.append((start, end))
    # Of a file with both, the kind in ftyp decides whether its photo or its film is shown.
    if num_credentials > 1 or {b"moov", b"meta"} <= before:
        return True
    return any(_point_astray(stream, holder, media) for holder in holders)


def _holds_more(stream: BinaryIO, kind: bytes, start: int, end: int) -> bool:
    """Whether a box that is left out holds more than one of its kind needs, or has no end."""
    if not start <= end <= os.fstat(stream.fileno()).st_size:
        return True
    if kind in _PADDING:
        return not _is_blank(stream, start, end)
    if kind != b"ftyp":
        return False
    stream.seek(start)
    content = stream.read(min(end - start, _MOST_KINDS + 1))
    return len(content) > _MOST_KINDS or not _KINDS.fullmatch(content)


def _point_astray(stream: BinaryIO, holder: pointers.Span, media: list[pointers.Span]) -> bool:
    start, end = holder
    if end - start > _MAX_HOLDER:
        return True
    stream.seek(start)
    return pointers.point_astray(stream.read(end - start), media)


def _boxes(stream: BinaryIO) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, and where head and content begin and it ends, of each box at the top of a file."""
    position, size = 0, os.fstat(stream.fileno()).st_size
    while position < size:
        stream.seek(position)
        length, kind = struct.unpack(">I4s", stream.read(8).ljust(8, b"\0"))
        start = position + 8
        if length == 1:
            length, start = int.from_bytes(stream.read(8), "big"), position + 16
        end = position + length if length else size
        yield kind, position, start, end
        position = max(end, start)


def _is_blank(stream: BinaryIO, start: int, end: int) -> bool:
    stream.seek(start)
    while start < end and (chunk := stream.read(min(_CHUNK, end - start))):
        if chunk.strip(b"\0"):
            return False
        start += len(chunk)
    return True
