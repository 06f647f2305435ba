"""PNG files made by hand, for what Pillow would not write."""

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, rows: bytes = b"", depth: int = 8, colours: int = 2) -> bytes:
    """A file that claims a size; rows: unfiltered scan lines, each after a zero byte.

    colours: 2 for RGB, 6 for RGB with transparency.
    """
    header = struct.pack(">IIBBBBB", width, height, depth, colours, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")
    return SIGNATURE + b"".join(parts)
