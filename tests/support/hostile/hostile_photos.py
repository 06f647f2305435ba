"""Photos made to harm, as bytes: small files that ask for much memory or time.

HOSTILE_PHOTOS names them all, in the sizes in which they once did harm.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.media.png import SIGNATURE, chunk, png

PORTRAIT = Path(__file__).parents[3] / "assets" / "examples" / "astronaut.jpg"
SIDE = 64  # px, of photos whose harm is not in their pixels
UNDEFINED, LONG, IFD_POINTER = 7, 4, 13  # kinds of TIFF values
EXIF_IFD, SUB_IFDS = 0x8769, 0x014A


def tiff_directory(num_entries: int, num_bytes: int = 0, order: str = "<") -> bytes:
    """Attacks readers that copy each entry's value: all entries claim the same bytes, all of them.

    num_bytes: of the whole; 0 for as few as the entries need. order: "<" or ">", of bytes.
    """
    num_bytes = max(num_bytes, 14 + 12 * num_entries)
    entries = b"".join(
        struct.pack(order + "HHII", tag, UNDEFINED, num_bytes - 8, 8)
        for tag in range(1, num_entries + 1)
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    content = head + struct.pack(order + "H", num_entries) + entries + bytes(4)
    return content.ljust(num_bytes, b"\0")


def nested_directory(num_entries: int, num_bytes: int) -> bytes:
    """Attacks limits on the first directory alone: the many entries are in the one it points to."""
    inner = struct.pack("<H", num_entries) + b"".join(
        struct.pack("<HHII", tag, UNDEFINED, num_bytes - 8, 8) for tag in range(1, num_entries + 1)
    )
    outer = struct.pack("<HHHII", 1, EXIF_IFD, LONG, 1, 26) + bytes(4)
    return (b"II*\0" + struct.pack("<I", 8) + outer + inner + bytes(4)).ljust(num_bytes, b"\0")


def looping_directories(num_pages: int) -> bytes:
    """Attacks readers that count pages: a chain of directories, the last of which is the first."""
    size = 18  # bytes of a directory of one entry
    pages = b"".join(
        struct.pack("<HHHIII", 1, 0x100, LONG, 1, SIDE, 8 + size * ((number + 1) % num_pages))
        for number in range(num_pages)
    )
    return b"II*\0" + struct.pack("<I", 8) + pages


def tiff_photo(num_entries: int, num_bytes: int) -> bytes:
    """Attacks as `tiff_directory`, in a TIFF that is a photo too: its pixels are in its head."""
    num_bytes = max(num_bytes, 14 + 12 * (num_entries + 9) + SIDE * SIDE)
    pixels = num_bytes - SIDE * SIDE
    real = [(0x100, SIDE), (0x101, SIDE), (0x102, 8), (0x103, 1), (0x106, 1), (0x111, pixels)]
    real += [(0x115, 1), (0x116, SIDE), (0x117, SIDE * SIDE)]
    entries = b"".join(struct.pack("<HHII", tag, LONG, 1, value) for tag, value in real)
    entries += b"".join(
        struct.pack("<HHII", 0x8000 + n, UNDEFINED, num_bytes - 8, 8) for n in range(num_entries)
    )
    content = b"II*\0" + struct.pack("<IH", 8, num_entries + 9) + entries + bytes(4)
    return content.ljust(num_bytes, b"\x80")


def tiff_of_tiles(num_tiles: int) -> bytes:
    """Attacks who unpacks whole tiles: of each, of 16 million pixels, 16 rows are shown."""
    tile = zlib.compress(bytes(16 << 20), 9)
    *places, end = (8 + len(tile) * number for number in range(num_tiles + 1))
    lists = struct.pack(f"<{2 * num_tiles}I", *places, *[len(tile)] * num_tiles)
    real = [(0x100, 16 * num_tiles), (0x101, 16), (0x102, 8), (0x103, 8), (0x106, 1), (0x115, 1)]
    entries = [(tag, 1, value) for tag, value in [*real, (0x142, 16), (0x143, 1 << 20)]]
    entries += [(0x144, num_tiles, end), (0x145, num_tiles, end + 4 * num_tiles)]
    head = b"II*\0" + struct.pack("<I", end + len(lists))
    told = b"".join(struct.pack("<HHII", tag, LONG, *rest) for tag, *rest in entries)
    return head + tile * num_tiles + lists + struct.pack("<H", len(entries)) + told + bytes(4)


def jpeg_of_pictures(num_bytes: int) -> bytes:
    """Attacks who counts all pictures of a file: each has six bytes."""
    return _encoded("JPEG") + b"\xff\xda\xff\xd8\xff\xe0" * (num_bytes // 6)


def png_with_exif(exif: bytes) -> bytes:
    """A small PNG that carries this EXIF."""
    whole = _encoded("PNG")
    return whole[:33] + chunk(b"eXIf", exif) + whole[33:]


def jpeg_with_exif(exif: bytes, side: int = SIDE) -> bytes:
    """A small JPEG that carries this EXIF, in as many segments as it needs."""
    parts = (exif[start : start + 65_000] for start in range(0, len(exif), 65_000))
    return _with_segments(side, *(_segment(0xE1, b"Exif\0\0" + part) for part in parts))


def webp_with_exif(exif: bytes) -> bytes:
    """A small WebP that carries this EXIF."""
    return _encoded("WEBP", exif=exif)


def avif_with_exif(exif: bytes) -> bytes:
    """A small AVIF that carries this EXIF (of at least 14 bytes)."""
    harmless = tiff_directory(0, len(exif))  # Pillow reads what it writes
    return _encoded("AVIF", exif=harmless).replace(harmless, exif)


def png_with_raw_profile(exif: bytes) -> bytes:
    """Attacks limits on the eXIf chunk: the same EXIF as compressed hexadecimal text."""
    text = b"\nexif\n%8d\n" % (len(exif) + 6) + (b"Exif\0\0" + exif).hex().encode()
    packed = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))
    whole = _encoded("PNG")
    return whole[:33] + packed + whole[33:]


def jpeg_with_pictures(num_entries: int) -> bytes:
    """Attacks the reader of a JPEG's further pictures (MPF), whose index is a TIFF directory."""
    index = tiff_directory(min(num_entries, 5_400), 65_000)
    return _with_segments(SIDE, _segment(0xE2, b"MPF\0" + index))


def jpeg_of_scans(width: int, height: int, num_scans: int) -> bytes:
    """Attacks decoders of progressive JPEGs: each empty scan of 10 bytes walks over all pixels."""
    parts = [
        _segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0"),
        _segment(0xDB, b"\0" + bytes([16]) * 64),
        _segment(0xC2, struct.pack(">BHHB", 8, height, width, 1) + b"\1\x11\0"),
        _segment(0xC4, b"\x00" + bytes([0, 2] + [0] * 14) + b"\x00\x01"),
        _segment(0xC4, b"\x10" + bytes([0, 2] + [0] * 14) + b"\x00\xe0"),
        _segment(0xDA, b"\1\1\0\0\0\0"),
        _segment(0xDA, b"\1\1\0\1\x3f\0") * num_scans,
    ]
    return b"\xff\xd8" + b"".join(parts) + b"\xff\xd9"


def jpeg_of_segments(num_segments: int) -> bytes:
    """Attacks readers that keep every segment: very many empty comments."""
    return _with_segments(SIDE, _segment(0xFE, b"") * num_segments)


def jpeg_with_profile(num_bytes: int) -> bytes:
    """Attacks who keeps or copies a colour profile: one of many megabytes, in 255 parts."""
    profile = bytes(36) + b"acsp" + bytes(num_bytes)
    parts = [profile[start : start + 65_000] for start in range(0, len(profile), 65_000)][:255]
    return _with_segments(
        SIDE,
        *(
            _segment(0xE2, b"ICC_PROFILE\0" + bytes([n + 1, len(parts)]) + part)
            for n, part in enumerate(parts)
        ),
    )


def png_with_profile(num_bytes: int) -> bytes:
    """Attacks who unpacks a colour profile: some kilobytes of it become many megabytes."""
    profile = b"\0" * 16 + b"RGB " + bytes(16) + b"acsp" + bytes(num_bytes)
    whole = _encoded("PNG")
    return whole[:33] + chunk(b"iCCP", b"p\0\0" + zlib.compress(profile, 9)) + whole[33:]


def png_of_texts(num_texts: int, num_bytes: int) -> bytes:
    """Attacks who unpacks texts: each of some bytes becomes a megabyte or so."""
    packed = b"\0\0" + zlib.compress(bytes(num_bytes), 9)
    texts = b"".join(chunk(b"zTXt", b"%d" % number + packed) for number in range(num_texts))
    whole = _encoded("PNG")
    return whole[:33] + texts + whole[33:]


def xmp_of_names(num_bytes: int, num_names: int) -> bytes:
    """XMP that attacks who writes a namespace, of so many bytes, out in each of many names."""
    tags = b"".join(b"<a%x/>" % number for number in range(num_names))
    return b'<a xmlns="' + b"A" * num_bytes + b'">' + tags + b"</a>"


def png_with_names(num_bytes: int, num_names: int) -> bytes:
    """A small PNG that carries such XMP."""
    whole, xmp = _encoded("PNG"), xmp_of_names(num_bytes, num_names)
    return whole[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + xmp) + whole[33:]


def png_of_pixels(width: int, height: int, depth: int = 8) -> bytes:
    """Attacks decoders: as many pixels as are taken (16 bits each, if asked), all of them zero."""
    row = bytes(1 + width * 3 * depth // 8)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def png_of_many_pixels(side: int = 30_000) -> bytes:
    """Attacks who decodes before looking at the size: an empty PNG that claims far too many."""
    return png(side, side, bytes(1000))


def gif_of_frames(width: int, height: int, num_frames: int) -> bytes:
    """Attacks who decodes all frames: each of 23 bytes is one pixel, shown on the whole canvas."""
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    control = b"\x21\xf9\4\0\4\0\0\0"
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\2\2\x44\1\0"
    return head + (control + frame) * num_frames + b"\x3b"


def webp_of_frames(side: int, num_frames: int) -> bytes:
    """Attacks who decodes all frames of an animation: each is one pixel on a large canvas."""
    dot = _encoded("WEBP", 1, lossless=True)
    part = dot[12:]
    frame = bytes(6) + bytes(6) + (1).to_bytes(3, "little") + b"\0" + part
    frames = (b"ANMF" + struct.pack("<I", len(frame)) + frame) * num_frames
    size = (side - 1).to_bytes(3, "little") * 2
    body = b"WEBPVP8X" + struct.pack("<II", 10, 2) + size
    body += b"ANIM" + struct.pack("<IIH", 6, 0, 0) + frames
    return b"RIFF" + struct.pack("<I", len(body)) + body


def face_collage(columns: int, rows: int, side: int = 48) -> bytes:
    """Attacks the swap itself: a photo of as many faces as fit into it."""
    portrait = Image.open(PORTRAIT).convert("RGB").crop((90, 0, 360, 270)).resize((side, side))
    encoded = io.BytesIO()
    Image.fromarray(np.tile(np.array(portrait), (rows, columns, 1))).save(encoded, "JPEG")
    return encoded.getvalue()


def _encoded(format: str, side: int = SIDE, **options: object) -> bytes:
    encoded = io.BytesIO()
    Image.new("RGB", (side, side), (128, 120, 110)).save(encoded, format, **options)
    return encoded.getvalue()


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _with_segments(side: int, *segments: bytes) -> bytes:
    whole = _encoded("JPEG", side)
    return whole[:2] + b"".join(segments) + whole[2:]


def _carried(carry: Callable[[bytes], bytes], make: Callable[..., bytes], *values: int) -> bytes:
    return carry(make(*values))


_FORMS = {
    "PNG": png_with_exif,
    "PNG as text": png_with_raw_profile,
    "JPEG": jpeg_with_exif,
    "WebP": webp_with_exif,
    "AVIF": avif_with_exif,
}
HOSTILE_PHOTOS: dict[str, Callable[[], bytes]] = {
    **{
        f"EXIF of 10,000 entries, {form}": partial(_carried, carry, tiff_directory, 10_000)
        for form, carry in _FORMS.items()
    },
    **{
        f"EXIF of 65,000 entries, {form}": partial(_carried, carry, tiff_directory, 65_000)
        for form, carry in _FORMS.items()
    },
    "EXIF of 300 entries of 10 MB": partial(
        _carried, png_with_exif, tiff_directory, 300, 10_000_000
    ),
    "EXIF of 60 entries of 60 MB, WebP": partial(
        _carried, webp_with_exif, tiff_directory, 60, 60_000_000
    ),
    "EXIF, directory in a directory": partial(
        _carried, png_with_exif, nested_directory, 60_000, 800_000
    ),
    "EXIF, big-endian": lambda: jpeg_with_exif(tiff_directory(10_000, 0, ">")),
    "TIFF of 65,000 entries": partial(tiff_directory, 65_000),
    "TIFF photo of 10,000 entries": partial(tiff_photo, 10_000, 0),
    "TIFF photo of 300 entries of 10 MB": partial(tiff_photo, 300, 10_000_000),
    "TIFF of pages without end": partial(looping_directories, 50_000),
    "TIFF of 200 tiles of 16 megapixels": partial(tiff_of_tiles, 200),
    "MPO of 16 million pictures": partial(jpeg_of_pictures, 99_000_000),
    "JPEG's index of pictures": partial(jpeg_with_pictures, 5_400),
    "JPEG of 1,000 scans": partial(jpeg_of_scans, 7_000, 7_000, 1_000),
    "JPEG of 12,000 scans": partial(jpeg_of_scans, 7_000, 7_000, 12_000),
    "JPEG of 99 scans": partial(jpeg_of_scans, 7_000, 7_000, 99),
    "JPEG of 2 million segments": partial(jpeg_of_segments, 2_000_000),
    "JPEG with a profile of 16 MB": partial(jpeg_with_profile, 16_000_000),
    "PNG with a profile of 300 MB": partial(png_with_profile, 300_000_000),
    "PNG with 60 texts of 1 MB": partial(png_of_texts, 60, 1_000_000),
    "PNG of 50 megapixels": partial(png_of_pixels, 7_070, 7_070),
    "PNG of 50 megapixels of 16 bits": partial(png_of_pixels, 7_070, 7_070, 16),
    "PNG of one long line": partial(png_of_pixels, 3_125_000, 16),
    "PNG with a long namespace": partial(png_with_names, 100_000, 12_000),
    "PNG that claims 900 megapixels": png_of_many_pixels,
    "GIF of 200 frames of 37 megapixels": partial(gif_of_frames, 8_192, 4_608, 200),
    "GIF of 5,000 frames": partial(gif_of_frames, 3_840, 2_160, 5_000),
    "GIF of 500,000 frames": partial(gif_of_frames, 640, 480, 500_000),
    "WebP of 2,000 frames": partial(webp_of_frames, 7_000, 2_000),
    "800 faces": partial(face_collage, 40, 20),
    "3,000 faces": partial(face_collage, 75, 40, 36),
}
