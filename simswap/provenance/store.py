"""Whether credentials hold anything that no signature covers (C2PA in JUMBF, ISO 19566-5).

The hash of a file leaves its credentials out. A decoder that reads files in a way of its own might
come upon them and show what they hold. So they must be as they were signed, to the last byte.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterator

_TYPE = bytes.fromhex("00110010800000aa00389b71")  # how the kinds of C2PA's boxes end
_PLAIN = b"\x03"  # a box that can be asked for, and has a label: no more stands in its description
_MAX_BOXES = 10_000  # of one level
_ALL = (b"c2pa", b"c2pa")  # the box of all credentials: its kind and its label
# Kind of boxes that hold what a version of a file says. Another (c2um) has no hash of the file, but
# leaves it to the version before.
_VERSION = b"c2ma"
_ASSERTIONS, _SIGNATURE = (b"c2as", b"c2pa.assertions"), (b"c2cs", b"c2pa.signature")
_CLAIMS = (b"c2cl", b"c2pa.claim"), (b"c2cl", b"c2pa.claim.v2")
# Kinds of boxes in an assertion: what it is, and its content; of a file also of which kind that is.
_IN_ASSERTION = [[b"jumd", b"cbor"], [b"jumd", b"json"], [b"jumd", b"bfdb", b"bidb"]]
# What it is, by its number and label, and a salt or none.
_ABOUT_ASSERTION = re.compile(
    rb".{16}(?:\x03[^\0]+\0|\x13[^\0]+\0\0\0\0(?:\x18c2sh.{16}|\x28c2sh.{32}))", re.DOTALL
)
_SIGN1, _NOTHING = b"\xd2\x84", b"\xf6"  # how a COSE signature begins; it stands beside its content
_PADDING = (b"\x63pad", b"\x64pad2")  # keys of CBOR, with which a signature is filled up
# Keys of what a signature does not cover, and honest ones may have beside them: certificates, two
# forms of a timestamp, and what a server says of a certificate.
_BESIDE = (b"\x18\x21", b"\x66sigTst", b"\x67sigTst2", b"\x65rVals")
_BYTES, _MAP, _TAG = 2, 5, 6  # kinds of items in CBOR
_MAX_ITEMS = 10_000

Box = tuple[bytes, bytes]  # kind and content
Name = tuple[bytes, bytes]  # kind of C2PA's boxes, and label


class _Odd(Exception):
    """What stands there is not as the standard has it, or is more than it needs."""


def is_signed_throughout(store: bytes, versions: Collection[str], may_be_stamped: bool) -> bool:
    """Whether nothing can be written into credentials without C2PA's library telling.

    store: all credentials of a file, in which that library found no fault. versions: labels of the
    file's versions that it saw to be as they were. may_be_stamped: whether a server may have
    attested the time: a timestamp has a signature of its own, and room beside it.
    """
    try:
        (top,) = _boxes(store)
        name, boxes = _opened(top)
        labels = []
        for box in boxes:
            (kind, label), parts = _opened(box)
            names = [_check_part(part, may_be_stamped) for part in parts]
            if kind != _VERSION or len(set(names)) < len(names):
                raise _Odd
            labels.append(label.decode())
        if name != _ALL or sorted(labels) != sorted(versions):
            raise _Odd
    except (_Odd, IndexError, ValueError):
        return False
    return True


def _check_part(box: Box, may_be_stamped: bool) -> Name:
    """What a part of a version is called; raises _Odd if it holds more than it needs."""
    # Each assertion's hash stands in the claim, whose own stands in the signature; but the library
    # makes it of those parts of an assertion that it knows.
    name, content = _opened(box)
    if name == _ASSERTIONS:
        for kind, assertion in content:
            boxes = list(_boxes(assertion))
            is_known = kind == b"jumb" and [kind for kind, _ in boxes] in _IN_ASSERTION
            if not is_known or not _ABOUT_ASSERTION.fullmatch(boxes[0][1]):
                raise _Odd
        return name
    if name not in (*_CLAIMS, _SIGNATURE):
        raise _Odd
    ((form, item),) = content
    if form != b"cbor":
        raise _Odd
    if name == _SIGNATURE:
        _check_signature(item, may_be_stamped)
    return name


def _check_signature(item: bytes, may_be_stamped: bool) -> None:
    """Raise _Odd if what it does not cover in itself is more than zeros, and what honest ones have.

    It is an array of four (RFC 9052): what it covers, the rest, no content, and the signature.
    """
    if not item.startswith(_SIGN1):
        raise _Odd
    rest = _end(item, len(_SIGN1))
    kind, count, place = _head(item, rest)
    if kind != _MAP:
        raise _Odd
    for _ in range(count):
        value = _end(item, place)
        key, end = item[place:value], _end(item, value)
        if key in _PADDING:
            kind, _, start = _head(item, value)
            if kind != _BYTES or item[start:end].strip(b"\0"):
                raise _Odd
        elif not may_be_stamped or key not in _BESIDE:
            raise _Odd
        place = end
    if item[place : place + 1] != _NOTHING or _end(item, place + 1) != len(item):
        raise _Odd


def _boxes(data: bytes) -> Iterator[Box]:
    """The boxes that fill a place, one behind the other."""
    place = 0
    for _ in range(_MAX_BOXES):
        if place == len(data):
            return
        length, kind = struct.unpack(">I4s", data[place : place + 8].ljust(8, b"\0"))
        if not 8 <= length <= len(data) - place:
            raise _Odd
        yield kind, data[place + 8 : place + length]
        place += length
    raise _Odd


def _opened(box: Box) -> tuple[Name, list[Box]]:
    """What one of C2PA's boxes is called, and those in it."""
    kind, content = box
    (form, about), *parts = _boxes(content)
    if (kind, form) != (b"jumb", b"jumd") or about[4:17] != _TYPE + _PLAIN or about[-1:] != b"\0":
        raise _Odd
    return (about[:4], about[17:-1]), parts


def _end(data: bytes, place: int) -> int:
    """Where an item of CBOR ends (RFC 8949): a number, bytes, or one that holds others."""
    left = 1
    for _ in range(_MAX_ITEMS):
        kind, argument, place = _head(data, place)
        if kind in (2, 3):  # bytes and text
            place += argument
        left += {4: argument, _MAP: 2 * argument, _TAG: 1}.get(kind, 0) - 1
        if place > len(data):
            raise _Odd
        if not left:
            return place
    raise _Odd


def _head(data: bytes, place: int) -> tuple[int, int, int]:
    """Of an item: its kind, its number or length, and where what follows begins."""
    kind, short = data[place] >> 5, data[place] & 31
    if short < 24:
        return kind, short, place + 1
    if short > 27:  # without a length
        raise _Odd
    end = place + 1 + (1 << short - 24)
    return kind, int.from_bytes(data[place + 1 : end], "big"), end
