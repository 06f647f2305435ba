"""How many pictures a GIF has; each may be a few bytes on a canvas of any size."""

from __future__ import annotations

import struct

from simswap.errors import MediaError

MAX_GIF_STEPS = 10_000_000  # blocks of a GIF, and pieces of them


def check_gif(data: bytes, name: str, max_decoded: int) -> None:
    """Raise MediaError for a GIF of more pixels, of all its pictures together, than are decoded.

    name: of the file, for messages.
    """
    width, height = struct.unpack_from("<HH", data.ljust(13), 6)
    position, num_frames, num_pieces = 13 + _colours(data[10:11]), 0, 0
    while num_pieces < MAX_GIF_STEPS and num_frames * width * height <= max_decoded:
        num_pieces += 1
        kind = data[position : position + 1]
        if kind == b"\x2c":
            num_frames += 1
            position += 10 + _colours(data[position + 9 : position + 10]) + 1
        elif kind == b"\x21":
            position += 2
        elif not kind or kind == b"\x3b":
            return
        else:
            position += 1
            continue
        while position < len(data) and data[position] and num_pieces < MAX_GIF_STEPS:
            position += 1 + data[position]
            num_pieces += 1
        position += 1
    raise MediaError(
        f"{name} has so many pictures of {width}x{height} pixels that looking through them takes "
        "too long. Convert it to an MP4, make it smaller, or cut it."
    )


def _colours(flags: bytes) -> int:
    """Bytes of the table of colours that flags tell of."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0
