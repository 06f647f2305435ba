"""Pictures and sound of a signed file must not lie where its signer's hash does not look."""

import io
import struct

import pytest
from PIL import Image

from simswap.provenance import exclusions
from simswap.provenance.pointers import point_astray
from simswap.provenance.signing import sign_photo
from tests.support.media.video_files import make_video

OWN, MEDIA = (100, 200), (300, 900)
ILOC = struct.pack(">4sI", b"iloc", 0)


def iloc(offset: int, length: int, reference: int = 0) -> bytes:
    """A table of one picture, of offsets and lengths of four bytes."""
    return ILOC + struct.pack(">HHHHHII", 0x4400, 1, 1, reference, 1, offset, length)


def points(table: bytes) -> bool:
    return point_astray(b"\0\0\0\x40" + table, [MEDIA])


@pytest.mark.parametrize(
    ("table", "is_pointing"),
    [
        *((iloc(300, 600), False), (iloc(150, 10), True), (iloc(40, 61), True)),
        *((iloc(899, 2), True), (iloc(295, 6), True), (iloc(8, 4), True)),  # heads of boxes
        *((iloc(0, 0), True), (iloc(300, 9, reference=1), True), (iloc(300, 9)[:-1], True)),
        (struct.pack(">4sIIII", b"stco", 0, 2, 300, 899), False),
        (struct.pack(">4sIIII", b"stco", 0, 2, 300, 150), True),
        (struct.pack(">4sIII", b"stco", 0, 2, 300), True),  # it is cut off
        (struct.pack(">4sIIQ", b"co64", 0, 1, 300), False),
        (struct.pack(">4sIIQ", b"co64", 0, 1, 199), True),
        (struct.pack(">4sIIQ", b"co64", 0, 1, 2**64 - 1), True),
        (struct.pack(">4sII", b"stco", 0, 0), False),
    ],
)
def test_a_table_that_names_another_place_than_the_medias_is_noticed(table, is_pointing):
    assert points(table) is is_pointing


FRAGMENTED = (b"mvex", b"moof", b"traf", b"tfhd", b"trun", b"sidx", b"mfra", b"tfra", b"Anevia")


@pytest.mark.parametrize("name", [b"cmov", *FRAGMENTED])
def test_of_compressed_tables_and_of_fragments_it_is_not_told_where_they_point(name):
    assert points(struct.pack(">I", 16) + name + bytes(9))


def test_a_table_whose_size_ends_like_a_name_is_read():
    assert points(b"st" + struct.pack(">4sIIQ", b"co64", 0, 1, 150))
    assert not points(b"st" + struct.pack(">4sIIQ", b"co64", 0, 1, 300).ljust(99, b"\0"))


@pytest.mark.parametrize("table", [iloc(300, 600), struct.pack(">4sIIQ", b"co64", 0, 1, 300)])
def test_a_box_whose_size_stands_behind_its_name_may_point_anywhere(table):
    long = struct.pack(">I4sQ", 1, table[:4], len(table) + 12) + table[4:]
    assert points(long)
    assert points(struct.pack(">I", len(table) + 4) + table) is False


def test_of_two_lists_of_pictures_it_is_not_told_which_counts():
    assert not points(iloc(300, 600))
    assert points(iloc(300, 600) * 2)


def avif(colour: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (96, 96), colour).save(stream, "AVIF", quality=60)
    return stream.getvalue()


def picture_of(data: bytes) -> tuple[int, int, int]:
    """Where its place is told, where it lies, and how long it is."""
    told = data.rindex(b"iloc") + 18
    return told, *struct.unpack_from(">II", data, told)


def could(path, data: bytes) -> bool:
    path.write_bytes(data)
    with path.open("rb") as stream:
        if data[4:8] != b"ftyp":
            return exclusions.could_hold_pixels(stream, [], (), False, False)
        return exclusions._have_room(stream)


def test_a_picture_in_the_bytes_that_a_signature_has_to_spare_is_noticed(tmp_path):
    plain = avif((10, 200, 30))
    signed, _ = sign_photo(plain, ".avif", "some model", None)
    assert not could(tmp_path / "honest.avif", signed)
    spare = signed.index(b"\x63pad\x59") + 7
    told, place, length = picture_of(plain)
    moved = picture_of(signed)[1] - place  # by what is written before it
    crafted = bytearray(plain)
    struct.pack_into(">I", crafted, told, (spare - moved) % 2**32)
    signed, _ = sign_photo(bytes(crafted), ".avif", "some model", None)
    other = bytearray(signed)
    other[spare : spare + length] = plain[place : place + length]
    assert Image.open(io.BytesIO(other)).getpixel((40, 40))[1] > 150  # it is read from there
    assert could(tmp_path / "crafted.avif", bytes(other))


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


OTHER = {
    "an index": box(b"mfra", bytes(64)),
    "a fragment": box(b"moof", bytes(8)),
    "an index of segments": box(b"sidx", bytes(24)),
    "another list of kinds": box(b"ftyp", b"isom\0\0\2\0isom"),
    "padding that is not blank": box(b"free", b"x"),
    "another list of tables": box(b"moov", box(b"free", bytes(8))),
    "a photo beside the film": box(b"meta", bytes(4)),
    "tables under another name": box(b"hoov", bytes(8)),
}


@pytest.mark.parametrize("name", OTHER)
def test_boxes_in_which_a_picture_could_be_told_or_held_are_noticed(tmp_path, name):
    data = make_video(tmp_path / "clip.mp4", sound=None).read_bytes()
    assert not could(tmp_path / "plain.mp4", data + box(b"free", bytes(99)) * 2)
    assert could(tmp_path / "more.mp4", data + OTHER[name])


def test_credentials_behind_the_media_are_noticed(tmp_path):
    own = box(b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(99))
    kinds = box(b"ftyp", b"isom\0\0\2\0isom")
    assert not could(tmp_path / "plain.mp4", kinds + own + box(b"mdat", bytes(16)))
    assert could(tmp_path / "behind.mp4", kinds + box(b"mdat", bytes(16)) + own)


def test_a_picture_in_a_box_that_is_left_out_is_noticed(tmp_path):
    plain = avif((10, 200, 30))
    told, _, length = picture_of(plain)
    honest = plain + box(b"free", bytes(length))
    assert not could(tmp_path / "honest.avif", honest)
    crafted = bytearray(honest)
    struct.pack_into(">I", crafted, told, len(plain) + 8)
    assert could(tmp_path / "crafted.avif", bytes(crafted))


def test_of_an_avi_whose_index_may_point_anywhere_nothing_is_promised(tmp_path):
    assert could(tmp_path / "clip.avi", b"RIFF" + struct.pack("<I", 4) + b"AVI ")
