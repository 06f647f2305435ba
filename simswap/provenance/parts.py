"""What C2PA's hash leaves out of a JPEG, PNG, WebP or GIF: its credentials, and nothing else.

All other bytes of such a file are covered. So there is no room for anything that is shown, if what
is left out is one part of the file that decoders pass over, and is that to its last byte.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any, BinaryIO

Span = tuple[int, int]  # bytes of a file, the last exclusive
_LABEL = "c2pa.hash.data"  # of the assertion with the hash; a number may stand behind it
_MAX_LENGTH = 20_000_000  # bytes of credentials; of one picture they have some 4,000
_APP11 = b"\xff\xeb"
_GIF_PART = b"\x21\xff\x0bC2PA_GIF\x01\x00\x00"


def left_out_by(manifest: Mapping[str, Any]) -> list[Span]:
    """What a manifest (of C2PA's full report) leaves out of the hash of a file's bytes."""
    assertions = manifest.get("assertions")
    held = assertions if isinstance(assertions, dict) else {}
    found = [value for label, value in held.items() if str(label).startswith(_LABEL)]
    try:
        left_out = [each for one in found for each in one["exclusions"]]
        places = ((int(each["start"]), int(each["length"])) for each in left_out)
        return [(start, start + length) for start, length in places]
    except (KeyError, TypeError, ValueError):  # not as C2PA has it
        return []


def are_credentials(stream: BinaryIO, left_out: list[Span]) -> bool:
    """Whether what is left out of a file's hash is one whole part of it, for credentials."""
    stream.seek(0)
    head = stream.read(12)
    begins = head[8:] if head.startswith(b"RIFF") else head
    is_part = next((check for sign, check in _CHECKS.items() if begins.startswith(sign)), None)
    if is_part is None or len(left_out) != 1:
        return False
    (start, end), size = left_out[0], stream.seek(0, 2)
    if not (0 < start < end <= size and end - start <= _MAX_LENGTH):
        return False
    stream.seek(start)
    return is_part(stream.read(end - start))


def _is_jpeg_part(data: bytes) -> bool:
    """Segments of one box, whole, one behind the other (ISO 19566-5, annex D)."""
    first = b""
    for number, body in zip(count(1), _segments(data), strict=False):
        first = first or body
        head = b"JP" + first[2:4] + number.to_bytes(4, "big")
        again = first[8:16] if number > 1 else b""  # the box's own head, in each of them
        if not body.startswith(head + again):
            return False
    return True


def _segments(data: bytes) -> Iterator[bytes]:
    """The bodies of APP11 segments; b"" for what is none."""
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        end = position + 2 + length
        is_whole = data[position : position + 2] == _APP11 and length >= 2 and end <= len(data)
        yield data[position + 4 : end] if is_whole else b""
        position = end if is_whole else len(data)


def _is_png_part(data: bytes) -> bool:
    length, checksum = int.from_bytes(data[:4], "big"), zlib.crc32(data[4:-4]).to_bytes(4, "big")
    return data[4:8] == b"caBX" and length + 12 == len(data) and checksum == data[-4:]


def _is_webp_part(data: bytes) -> bool:
    return data[:4] == b"C2PA" and int.from_bytes(data[4:8], "little") + 8 == len(data)


def _is_gif_part(data: bytes) -> bool:
    position = len(_GIF_PART)
    while data[position : position + 1].strip(b"\0"):  # a block's length; 0 is the last
        position += 1 + data[position]
    return data.startswith(_GIF_PART) and position == len(data) - 1


_CHECKS = {
    b"\xff\xd8\xff": _is_jpeg_part,
    b"\x89PNG\r\n\x1a\n": _is_png_part,
    b"WEBP": _is_webp_part,
    b"GIF8": _is_gif_part,
}
