"""Large JPEG photos are decoded as small as their crops allow, and give the same crops."""

import io
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.support.hostile.hostile_photos import jpeg_of_scans, jpeg_with_exif, tiff_directory
from train.data.reduced import decode_to_fit
from train.data.rows import PhotoRow, decode_photo
from train.errors import CorruptPhotoError
from train.pairing.alignment import align_source, enlargement

LANDMARKS = np.float32([[470, 390], [600, 385], [540, 470], [480, 545], [590, 540]])


def file_of(photo: np.ndarray, kind: str = "JPEG", **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, kind, **options)
    return stream.getvalue()


@pytest.fixture(scope="module")
def photo(astronaut) -> np.ndarray:
    """1101 x 1101 px, so that no factor divides it."""
    return cv2.resize(astronaut, (1101, 1101), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def row(photo) -> PhotoRow:
    return PhotoRow(file_of(photo, quality=95), "a", LANDMARKS, "here")


@pytest.mark.parametrize(("scale", "side"), [(0.6, 1101), (0.5, 551), (0.25, 276), (0.01, 138)])
def test_a_photo_is_decoded_as_small_as_its_crop_allows(row, scale, side):
    found, landmarks = decode_to_fit(row, scale)
    assert found.shape == (side, side, 3)
    middle = (landmarks[:2].mean(0) + 0.5) * (1101 / side)
    assert middle == pytest.approx(LANDMARKS[:2].mean(0) + 0.5, rel=0.01)


def test_a_crop_of_the_smaller_photo_is_that_of_the_whole_one(row):
    scale = enlargement(LANDMARKS, "simswap_frontal", 0, "arcface")
    assert 0.25 < scale < 0.5
    small = align_source(*decode_to_fit(row, scale)).astype(float)
    # Without the aliases of a crop that leaves out pixels, which a smaller photo has not.
    blurred = cv2.GaussianBlur(decode_photo(row), (0, 0), 0.8)
    whole = align_source(blurred, LANDMARKS).astype(float)
    moved = align_source(blurred, LANDMARKS + 2).astype(float)
    assert np.abs(small - whole).mean() < 3
    assert np.abs(small - whole).mean() < 0.5 * np.abs(small - moved).mean()


def test_grey_photos_become_rgb(photo):
    grey = file_of(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))
    found, _ = decode_to_fit(PhotoRow(grey, "a", LANDMARKS, "here"), 0.25)
    assert found.shape == (276, 276, 3)


@pytest.mark.parametrize("kind", ["turned", "with a profile", "PNG"])
def test_what_needs_more_than_its_pixels_is_decoded_whole(photo, row, kind):
    exif = Image.Exif()
    exif[0x0112] = 6
    files = {
        "turned": lambda: file_of(photo, exif=exif),
        "with a profile": lambda: file_of(photo, icc_profile=b"\0" * 128),
        "PNG": lambda: file_of(photo, "PNG", compress_level=0),
    }
    found, landmarks = decode_to_fit(replace(row, image=files[kind]()), 0.1)
    assert found.shape == (1101, 1101, 3)
    assert landmarks is LANDMARKS


@pytest.mark.parametrize("data", [b"\xff\xd8\xff\xe0 damaged", b"\xff\xd8\xff"])
def test_a_damaged_photo_is_corrupt(row, data):
    with pytest.raises(CorruptPhotoError, match="here: the photo is damaged"):
        decode_to_fit(replace(row, image=data), 0.1)


def test_a_photo_cut_off_in_its_middle_is_corrupt(row):
    with pytest.raises(CorruptPhotoError, match="damaged or incomplete"):
        decode_to_fit(replace(row, image=row.image[: len(row.image) // 2]), 0.1)


def test_the_exif_of_a_strangers_photo_is_not_unpacked(row):
    data = jpeg_with_exif(tiff_directory(6000), side=1024)
    started = time.process_time()
    found, _ = decode_to_fit(replace(row, image=data), 0.1)
    assert found.shape == (128, 128, 3)
    assert time.process_time() - started < 0.2  # Pillow copies 72 kB for each of the entries


def test_a_strangers_photo_of_very_many_scans_is_corrupt(row):
    with pytest.raises(CorruptPhotoError, match="made of more than 100 scans"):
        decode_to_fit(replace(row, image=jpeg_of_scans(1024, 1024, 200)), 0.1)
