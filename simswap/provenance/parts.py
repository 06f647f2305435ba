"""What a signer left out of the hash of a JPEG, PNG, WebP or GIF: its credentials and nothing else.

All other bytes of such a file are hashed. So there is no room for anything that is shown, if what
is left out is one part of the file that decoders pass over, and is that to its last byte.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, BinaryIO

_LABEL = "c2pa.hash.data"  # of the assertion with the hash; a number may stand behind it
_MAX_LENGTH = 20_000_000  # bytes of credentials; of one picture they have some 4,000
_MAX_PARTS = 100_000  # before the credentials
_APP11 = b"\xff\xeb"
# Segments that all readers take for such: tables, frames, comments, and what programs add.
_JPEG_PLAIN = {0xFFC0, 0xFFC1, 0xFFC2, 0xFFC4, 0xFFDB, 0xFFDD, 0xFFFE, *range(0xFFE0, 0xFFF0)}
_GIF_PART = b"\x21\xff\x0bC2PA_GIF\x01\x00\x00"

Range = tuple[int, int]  # where it begins in the file, and its length


def ranges_left_out(manifest: Mapping[str, Any]) -> list[Range]:
    """What a manifest (of C2PA's full report) leaves out of the hash of a file's bytes."""
    assertions = manifest.get("assertions")
    held = assertions if isinstance(assertions, dict) else {}
    found = [value for label, value in held.items() if str(label).startswith(_LABEL)]
    try:
        return [
            (int(one["start"]), int(one["length"])) for each in found for one in each["exclusions"]
        ]
    except (KeyError, TypeError, ValueError):  # not as C2PA has it
        return []


def is_credentials_alone(stream: BinaryIO, ranges: list[Range]) -> bool:
    """Whether what is left out of a file's hash is the one part of it that holds credentials.

    stream: a file of any kind; those are known whose parts can be told. All decoders must come to
    the part in the same way: so those before it have to be of the plainest forms.
    """
    stream.seek(0)
    head = stream.read(13)
    begins = head[8:] if head.startswith(b"RIFF") else head  # an AVI's index may point anywhere
    form = next((form for sign, form in _FORMS.items() if begins.startswith(sign)), None)
    if form is None or len(ranges) != 1:
        return False
    (start, length), size = ranges[0], stream.seek(0, 2)
    if not 0 < length <= min(_MAX_LENGTH, size - start):
        return False
    position: int | None = form.first(head)
    for _ in range(_MAX_PARTS):
        if position is None or position >= start:
            break
        position = form.after(stream, position)
    if position != start:
        return False
    stream.seek(start)
    return form.is_credentials(stream.read(length))


class _Jpeg:
    @staticmethod
    def first(head: bytes) -> int:
        return 2

    @staticmethod
    def after(stream: BinaryIO, position: int) -> int | None:
        stream.seek(position)
        marker, length = struct.unpack(">HH", stream.read(4).ljust(4, b"\0"))
        is_plain = marker in _JPEG_PLAIN and length >= 2
        return position + 2 + length if is_plain else None

    @staticmethod
    def is_credentials(data: bytes) -> bool:
        """Segments of one box, whole, one behind the other (ISO 19566-5, annex D)."""
        room, first = 0, b""
        for number, body in zip(count(1), _segments(data), strict=False):
            first = first or body
            if body[:8] != b"JP" + first[2:4] + number.to_bytes(4, "big"):
                return False
            room += len(body) - 8 - (8 if number > 1 else 0)  # others repeat the first's beginning
        return room == int.from_bytes(first[8:12], "big") > 0


def _segments(data: bytes) -> Iterator[bytes]:
    """The bodies of APP11 segments; b"" for what is none."""
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        end = position + 2 + length
        is_whole = data[position : position + 2] == _APP11 and length >= 2 and end <= len(data)
        yield data[position + 4 : end] if is_whole else b""
        position = end if is_whole else len(data)


class _Png:
    @staticmethod
    def first(head: bytes) -> int:
        return 8

    @staticmethod
    def after(stream: BinaryIO, position: int) -> int | None:
        stream.seek(position)
        length, kind = struct.unpack(">I4s", stream.read(8).ljust(8, b"\0"))
        return position + 12 + length if kind.isalpha() and kind != b"IEND" else None

    @staticmethod
    def is_credentials(data: bytes) -> bool:
        length, kind = int.from_bytes(data[:4], "big"), data[4:8]
        checksum = zlib.crc32(data[4:-4]).to_bytes(4, "big")
        return kind == b"caBX" and length + 12 == len(data) and checksum == data[-4:]


class _WebP:
    @staticmethod
    def first(head: bytes) -> int:
        return 12

    @staticmethod
    def after(stream: BinaryIO, position: int) -> int | None:
        stream.seek(position)
        kind, length = struct.unpack("<4sI", stream.read(8).ljust(8, b"\0"))
        return position + 8 + length + length % 2 if kind.strip(b"\0") else None

    @staticmethod
    def is_credentials(data: bytes) -> bool:
        return data[:4] == b"C2PA" and int.from_bytes(data[4:8], "little") + 8 == len(data)


class _Gif:
    @staticmethod
    def first(head: bytes) -> int:
        return 13 + (3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0)

    @staticmethod
    def after(stream: BinaryIO, position: int) -> int | None:
        """Behind an extension. Credentials stand before the first picture."""
        stream.seek(position)
        begin = stream.read(3)
        if begin[:2] == b"\x21\xf9":
            rest = stream.read(5)
            return position + 8 if begin[2:] == b"\4" and rest[4:] == b"\0" else None
        if begin[:1] != b"\x21":
            return None
        position += 2
        for _ in range(_MAX_PARTS):
            stream.seek(position)
            length = stream.read(1)
            if length in (b"", b"\0"):
                return position + 1
            position += 1 + length[0]
        return None

    @staticmethod
    def is_credentials(data: bytes) -> bool:
        position = len(_GIF_PART)
        while data[position : position + 1].strip(b"\0"):  # a block's length; 0 is the last
            position += 1 + data[position]
        return data.startswith(_GIF_PART) and position == len(data) - 1


_FORMS = {b"\xff\xd8\xff": _Jpeg, b"\x89PNG\r\n\x1a\n": _Png, b"WEBP": _WebP, b"GIF8": _Gif}
