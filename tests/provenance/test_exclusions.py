"""What a signer's hash leaves out of a JPEG must have no room for anything but the credentials."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap.provenance.exclusions import could_hold_pixels
from simswap.provenance.signing import sign_photo

EXIF = b"\xff\xe1\x00\x10Exif\0\0MM\0*\0\0\0\x08"
FILL, ALONE = b"\xff\xff\xff", b"\xff\x01"


@pytest.fixture(scope="module")
def signed() -> tuple[bytes, bytes, bytes]:
    """A JPEG that we signed: what stands before its credentials, their box, and what behind."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(3).integers(0, 255, (96, 128, 3), np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    data, _ = sign_photo(stream.getvalue(), ".jpg", "some model", None)
    start = data.index(b"\xff\xeb")
    (length,) = struct.unpack_from(">H", data, start + 2)
    return data[:start], data[start + 12 : start + 2 + length], data[start + 2 + length :]


def segment(number: int, body: bytes, box: bytes = b"\x02\x11") -> bytes:
    head = struct.pack(">HH2s2sI", 0xFFEB, 10 + len(body), b"JP", box, number)
    return head + body


def could(path: Path, data: bytes) -> bool:
    path.write_bytes(data)
    with path.open("rb") as stream:
        return could_hold_pixels(stream)


def test_credentials_in_one_segment_or_several_are_alone(tmp_path, signed):
    before, box, behind = signed
    assert not could(tmp_path / "a.jpg", before + segment(1, box) + behind)
    parts = segment(1, box[:600]) + segment(2, box[:8] + box[600:])
    assert not could(tmp_path / "b.jpg", before + parts + behind)
    assert not could(tmp_path / "c.jpg", before + EXIF + parts + EXIF + behind)


def test_credentials_that_stand_in_no_usual_segment_are_noticed(tmp_path, signed):
    before, box, behind = signed
    assert could(tmp_path / "none.jpg", before + behind)
    for name in (b"XP", b"jp", bytes(2)):
        parts = segment(1, box[:600]) + EXIF + segment(2, box[:8] + box[600:])
        assert could(tmp_path / "a.jpg", before + parts.replace(b"JP", name) + behind)
        assert could(tmp_path / "b.jpg", before + segment(1, box).replace(b"JP", name) + behind)
        later = segment(2, box[:8] + b"more").replace(b"JP", name)
        assert could(tmp_path / "c.jpg", before + segment(1, box) + behind + later)


@pytest.mark.parametrize(
    "between", [EXIF, FILL, ALONE, b"\0", segment(1, b"\0\0\0\x08free", b"\0\x07")]
)
def test_what_stands_between_parts_of_credentials_is_noticed(tmp_path, signed, between):
    before, box, behind = signed
    one, two = segment(1, box[:600]), segment(2, box[:8] + box[600:])
    assert could(tmp_path / "a.jpg", before + one + between + two + behind)


@pytest.mark.parametrize("between", [b"", EXIF, FILL, ALONE, b"\0"])
def test_what_stands_before_more_than_the_credentials_is_noticed(tmp_path, signed, between):
    before, box, behind = signed
    more = segment(2, box[:8] + b"more")
    assert could(tmp_path / "a.jpg", before + segment(1, box) + between + more + behind)
    assert could(tmp_path / "b.jpg", before + segment(1, box) + behind + between + more)
    assert could(tmp_path / "c.jpg", before + segment(1, box + b"more") + between + behind)
