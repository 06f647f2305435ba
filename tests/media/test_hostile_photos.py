"""Photo files that claim more than they hold, or cost more than their pixels do."""

import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from simswap.errors import MediaError
from simswap.media.decoding import decode_photo, decode_series
from simswap.media.photos import read_photo

MEMORY = 4_000_000  # bytes; far above what pictures of 64 x 64 pixels need
SIDE = 64


def encoded(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (SIDE, SIDE), (10, 90, 200)).save(stream, kind, **options)
    return stream.getvalue()


def directory(entries: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """A little-endian TIFF whose entries are (tag, type, count, value or place)."""
    body = struct.pack("<H", len(entries))
    body += b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", following)


def greedy_directory(num_entries: int = 3000) -> bytes:
    """Every entry claims the whole file."""
    size = 14 + 12 * num_entries
    return directory([(tag, 7, size - 8, 8) for tag in range(1, num_entries + 1)])


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def after_start(jpeg: bytes, *segments: bytes) -> bytes:
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)


def with_chunks(*chunks: bytes) -> bytes:
    png = encoded("PNG")
    return png[:33] + b"".join(chunks) + png[33:]


def jpeg_of_scans(num_scans: int, frame: int = 0xC2) -> bytes:
    """A JPEG of as many scans, all of them empty."""
    codes = bytes([0, 2] + [0] * 14)
    start = segment(0xDB, b"\0" + bytes([16]) * 64)
    start += segment(frame, struct.pack(">BHHB", 8, SIDE, SIDE, 1) + b"\1\x11\0")
    start += segment(0xC4, b"\0" + codes + b"\0\1") + segment(0xC4, b"\x10" + codes + b"\0\xe0")
    first, further = segment(0xDA, b"\1\1\0\0\0\0"), segment(0xDA, b"\1\1\0\1\x3f\0")
    return b"\xff\xd8" + start + first + further * (num_scans - 1) + b"\xff\xd9"


def tiff(width: int, height: int, *entries: tuple[int, int, int, int]) -> bytes:
    """A grey TIFF, deflated; entries go before those of an ordinary file of one strip."""
    usual = {256: width, 257: height, 258: 8, 259: 8, 262: 1, 273: 8, 277: 1, 278: height, 279: 64}
    told = {entry[0] for entry in entries}
    rest = [(tag, 4, 1, value) for tag, value in usual.items() if tag not in told]
    return directory([*entries, *rest]) + bytes(4096)


def said_of(data: bytes) -> str:
    """What is said of a file that is refused."""
    with pytest.raises(MediaError) as error:
        decode_photo(data, "photo")
    return str(error.value)


GREEDY = {
    "JPEG": lambda exif: after_start(encoded("JPEG"), segment(0xE1, b"Exif\0\0" + exif)),
    "JPEG in parts": lambda exif: after_start(
        encoded("JPEG"),
        *(segment(0xE1, b"Exif\0\0" + exif[i : i + 9000]) for i in range(0, len(exif), 9000)),
    ),
    "JPEG's list of pictures": lambda exif: after_start(
        encoded("JPEG"), segment(0xE2, b"MPF\0" + exif)
    ),
    "JPEG, within another segment": lambda exif: after_start(
        encoded("JPEG").replace(b"JFIF", b"none"),
        *(
            segment(0xF0, segment(0xE1, b"Exif\0\0" + exif[i : i + 9000]))
            for i in range(0, len(exif), 9000)
        ),
    ),
    "PNG": lambda exif: with_chunks(chunk(b"eXIf", exif)),
    "PNG's text": lambda exif: with_chunks(
        chunk(b"tEXt", b"Raw profile type exif\0\nexif\n1\n" + exif.hex().encode())
    ),
    "WebP": lambda exif: encoded("WEBP", exif=exif),
}


@pytest.mark.parametrize("kind", GREEDY)
def test_a_directory_that_claims_its_bytes_many_times_takes_no_memory(kind):
    data = GREEDY[kind](greedy_directory())
    tracemalloc.start()
    photo = decode_photo(data, "photo")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert photo.image.shape == (SIDE, SIDE, 3)
    assert peak < MEMORY


def test_a_tiff_that_claims_its_bytes_many_times_is_refused_in_little_memory():
    entries = [(tag, 3, 4000, 8) for tag in (317, 320, 339, 532)]
    data = tiff(SIDE, SIDE, *entries, *((tag, 7, 40_000, 8) for tag in range(40_000, 43_000)))
    tracemalloc.start()
    said = said_of(data[:30_000])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "damaged" in said
    assert peak < MEMORY


@pytest.mark.parametrize(
    "data",
    [
        tiff(SIDE, SIDE, (322, 4, 1, 60_000), (323, 4, 1, 60_000)),
        tiff(16, 3_000_000, (278, 4, 1, 1)),
        tiff(SIDE, SIDE, (322, 4, 1, 0), (323, 4, 1, 16)),
        tiff(SIDE, SIDE, (279, 4, 1, 1_000_000)),
        tiff(SIDE, SIDE, (320, 3, 2**31, 8)),
        tiff(SIDE, SIDE, (273, 4, 2**30, 8)),
        tiff(17 * 16, 16, (322, 4, 1, 16), (323, 4, 1, 2**20)),
        tiff(16, 17 * 16, (322, 4, 1, 2**20), (323, 4, 1, 16)),
    ],
    ids=[
        *("a huge tile", "a strip a row", "a tile of no width", "shared bytes", "colours"),
        *("strips", "high tiles", "wide tiles"),
    ],
)
def test_a_tiff_whose_layout_claims_too_much_is_refused(data):
    assert "damaged" in said_of(data)


def test_a_picture_smaller_than_its_tiles_is_read():
    tile = zlib.compress(bytes([90]) * 512 * 512)
    places = [(tag, 4, 1, 5000) for tag in (273, 324)]
    lengths = [(tag, 4, 1, len(tile)) for tag in (279, 325)]
    data = tiff(SIDE, SIDE, (322, 4, 1, 512), (323, 4, 1, 512), *places, *lengths)
    data = data[:5000].ljust(5000, b"\0") + tile
    assert decode_photo(data, "photo").image.max() == 90


@pytest.mark.parametrize("compression", [6, 32809, 34676, 34925, 50000, 50001, 99])
def test_a_tiff_of_a_rare_compression_is_refused_unread(compression):
    assert "rare way" in said_of(tiff(SIDE, SIDE, (259, 3, 1, compression)))


def test_pages_that_lead_back_to_the_first_are_not_followed(tmp_path):
    Image.new("L", (SIDE, SIDE)).save(tmp_path / "loop.tif")
    data = bytearray((tmp_path / "loop.tif").read_bytes())
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    data[start + 2 + 12 * count :][:4] = struct.pack("<I", start)
    struct.pack_into("<I", data, start + 2 + 12 * count, start)
    assert "several pages" in decode_photo(bytes(data), "photo").notices[0]


@pytest.mark.parametrize("frame", [0xC0, 0xC2])
def test_a_jpeg_of_more_scans_than_programs_write_is_refused(frame):
    data = jpeg_of_scans(101, frame)
    if frame == 0xC0:  # of two components, one a scan
        data = data.replace(b"\1\1\x11\0", b"\2\1\x11\0\2\x11\0")
        data = data.replace(
            segment(frame, b"")[:2] + struct.pack(">H", 11), b"\xff\xc0" + struct.pack(">H", 14)
        )
    assert "more than 100 scans" in said_of(data)


def test_a_jpeg_of_a_hundred_scans_is_read():
    assert decode_photo(jpeg_of_scans(100), "photo").image.shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize("frame", [0xC3, 0xC5, 0xC9, 0xCA, 0xCF])
def test_a_jpeg_of_a_rare_kind_is_refused_unread(frame):
    assert "rare kind" in said_of(jpeg_of_scans(1, frame))


@pytest.mark.parametrize(
    ("data", "pieces"),
    [
        (after_start(encoded("JPEG"), b"\xff\xdb\0\2" * 5000), "parts"),
        (with_chunks(chunk(b"IDAT", b"") * 100_000), "chunks"),
        (encoded("WEBP") + b"JUNK\0\0\0\0" * 100_000, "chunks"),
        (encoded("GIF")[:-1] + b"!\xfe" + b"\1x" * 1_000_001, "blocks"),
        (encoded("GIF")[:-1] + b"!\xfe\0" * 1_000_001, "blocks"),
    ],
    ids=["JPEG", "PNG", "WebP", "GIF", "GIF of empty parts"],
)
def test_a_file_of_more_pieces_than_programs_write_is_refused(data, pieces):
    assert pieces in said_of(data)


@pytest.mark.parametrize("size", [(65_501, 16), (16, 65_501)])
def test_a_picture_that_is_one_long_line_is_refused(size):
    stream = io.BytesIO()
    Image.new("1", size).save(stream, "PNG")
    assert "at most 65500 px a side" in said_of(stream.getvalue())


def test_of_pictures_without_end_in_a_jpeg_a_thousand_are_counted():
    many = encoded("JPEG") + b"\xff\xda\xff\xd8\xff\xe0" * 300_000
    tracemalloc.start()
    (_, count), *rest = decode_series(many, "photo", 5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (count, rest) == (1000, [])
    assert peak < 8 * len(many)  # fewer bytes than 300,000 places would take


def test_a_run_length_coded_bmp_of_many_pixels_is_refused():
    head = struct.pack("<IiiHHII", 40, 7000, 7000, 1, 8, 1, 0) + bytes(16)
    assert "run-length" in said_of(b"BM" + bytes(8) + struct.pack("<I", 54) + head)


def test_a_colour_profile_of_many_megabytes_is_left_out():
    parts = (b"ICC_PROFILE\0" + bytes([i, 100]) + bytes(65_000) for i in range(1, 101))
    data = after_start(encoded("JPEG"), *(segment(0xE2, part) for part in parts))
    photo = decode_photo(data, "photo")
    assert photo.icc_profile is None
    assert "colour profile" in photo.notices[0]


def test_out_of_memory_is_a_sentence(tmp_path, monkeypatch):
    def exhausted(*_: object) -> None:
        raise MemoryError

    (tmp_path / "photo.png").write_bytes(encoded("PNG"))
    monkeypatch.setattr("simswap.media.decoding.to_rgb", exhausted)
    with pytest.raises(MediaError, match="more memory than there is"):
        read_photo(tmp_path / "photo.png")


# What ordinary files tell is still found


@pytest.fixture
def corners() -> Image.Image:
    """A picture whose four corners differ."""
    y, x = np.mgrid[0:40, 0:60]
    return Image.fromarray(np.stack([x * 4, y * 6, 255 - x * 2 - y * 2], -1).astype(np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_found_in_every_kind(corners, kind, orientation):
    exif, stream = Image.Exif(), io.BytesIO()
    exif[0x0112], exif[0x010F] = orientation, "Make"
    corners.save(stream, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    image = decode_photo(stream.getvalue(), "photo").image
    turned = np.asarray(corners)
    turned = turned.transpose(1, 0, 2) if orientation > 4 else turned
    vertical, horizontal = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    turned = turned[:: -1 if vertical else 1, :: -1 if horizontal else 1]
    assert image.shape == turned.shape
    assert np.abs(image.astype(int) - turned).max() <= (12 if kind == "JPEG" else 0)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_an_orientation_in_xmp_alone_is_found(corners, kind):
    stream = io.BytesIO()
    corners.save(stream, kind, xmp=b'<x tiff:Orientation="6"/>')
    assert decode_photo(stream.getvalue(), "photo").image.shape == (60, 40, 3)


def test_what_follows_a_progressive_picture_is_no_scan_of_it(corners):
    stream = io.BytesIO()
    corners.save(stream, "JPEG", progressive=True)
    data = stream.getvalue() + b"\xff\xda\0\2" * 200  # such as a film of a second
    assert decode_photo(data, "photo").image.shape == (40, 60, 3)
