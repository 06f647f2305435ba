"""What a row of a data set holds: its photo decoded, its landmarks, no file of this machine."""

import io
import zipfile

import pytest
from PIL import Image

from tests.support.media.png import png
from tests.support.training.shard_sources import encoded, write_parquet
from train.data.rows import Columns, PhotoRow, decode_photo, to_photo_row
from train.data.shards import open_photos
from train.errors import CorruptPhotoError, TrainingError


def row_of(image):
    return PhotoRow(image, None, None, "here")


def test_a_photo_is_decoded_upright_as_rgb():
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its side
    stream = io.BytesIO()
    Image.new("RGB", (20, 40), (250, 0, 0)).save(stream, "JPEG", exif=exif)
    photo = decode_photo(row_of(stream.getvalue()))
    assert photo.shape == (20, 40, 3)
    assert photo[..., 0].min() > 200
    assert photo[..., 2].max() < 50


@pytest.mark.parametrize(
    "image",
    [b"", b"not a photo", encoded(0, 64)[:300], png(20_000, 20_000), png(4, 4), b"%!PS-Adobe-3.0"],
    ids=["nothing", "text", "cut off", "pixel bomb", "tiny", "PostScript"],
)
def test_a_corrupt_photo_says_where_it_stands(image):
    with pytest.raises(CorruptPhotoError, match=r"^here: "):
        decode_photo(row_of(image))


@pytest.mark.parametrize(
    "path",
    [
        "{}/secret.png",
        "file://{}/secret.png",
        "{}/secret.png::hf://datasets/user/name/a.zip",
        "file://{}/secret.png::hf://datasets/user/name/a.zip",
        "zip://a.png::{}/secret.zip",
        "zip://a.png::{}/secret.zip::hf://datasets/user/name/a.zip",
    ],
)
def test_a_row_never_makes_us_read_a_local_file(tmp_path, path):
    (tmp_path / "secret.png").write_bytes(encoded(1))
    with zipfile.ZipFile(tmp_path / "secret.zip", "w") as archive:
        archive.writestr("a.png", encoded(1))
    image = {"bytes": None, "path": path.format(tmp_path)}
    write_parquet(tmp_path / "a.parquet", [{"image": image, "identity": "anna"}] * 2)
    assert next(open_photos(str(tmp_path / "a.parquet")).rows(0)).image == b""


@pytest.mark.parametrize("landmarks", [5, "here", [[1, 2], [3]]])
def test_landmarks_that_are_no_points_are_told_with_their_row(landmarks):
    record = {"image": {"bytes": encoded(1)}, "landmarks": landmarks}
    with pytest.raises(TrainingError, match=r"^row 3: the landmarks "):
        to_photo_row(record, Columns(), {}, "row 3")


@pytest.mark.parametrize(
    "path",
    [
        "hf://datasets/victim/private/me.jpg",
        "hf://datasets/user/name2/me.jpg",
        "hf://datasets/user/name/../../victim/private/me.jpg",
        "hf://user/name/me.jpg",
        "zip://a.png::hf://datasets/victim/private/a.zip",
        "https://example.com/a.png::hf://datasets/user/name/a.zip",
    ],
)
def test_a_row_never_makes_us_read_another_repository(path):
    record = {"image": {"bytes": None, "path": path}}
    assert to_photo_row(record, Columns(), {}, "here", "user/name").image == b""


@pytest.mark.parametrize("packing", ["zip", "tar", "gzip", "tar://a.png::gzip"])
def test_a_row_never_makes_us_open_an_archive(packing):
    path = f"{packing}://a.png::hf://datasets/user/name@main/a.zip"
    record = {"image": {"bytes": None, "path": path}}
    assert to_photo_row(record, Columns(), {}, "here", "user/name").image == b""
