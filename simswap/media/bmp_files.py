"""What of a BMP's file its decoder is given."""

from __future__ import annotations

import struct

from simswap.errors import MediaError

MAX_RLE = 2_100_000  # pixels; these are decoded one by one


def picture_in_bmp(data: bytes, name: str) -> bytes:
    """The file, or as much of it as its pixels can need; see photo_files.pictures_in."""
    width, height = struct.unpack_from("<ii", data, 18)
    is_packed = struct.unpack_from("<I", data, 14)[0] >= 40 and data[30] in (1, 2)
    if not is_packed:
        return data
    if abs(width * height) > MAX_RLE:
        raise MediaError(
            f"{name} is a run-length coded BMP of {width}x{height} pixels; at most "
            f"{MAX_RLE / 1e6:.1f} million are taken of that kind. Save it as PNG."
        )
    # Codes that say nothing can go on for ever; sensible ones take two bytes a pixel at most, and
    # two for the end of each row.
    (start,) = struct.unpack_from("<I", data, 10)
    return data[: start + 2 * abs((width + 1) * height) + 2]
