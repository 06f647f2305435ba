"""Photo files whose profiles, texts or layout cost more than their pixels do."""

import io
import struct
import tracemalloc
import zlib

import pytest
from PIL import Image

from simswap.media import photo_files, photos
from simswap.media.decoding import decode_photo
from simswap.media.photos import read_photo
from tests.media.test_hostile_photos import (
    SIDE,
    after_start,
    chunk,
    encoded,
    said_of,
    segment,
    tiff,
    with_chunks,
)

# Texts of a PNG


def packed_text(kind: bytes, keyword: bytes, text: bytes) -> bytes:
    body = keyword + (b"\0\1\0\0\0" if kind == b"iTXt" else b"\0\0") + zlib.compress(text)
    return chunk(kind, body)


TEXTS = [(b"zTXt", b"Raw profile type exif"), (b"iTXt", b"XML:com.adobe.xmp")]


@pytest.mark.parametrize(("kind", "keyword"), TEXTS, ids=["EXIF", "XMP"])
def test_of_many_packed_texts_of_a_kind_one_is_unpacked(monkeypatch, kind, keyword):
    unpacked, unpack = [], photo_files._png_text
    monkeypatch.setattr(
        photo_files, "_png_text", lambda *text: unpacked.append(text) or unpack(*text)
    )
    decode_photo(with_chunks(*[packed_text(kind, keyword, b"\n" * 2000)] * 50), "photo")
    assert len(unpacked) == 1


def test_a_packed_text_of_newlines_alone_takes_little_memory():
    data = with_chunks(packed_text(*TEXTS[0], b"\n" * (1 << 24)))
    tracemalloc.start()
    decode_photo(data, "photo")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8_000_000


def test_an_orientation_in_a_packed_text_is_found():
    exif = Image.Exif()
    exif[0x0112] = 6
    digits = b"\n".join(exif.tobytes().hex().encode()[i : i + 72] for i in range(0, 2000, 72))
    text = b"\nexif\n      99\n" + digits
    stream = io.BytesIO()
    Image.new("RGB", (40, 60)).save(stream, "PNG")
    png = stream.getvalue()
    png = png[:33] + packed_text(*TEXTS[0], text) + png[33:]
    assert decode_photo(png, "photo").image.shape == (40, 60, 3)


# Colour profiles


def with_profile(kind: str, num_bytes: int) -> bytes:
    profile = bytes(num_bytes)
    if kind == "PNG":  # packed it would be small
        return with_chunks(chunk(b"iCCP", b"a\0\0" + profile))
    if kind == "JPEG":
        parts = [segment(0xE2, b"ICC_PROFILE\0\1\1" + bytes(60_000))] * (num_bytes // 60_000)
        return after_start(encoded("JPEG"), *parts)
    return encoded(kind, icc_profile=profile)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_huge_colour_profile_never_reaches_the_decoder(kind):
    data = with_profile(kind, 20_000_000)
    tracemalloc.start()
    photo = decode_photo(data, "photo")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert photo.icc_profile is None
    assert any("(20 MB) is too large and is left out" in said for said in photo.notices)
    assert peak < 2_000_000


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "TIFF"])
def test_a_files_own_bytes_are_given_up_before_it_is_decoded(tmp_path, monkeypatch, kind):
    path = tmp_path / "photo"
    path.write_bytes(encoded(kind) + b"none" + struct.pack("<I", 20_000_000) + bytes(20_000_000))
    held, decode = [], photos.decode_first
    monkeypatch.setattr(
        photos,
        "decode_first",
        lambda *it: held.append(tracemalloc.get_traced_memory()[0]) or decode(*it),
    )
    tracemalloc.start()
    read_photo(path)
    tracemalloc.stop()
    assert held[0] < 21_000_000


def test_a_large_webp_may_have_fewer_pixels_the_more_bytes_it_has():
    data = encoded("WEBP", lossless=True)
    assert photo_files.pictures_in(data, "photo").max_pixels == 30_000_000
    size = struct.unpack_from("<I", data, 16)[0] + 80_000_000
    padded = data[:16] + struct.pack("<I", size) + data[20:] + bytes(80_000_000)
    assert photo_files.pictures_in(padded, "photo").max_pixels < 27_000_000


# Layout of a TIFF

LAYOUT = (256, 257, 259, 277, 278, 284, 322, 323)


@pytest.mark.parametrize("kind", [2, 5, 6, 7, 8, 9, 10, 11, 12])
@pytest.mark.parametrize("tag", LAYOUT)
def test_a_layout_told_in_a_type_that_is_not_read_is_refused(tag, kind):
    assert "damaged" in said_of(tiff(SIDE, SIDE, (tag, kind, 1, 1)))


@pytest.mark.parametrize("tag", LAYOUT)
def test_a_layout_told_in_several_numbers_is_refused(tag):
    assert "damaged" in said_of(tiff(SIDE, SIDE, (tag, 3, 2, SIDE)))


@pytest.mark.parametrize("kind", [13, 16, 17, 18, 99])
def test_a_tile_size_of_an_unknown_type_never_reaches_the_decoder(kind):
    stream = io.BytesIO()
    Image.new("L", (SIDE, SIDE)).save(stream, "TIFF")
    data = stream.getvalue()
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    entries = data[start + 2 : start + 2 + 12 * count]
    entries += b"".join(struct.pack("<HHII", tag, kind, 1, 16_384) for tag in (322, 323))
    moved = data[:4] + struct.pack("<I", len(data)) + data[8:]
    moved += struct.pack("<H", count + 2) + entries + bytes(4)
    assert decode_photo(moved, "photo").image.shape == (SIDE, SIDE, 3)


def test_a_palette_that_is_missing_is_told():
    stream = io.BytesIO()
    picture = Image.effect_noise((SIDE, SIDE), 90).convert("P")
    picture.save(stream, "PNG")
    data = stream.getvalue()
    start = data.index(b"PLTE") - 4
    (length,) = struct.unpack_from(">I", data, start)
    assert "damaged" in said_of(data[:start] + data[start + 12 + length :])


@pytest.mark.parametrize("compression", ["tiff_ccitt", "group3", "group4"])
def test_a_fax_is_refused_as_its_decoder_prints_a_line_for_each_damaged_row(compression, capfd):
    stream = io.BytesIO()
    Image.new("1", (SIDE, SIDE)).save(stream, "TIFF", compression=compression)
    assert "compressed in a rare way" in said_of(stream.getvalue())
    assert capfd.readouterr().err == ""


def test_a_tiff_whose_pixels_come_by_hundreds_of_megabytes_is_refused():
    data = tiff(7000, 7000, (258, 3, 1, 64), (277, 3, 1, 1))
    assert "392 MB at a time" in said_of(data)


# Segments of a JPEG


def test_a_jpeg_describes_its_picture_once_and_in_the_length_that_it_has():
    whole = encoded("JPEG")
    found = whole.index(b"\xff\xc0")
    frame = whole[found : found + 19]
    long = segment(0xC0, frame[4:] + bytes(3 * 21_000))
    for data in (after_start(whole, frame), whole.replace(frame, long)):
        tracemalloc.start()
        assert "damaged" in said_of(data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000


def test_a_jpeg_of_very_many_tables_is_refused():
    table = segment(0xDB, b"".join(bytes([0]) + bytes(range(1, 65)) for _ in range(1000)))
    assert "bytes of tables" in said_of(after_start(encoded("JPEG"), *[table] * 20))
