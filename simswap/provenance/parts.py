"""What a signer left out of the hash of a JPEG, PNG, WebP or GIF: its credentials and nothing else.

All other bytes of such a file are hashed. So there is no room for anything that is shown, if what
is left out is one part of the file that decoders pass over, and is that to its last byte.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, BinaryIO, NamedTuple

from simswap.provenance.pointers import Span

_LABEL = "c2pa.hash.data"  # of the assertion with the hash; a number may stand behind it
_MAX_LENGTH = 20_000_000  # bytes of credentials; of one picture they have some 4,000
_MAX_PARTS = 100_000  # before the credentials
_APP11 = b"\xff\xeb"
# Segments that all readers take for such: tables, frames, comments, and what programs add.
_JPEG_PLAIN = {0xFFC0, 0xFFC1, 0xFFC2, 0xFFC4, 0xFFDB, 0xFFDD, 0xFFFE, *range(0xFFE0, 0xFFF0)}
_GIF_PART = b"\x21\xff\x0bC2PA_GIF\x01\x00\x00"
_GIF_PLAIN = re.compile(rb"!\xff\x0bNETSCAPE2\.0\x03\x01..\0|!\xf9\x04.{4}\0", re.DOTALL)
_GIF_LONGEST = 19  # bytes of these


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


def credentials_left_out(stream: BinaryIO, left_out: list[Span]) -> bytes | None:
    """The credentials in a file, if they are the one part of it that is left out of its hash.

    stream: a file of any kind; those are known whose parts can be told. All decoders must come to
    the part in the same way: so those before it have to be of the plainest forms.
    """
    stream.seek(0)
    head = stream.read(13)
    begins = head[8:] if head.startswith(b"RIFF") else head  # an AVI's index may point anywhere
    form = next((form for sign, form in _FORMS.items() if begins.startswith(sign)), None)
    if form is None or len(left_out) != 1:
        return None
    (start, end), size = left_out[0], stream.seek(0, 2)
    if not (start < end <= size and end - start <= _MAX_LENGTH):
        return None
    position: int | None = form.first(head)
    for _ in range(_MAX_PARTS):
        if position is None or position >= start:
            break
        position = form.after(stream, position)
    if position != start:
        return None
    stream.seek(start)
    return form.credentials_in(stream.read(end - start))


class _Form(NamedTuple):
    """How a kind of file is made of parts.

    first: where its first one begins, by the file's first 13 bytes. after: where the one ends that
    begins at a place; None if readers might differ. credentials_in: what one part holds; None if it
    is not one whole part for credentials.
    """

    first: Callable[[bytes], int]
    after: Callable[[BinaryIO, int], int | None]
    credentials_in: Callable[[bytes], bytes | None]


def _header(stream: BinaryIO, position: int, layout: str) -> tuple[Any, ...]:
    stream.seek(position)
    size = struct.calcsize(layout)
    return struct.unpack(layout, stream.read(size).ljust(size, b"\0"))


def _after_jpeg_segment(stream: BinaryIO, position: int) -> int | None:
    marker, length = _header(stream, position, ">HH")
    return position + 2 + length if marker in _JPEG_PLAIN and length >= 2 else None


def _in_jpeg_part(data: bytes) -> bytes | None:
    """Segments of one box, whole, one behind the other (ISO 19566-5, annex D)."""
    pieces, first = [], b""
    for number, body in zip(count(1), _segments(data), strict=False):
        first = first or body
        head = b"JP" + first[2:4] + number.to_bytes(4, "big")
        again = first[8:16] if number > 1 else b""  # the box's own head, in each of them
        if not body.startswith(head + again):
            return None
        pieces.append(body[len(head + again) :])
    return b"".join(pieces)


def _segments(data: bytes) -> Iterator[bytes]:
    """The bodies of APP11 segments; b"" for what is none."""
    position = 0
    while position < len(data):
        length = int.from_bytes(data[position + 2 : position + 4], "big")
        end = position + 2 + length
        is_whole = data[position : position + 2] == _APP11 and length >= 2 and end <= len(data)
        yield data[position + 4 : end] if is_whole else b""
        position = end if is_whole else len(data)


def _after_png_chunk(stream: BinaryIO, position: int) -> int | None:
    length, kind = _header(stream, position, ">I4s")
    return position + 12 + length if kind.isalpha() and kind != b"IEND" else None


def _in_png_part(data: bytes) -> bytes | None:
    length, kind = int.from_bytes(data[:4], "big"), data[4:8]
    checksum = zlib.crc32(data[4:-4]).to_bytes(4, "big")
    is_whole = kind == b"caBX" and length + 12 == len(data) and checksum == data[-4:]
    return data[8:-4] if is_whole else None


def _after_webp_chunk(stream: BinaryIO, position: int) -> int | None:
    kind, length = _header(stream, position, "<4sI")
    return position + 8 + length + length % 2 if kind.strip(b"\0") else None


def _in_webp_part(data: bytes) -> bytes | None:
    is_whole = data[:4] == b"C2PA" and int.from_bytes(data[4:8], "little") + 8 == len(data)
    return data[8:] if is_whole else None


def _after_gif_colours(head: bytes) -> int:
    return 13 + (3 << (head[10] & 7) + 1 if head[10] & 0x80 else 0)


def _after_gif_extension(stream: BinaryIO, position: int) -> int | None:
    # Credentials stand before the first picture.
    # Of extensions each reader has its own idea, but of these two, as they are usually written:
    # how often an animation is shown, and how long a picture is.
    stream.seek(position)
    found = _GIF_PLAIN.match(stream.read(_GIF_LONGEST))
    return position + found.end() if found else None


def _in_gif_part(data: bytes) -> bytes | None:
    position, pieces = len(_GIF_PART), []
    while data[position : position + 1].strip(b"\0"):  # a block's length; 0 is the last
        pieces.append(data[position + 1 : position + 1 + data[position]])
        position += 1 + data[position]
    return b"".join(pieces) if data.startswith(_GIF_PART) and position == len(data) - 1 else None


_FORMS = {
    b"\xff\xd8\xff": _Form(lambda head: 2, _after_jpeg_segment, _in_jpeg_part),
    b"\x89PNG\r\n\x1a\n": _Form(lambda head: 8, _after_png_chunk, _in_png_part),
    b"WEBP": _Form(lambda head: 12, _after_webp_chunk, _in_webp_part),
    b"GIF8": _Form(_after_gif_colours, _after_gif_extension, _in_gif_part),
}
