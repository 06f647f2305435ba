"""AVIF and HEIC photos: read as they are shown, written with their mark, and bounded."""

import io
import struct
import subprocess
import sys

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from simswap.errors import MediaError
from simswap.media import decoding, heif_files
from simswap.media.colours.high_range import HLG, PQ, bring_to_standard_range
from simswap.media.decoding import decode_photo, decode_series
from simswap.media.photos import read_photo, write_photo
from simswap.provenance.metadata import read_label
from simswap.verify.report import verify
from tests.media.test_hostile_photos import said_of

PICTURE = np.zeros((96, 160, 3), np.uint8)
PICTURE[:48, :80], PICTURE[48:, 80:] = (220, 40, 30), (30, 60, 200)


def encoded(
    kind: str,
    picture: np.ndarray = PICTURE,
    orientation: int = 1,
    tile_size: int = 64,
    **colours: int,
) -> bytes:
    stream, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    if kind == "HEIC":
        # In tiles, as phones write it. What EXIF says of turning is written as boxes, too.
        told = {"exif": exif.tobytes(), "tile_size": tile_size, **colours}
        pillow_heif.encode("RGB", picture.shape[1::-1], picture.tobytes(), stream, **told)
    else:
        Image.fromarray(picture).save(stream, kind, exif=exif)
    return stream.getvalue()


def is_like(image: np.ndarray, wanted: np.ndarray) -> bool:
    return image.shape == wanted.shape and np.abs(image.astype(int) - wanted).mean() < 4


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
@pytest.mark.parametrize(
    ("orientation", "shown"),
    [(1, PICTURE), (6, np.rot90(PICTURE, -1)), (2, PICTURE[:, ::-1])],
    ids=["as stored", "turned", "mirrored"],
)
def test_a_photo_is_read_upright(kind, orientation, shown):
    data = encoded(kind, orientation=orientation)
    assert is_like(decode_photo(data, "photo").image, shown)


def test_transparency_of_an_avif_is_kept(tmp_path):
    pixels = np.dstack([PICTURE, np.full(PICTURE.shape[:2], 77, np.uint8)])
    (tmp_path / "in.avif").write_bytes(encoded("AVIF", pixels))
    photo = read_photo(tmp_path / "in.avif")
    write_photo(tmp_path / "out.avif", photo.image, like=photo, model=None)
    assert np.abs(read_photo(tmp_path / "out.avif").alpha.astype(int) - 77).max() < 3


def test_a_written_avif_is_marked_and_signed(tmp_path):
    assert write_photo(tmp_path / "out.avif", PICTURE, model="tiny") == ()
    assert is_like(read_photo(tmp_path / "out.avif").image, PICTURE)
    assert read_label(tmp_path / "out.avif").model == "tiny"
    report = verify(tmp_path / "out.avif")
    assert report.credentials.is_intact
    assert report.credentials.is_synthetic


def test_of_an_animation_the_first_picture_is_used():
    frames = [Image.new("RGB", (64, 64), (shade, 0, 0)) for shade in (200, 20)]
    stream = io.BytesIO()
    frames[0].save(stream, "AVIF", save_all=True, append_images=frames[1:])
    photo = decode_photo(stream.getvalue(), "photo")
    assert photo.image[..., 0].mean() > 180
    assert photo.notices[0].startswith("photo holds an animation")
    pictures = list(decode_series(stream.getvalue(), "photo", 2))
    assert [count for _, count in pictures] == [2, 2]


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_an_hdr_photo_is_read_as_an_ordinary_display_shows_it(transfer):
    colours = {"color_primaries": 9, "matrix_coefficients": 9, "full_range_flag": 1}
    data = encoded("HEIC", **colours, transfer_characteristics=transfer, save_nclx_profile=True)
    shown = PICTURE.copy()
    bring_to_standard_range(shown, transfer)
    photo = decode_photo(data, "photo")
    assert is_like(photo.image, shown)
    assert not is_like(photo.image, PICTURE)
    assert "HDR becomes standard dynamic range" in photo.notices[0]


# What a file may cost


def with_size(data: bytes, width: int, height: int) -> bytes:
    """A file whose header claims a size, whatever is coded."""
    place = data.index(b"ispe") + 8
    return data[:place] + struct.pack(">II", width, height) + data[place + 8 :]


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_a_size_that_is_only_claimed_costs_nothing(kind):
    message = said_of(with_size(encoded(kind), 60_000, 60_000))
    assert any(word in message for word in ("pixels", "damaged", "takes too much"))


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
@pytest.mark.parametrize(("limit", "value"), [("MEMORY", 10_000_000), ("WORK_SECONDS", 0.01)])
def test_a_photo_that_takes_more_than_is_allowed_is_refused(
    cold_trials, monkeypatch, kind, limit, value
):
    data = encoded(kind)
    monkeypatch.setattr(heif_files, limit, value)
    with pytest.raises(MediaError, match="takes too much"):
        decode_photo(data, "photo")


def test_a_heic_that_is_coded_larger_than_it_claims_is_refused_in_a_sentence():
    data = with_size(encoded("HEIC", np.zeros((600, 600, 3), np.uint8), tile_size=0), 64, 64)
    assert "damaged" in said_of(data)


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_no_pixel_is_decoded_in_this_process(monkeypatch, kind):
    data = encoded(kind)
    monkeypatch.setitem(decoding._DECODERS, kind, None)
    assert is_like(decode_photo(data, "photo").image, PICTURE)


def test_a_photo_that_claims_few_pixels_gets_half_of_the_memory(monkeypatch):
    data, most = encoded("AVIF"), []
    monkeypatch.setattr(heif_files, "watched", lambda child, memory, *_: most.append(memory) or "-")
    for claimed in (data, with_size(data, 4001, 4000), data.replace(b"ispe", b"none")):
        said_of(claimed)
    left = [memory + len(data) for memory in most]
    assert left == [heif_files.MEMORY // 2, heif_files.MEMORY, heif_files.MEMORY // 2]


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_sizes_that_are_told_where_none_belong_cost_nothing(kind):
    data = encoded(kind)
    many = b"\0\0\0\x14ispe\0\0\0\0\0\0\xff\xff\0\0\xff\xff" * 100_000
    alone = len(heif_files._told_in(data))
    assert 0 < alone < 2_000
    assert len(heif_files._told_in(data + many)) == alone
    assert (
        len(heif_files._told_in(data[: data.index(b"meta") - 4] + b"\0\0\0\0meta" + many)) == 2**20
    )


def test_without_a_process_a_photo_is_refused(monkeypatch):
    def start(*given: object) -> subprocess.Popen:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(heif_files, "start", start)
    assert "no process can be started for it" in said_of(encoded("AVIF"))


def test_a_photo_whose_process_fails_is_refused(monkeypatch):
    failing = [sys.executable, "-c", "raise SystemExit(1)"]
    monkeypatch.setattr(heif_files, "start", lambda *given: subprocess.Popen(failing))
    assert "as JPEG or PNG" in said_of(encoded("AVIF"))


def test_other_photos_need_no_process(monkeypatch):
    monkeypatch.setattr(heif_files, "start", None)
    assert decode_photo(encoded("JPEG"), "photo").image.shape == PICTURE.shape


@pytest.mark.parametrize("kind", ["AVIF", "HEIC"])
def test_a_truncated_file_is_refused_in_a_sentence(kind):
    data = encoded(kind)
    assert "damaged" in said_of(data[: len(data) * 2 // 3])
