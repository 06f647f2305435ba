"""What a hash leaves out of a file that we signed must be its credentials, to the last byte."""

import io
import json
import struct

import numpy as np
import pytest
from PIL import Image

from simswap.provenance import credentials
from simswap.provenance.boxes import have_room
from simswap.provenance.parts import are_credentials, left_out_by
from simswap.provenance.signing import sign_photo, sign_video
from simswap.verify.report import verify
from tests.support.media.video_files import make_video

KINDS = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP", ".gif": "GIF"}
EXIF = b"\xff\xe1\x00\x10Exif\0\0MM\0*\0\0\0\x08"


def sign(kind: str) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(3).integers(0, 255, (96, 128, 3), np.uint8)
    Image.fromarray(pixels).save(stream, KINDS[kind])
    return sign_photo(stream.getvalue(), kind, "some model", None)[0]


def left_out_of(data: bytes) -> list[tuple[int, int]]:
    with credentials._reader(io.BytesIO(data), credentials.context()) as reader:
        return left_out_by(credentials._active(reader))


@pytest.fixture(scope="module")
def signed() -> dict[str, tuple[bytes, bytes, bytes]]:
    """Of each kind a photo that we signed: what stands before its credentials, they, the rest."""
    found = {}
    for kind in KINDS:
        data = sign(kind)
        ((start, end),) = left_out_of(data)
        found[kind] = data[:start], data[start:end], data[end:]
    return found


def is_alone(before: bytes, part: bytes, behind: bytes = b"") -> bool:
    place = len(before), len(before + part)
    return are_credentials(io.BytesIO(before + part + behind), [place])


@pytest.mark.parametrize("kind", KINDS)
def test_credentials_that_we_sign_are_alone(signed, tmp_path, kind):
    assert is_alone(*signed[kind])
    (tmp_path / f"photo{kind}").write_bytes(b"".join(signed[kind]))
    assert verify(tmp_path / f"photo{kind}").credentials.is_intact


@pytest.mark.parametrize("more", [b"\0", EXIF, b"\xff", b"\0\0\0\0zTXt\0\0\0\0"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_else_may_stand_where_no_hash_looks(signed, kind, more):
    before, part, behind = signed[kind]
    assert not is_alone(before, part + more, behind)
    assert not is_alone(before, more + part, behind)
    assert not is_alone(before, part[:-1], part[-1:] + behind)
    assert not is_alone(before, part + part, behind)
    assert not is_alone(before + part[:1], part[1:], behind)


@pytest.mark.parametrize("kind", KINDS)
def test_one_place_that_is_in_the_file_is_left_out(signed, kind):
    before, part, _ = signed[kind]
    stream, place = io.BytesIO(before + part), (len(before), len(before + part))
    assert are_credentials(stream, [place])
    start, end = place
    for left_out in ([], [place, place], [(start, end + 1)], [(-5, 4)], [(start, start)]):
        assert not are_credentials(stream, left_out)


def test_of_other_kinds_of_file_nothing_is_promised(signed):
    _, part, behind = signed[".png"]
    for before in (b"II*\0" + bytes(20), b"RIFX" + bytes(20), b"<svg>" + bytes(20)):
        assert not is_alone(before, part, behind)
    before, part, behind = signed[".webp"]
    assert not is_alone(before.replace(b"WEBP", b"AVI ", 1), part, behind)


def test_a_checksum_that_is_wrong_is_noticed(signed):
    before, part, behind = signed[".png"]
    assert not is_alone(before, part[:-1] + bytes([part[-1] ^ 1]), behind)


@pytest.fixture(scope="module")
def jpeg(signed) -> tuple[bytes, bytes, bytes]:
    """A signed JPEG: what stands before its credentials, the box in them, and what behind."""
    before, part, behind = signed[".jpg"]
    return before, part[12:], behind


def segment(number: int, body: bytes, name: bytes = b"JP", box: bytes = b"\x02\x11") -> bytes:
    return struct.pack(">HH2s2sI", 0xFFEB, 10 + len(body), name, box, number) + body


def test_credentials_may_lie_in_several_segments(jpeg):
    before, box, behind = jpeg
    one, two = segment(1, box[:600]), segment(2, box[:8] + box[600:])
    assert is_alone(before, one + two, behind)
    assert is_alone(before + EXIF, one + two, EXIF + behind)
    for between in (EXIF, b"\xff\xff\xff", b"\xff\x01", b"\0", segment(1, b"\0\0\0\x08free")):
        assert not is_alone(before, one + between + two, behind)
    assert not is_alone(before, two + one, behind)
    assert not is_alone(before, one + one, behind)
    assert not is_alone(before, one + segment(2, box[:8] + box[600:], box=b"\x02\x12"), behind)


@pytest.mark.parametrize("name", [b"XP", b"jp", bytes(2)])
def test_segments_under_another_name_are_noticed(jpeg, name):
    before, box, behind = jpeg
    parts = segment(1, box[:600], name) + segment(2, box[:8] + box[600:], name)
    assert not is_alone(before, parts, behind)


@pytest.mark.parametrize(
    "exclusions", [None, 7, [7], [{}], [{"start": "a", "length": 2}], {"start": 1}]
)
def test_odd_words_about_what_is_left_out_are_no_error(exclusions):
    manifest = {"assertions": {"c2pa.hash.data": {"exclusions": exclusions}}}
    assert left_out_by(json.loads(json.dumps(manifest))) == []


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


CREDENTIALS = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")  # C2PA's number of their box
MORE = {
    "padding that is not blank": box(b"free", b"pixels"),
    "padding that is not blank, to the end": b"\0\0\0\0skip" + b"pixels",
    "padding that goes on behind the end": struct.pack(">I4s", 99, b"free"),
    "an index": box(b"mfra", bytes(64)),
    "another list of kinds": box(b"ftyp", b"isom\0\0\2\0isom"),
    "other credentials": box(
        b"uuid", bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + bytes(64)
    ),
}


@pytest.mark.parametrize("name", MORE)
@pytest.mark.parametrize("kind", ["avif", "mp4", "mov"])
def test_nothing_may_stand_in_boxes_that_no_hash_covers(tmp_path, kind, name):
    path = tmp_path / f"signed.{kind}"
    if kind == "avif":
        stream = io.BytesIO()
        Image.new("RGB", (96, 96)).save(stream, "AVIF")
        path.write_bytes(sign_photo(stream.getvalue(), ".avif", "some model", None)[0])
    else:
        sign_video(make_video(path), "some model", None)
    whole = path.read_bytes()
    path.write_bytes(whole + box(b"free", bytes(99)))
    assert verify(path).credentials.is_intact
    path.write_bytes(whole + MORE[name])
    found = verify(path).credentials
    assert found is None or not found.is_intact


@pytest.mark.parametrize("kinds", [b"\0" * 200, b"isom" + bytes(4) + b"\0\1\2\3"])
def test_a_list_of_kinds_holds_little_and_plain_text_only(tmp_path, kinds):
    path = make_video(tmp_path / "signed.mp4")
    sign_video(path, "some model", None)
    whole = path.read_bytes()
    (length,) = struct.unpack_from(">I", whole)
    path.write_bytes(box(b"ftyp", kinds) + whole[length:])
    assert verify(path).verdict in ("altered", "marked")
    with path.open("rb") as stream:
        assert have_room(stream)
