"""Boxes of an MP4, written byte by byte: what a file claims need not be in it."""

import struct

START = struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 512)


def box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + kind + body


def table(kind: bytes, *numbers: int) -> bytes:
    return box(kind, struct.pack(f">{len(numbers) + 1}I", 0, *numbers))


def track(*tables: bytes, kind: bytes = b"vide") -> bytes:
    handler = box(b"hdlr", bytes(8), kind, bytes(13))
    return box(b"trak", box(b"mdia", handler, box(b"minf", box(b"stbl", *tables))))


def samples(count: int) -> bytes:
    """Tables of one track whose samples are one byte each."""
    return track(table(b"stts", 1, count, 1), table(b"stsc", 1, 1, count, 1), sizes(count))


def sizes(count: int) -> bytes:
    return table(b"stsz", 1, count)


def groups(count: int) -> bytes:
    return box(b"sbgp", bytes(4), b"sync", struct.pack(">III", 1, count, 1))
