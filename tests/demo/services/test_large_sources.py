"""What the demo keeps of large photos: little, and not for long."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from PIL import Image

from simswap.demo.calls import failures
from simswap.demo.choices import Choices
from simswap.demo.services import allowances, photos
from simswap.errors import MediaError
from simswap.media.photos import read_photo, write_photo
from simswap.memory import resident_bytes

pytestmark = pytest.mark.usefixtures("uploads")


def enlarged(image: np.ndarray, side: int, path) -> str:
    large = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
    Image.fromarray(large).save(path, quality=90)
    return str(path)


def test_a_large_source_keeps_its_identity_when_it_is_shrunk(swapper, astronaut, tmp_path):
    path = enlarged(astronaut, 3000, tmp_path / "large.jpg")
    [photo] = photos.read_sources([path])
    assert photo.image.shape[0] * photo.image.shape[1] <= photos.SOURCE_PIXELS
    whole = swapper.identity_of(photos.read_upload(path).image).embedding
    assert float(whole @ swapper.identity_of(photo.image).embedding) >= 0.98


def test_each_source_is_shrunk_before_the_next_is_read(astronaut, tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "SOURCE_PIXELS", 10_000)
    paths = [enlarged(astronaut, 200, tmp_path / f"{number}.jpg") for number in range(3)]
    events, read, shrink = [], photos.read_upload, cv2.resize
    monkeypatch.setattr(photos, "read_upload", lambda path: events.append("read") or read(path))
    monkeypatch.setattr(cv2, "resize", lambda *a, **k: events.append("shrunk") or shrink(*a, **k))
    photos.read_sources(paths)
    assert events == ["read", "shrunk"] * 3


def test_a_target_is_shrunk_to_what_can_be_written_and_it_is_told(astronaut, tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "TARGET_BYTES", 3 * 90_000)
    path = enlarged(astronaut, 400, tmp_path / "large.jpg")
    people, choices = [photos.Person([path])], Choices()
    result, summary, _ = photos.swap_and_locate(people, path, choices)
    assert read_photo(result).image.shape == (300, 300, 3)
    assert "400x400 pixels, was made smaller for this server: 300x300." in summary["notices"][0]


def test_a_result_that_could_not_be_signed_in_memory_is_refused(tmp_path, monkeypatch):
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    monkeypatch.setattr(allowances, "SIGN_BYTES", 440_000)
    with allowances.one_call():
        with pytest.raises(MediaError, match=r"more than the 0 MB .* Save it as JPEG"):
            write_photo(tmp_path / "result.png", noise, model="m")
        write_photo(tmp_path / "result.jpg", noise, model="m")
    assert [path.name for path in tmp_path.iterdir()] == ["result.jpg"]


def test_a_source_of_ordinary_size_is_taken_as_it_is(astronaut, tmp_path):
    Image.fromarray(astronaut).save(tmp_path / "small.png")
    assert np.array_equal(photos.read_sources([str(tmp_path / "small.png")])[0].image, astronaut)


@pytest.mark.skipif(resident_bytes() == 0, reason="this system does not tell")
@pytest.mark.parametrize(("size", "times"), [(10, 0), (2 * failures.LARGE, 1)])
def test_memory_goes_back_after_a_call_that_took_much_only(monkeypatch, size, times):
    given_back = []
    monkeypatch.setattr(failures, "give_memory_back", given_back.append)
    assert len(failures.thrifty()(lambda: np.ones(size, np.uint8))()) == size
    assert len(given_back) == times


FREES = """
import numpy as np
from simswap.errors import MediaError
from simswap.media.photos import read_photo, write_photo
from simswap.memory import keep_large_blocks_apart, resident_bytes
keep_large_blocks_apart()
def frames():  # each followed by something small that stays
    return [(np.ones(25_000_000, np.uint8), np.ones(1000, np.uint8)) for _ in range(4)]
before, kept = resident_bytes(), []
for _ in range(3):
    kept += [small for _, small in frames()]
print(resident_bytes() - before)
"""


@pytest.mark.skipif(resident_bytes() == 0, reason="this system does not tell")
def test_freed_frames_of_4k_leave_nothing_with_the_process():
    ran = subprocess.run([sys.executable, "-c", FREES], check=True, capture_output=True)
    assert int(ran.stdout) < 20_000_000
