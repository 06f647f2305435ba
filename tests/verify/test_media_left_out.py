"""A signed video whose pictures lie where its signer's hash does not look is not called intact."""

import io
import struct

import av
import pytest
from PIL import Image

from simswap.provenance import credentials
from simswap.provenance.exclusions import LEFT_OUT
from simswap.provenance.signing import sign_photo, sign_video
from simswap.verify.report import verify
from tests.support.media.video_files import make_video

SPARE = b"\x63pad\x59"  # how bytes to spare begin in a signature, before their number


@pytest.fixture
def crafted(tmp_path):
    """Of one frame, which lies in the bytes that the signature has to spare."""
    path = make_video(tmp_path / "clip.mp4", num_frames=1, sound=None)
    with av.open(str(path)) as container:
        packet = next(packet for packet in container.demux() if packet.size)
        place, frame = packet.pos, bytes(packet)
    plain = path.read_bytes()
    sign_video(path, "some model", None)
    signed = path.read_bytes()
    spare = signed.index(SPARE) + len(SPARE) + 2
    moved = signed.rindex(frame) - place
    told = plain.index(b"stco") + 12
    path.write_bytes(plain[:told] + struct.pack(">I", (spare - moved) % 2**32) + plain[told + 4 :])
    sign_video(path, "some model", None)
    signed = bytearray(path.read_bytes())
    assert signed.index(SPARE) + len(SPARE) + 2 == spare
    signed[spare : spare + len(frame)] = frame
    path.write_bytes(signed)
    return path


def test_a_frame_in_the_bytes_that_a_signature_has_to_spare_is_noticed(crafted):
    found = verify(crafted).credentials
    assert LEFT_OUT in found.failures
    assert not found.is_intact


@pytest.fixture
def crafted_photo(tmp_path):
    """An AVIF whose picture lies in the bytes that the signature has to spare."""
    stream = io.BytesIO()
    Image.new("RGB", (96, 96), (10, 200, 30)).save(stream, "AVIF", quality=60)
    plain = stream.getvalue()
    told = plain.rindex(b"iloc") + 18
    place, length = struct.unpack_from(">II", plain, told)
    signed, _ = sign_photo(plain, ".avif", "some model", None)
    moved = struct.unpack_from(">I", signed, signed.rindex(b"iloc") + 18)[0] - place
    spare = signed.index(SPARE) + len(SPARE) + 2
    changed = bytearray(plain)
    struct.pack_into(">I", changed, told, (spare - moved) % 2**32)
    signed, _ = sign_photo(bytes(changed), ".avif", "some model", None)
    forged = bytearray(signed)
    forged[spare : spare + length] = plain[place : place + length]
    path = tmp_path / "photo.avif"
    path.write_bytes(forged)
    return path


def test_a_frame_there_is_noticed_even_where_nothing_else_tells(crafted, monkeypatch):
    monkeypatch.setattr(credentials, "could_hold_pixels", lambda *given: False)
    assert verify(crafted).credentials.failures == (LEFT_OUT,)


def test_a_picture_there_is_noticed_even_where_nothing_else_tells(crafted_photo, monkeypatch):
    monkeypatch.setattr(credentials, "could_hold_pixels", lambda *given: False)
    assert verify(crafted_photo).credentials.failures == (LEFT_OUT,)


def test_a_picture_there_is_noticed(crafted_photo):
    assert Image.open(crafted_photo).convert("RGB").getpixel((40, 40))[1] > 150
    found = verify(crafted_photo).credentials
    assert found.failures == (LEFT_OUT,)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


MORE = {
    "padding that is not blank": box(b"free", b"pixels"),
    "padding that is not blank, to the end": b"\0\0\0\0skip" + b"pixels",
    "an index": box(b"mfra", bytes(64)),
    "another list of kinds": box(b"ftyp", b"isom\0\0\2\0isom"),
}


@pytest.mark.parametrize("name", MORE)
@pytest.mark.parametrize("kind", ["avif", "mp4"])
def test_nothing_may_stand_in_boxes_that_no_hash_covers(tmp_path, kind, name):
    path = tmp_path / f"signed.{kind}"
    if kind == "mp4":
        sign_video(make_video(path), "some model", None)
    else:
        stream = io.BytesIO()
        Image.new("RGB", (96, 96)).save(stream, "AVIF")
        path.write_bytes(sign_photo(stream.getvalue(), ".avif", "some model", None)[0])
    whole = path.read_bytes()
    path.write_bytes(whole + box(b"free", bytes(99)))
    assert verify(path).credentials.is_intact
    path.write_bytes(whole + MORE[name])
    assert verify(path).credentials.failures == (LEFT_OUT,)


@pytest.mark.parametrize("suffix", [".avif", ".png", ".jpg"])
def test_an_ordinary_signed_photo_is_intact(tmp_path, suffix):
    stream = io.BytesIO()
    Image.new("RGB", (96, 96), (10, 200, 30)).save(stream, Image.registered_extensions()[suffix])
    signed, _ = sign_photo(stream.getvalue(), suffix, "some model", None)
    (tmp_path / f"photo{suffix}").write_bytes(signed)
    assert verify(tmp_path / f"photo{suffix}").credentials.is_intact


def test_an_ordinary_signed_video_is_intact(tmp_path):
    path = make_video(tmp_path / "clip.mp4")
    sign_video(path, "some model", None)
    assert verify(path).credentials.is_intact
