import io
import os
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms

from simswap.errors import MediaError, OptionError
from simswap.media import photos
from simswap.media.colours.profile import plain_profile
from simswap.media.decoding import MAX_OWN_PIXELS
from simswap.media.photos import Photo, check_output, read_photo, write_photo
from tests.support.media.png import png

SRGB = plain_profile(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
GPS_INFO, MAKE = 0x8825, 0x010F


@pytest.fixture
def image():
    """A smooth [40, 60, 3] picture whose four corners differ."""
    y, x = np.mgrid[0:40, 0:60]
    return np.stack([x * 4, y * 6, 255 - x * 2 - y * 2], axis=-1).astype(np.uint8)


@pytest.fixture
def alpha(image):
    return np.tile(np.linspace(0, 255, image.shape[1]).astype(np.uint8), (image.shape[0], 1))


def refusal(path):
    with pytest.raises(MediaError) as caught:
        read_photo(path)
    return str(caught.value)


# Files of several pictures


@pytest.mark.parametrize(("suffix", "word"), [("gif", "animation"), ("tiff", "pages")])
def test_of_several_pictures_the_first_is_used_with_a_notice(tmp_path, suffix, word):
    first, second = Image.new("RGB", (32, 32), "red"), Image.new("RGB", (32, 32), "blue")
    first.save(tmp_path / f"many.{suffix}", save_all=True, append_images=[second])
    photo = read_photo(tmp_path / f"many.{suffix}")
    assert tuple(photo.image[16, 16]) == (255, 0, 0)
    assert word in photo.notices[0]


@pytest.mark.parametrize("suffix", ["webp", "png"])
def test_animated_webp_and_png_give_their_first_frame(tmp_path, suffix):
    first, second = Image.new("RGB", (32, 32), "red"), Image.new("RGB", (32, 32), "blue")
    options = {"lossless": True} if suffix == "webp" else {}
    first.save(tmp_path / f"many.{suffix}", save_all=True, append_images=[second], **options)
    photo = read_photo(tmp_path / f"many.{suffix}")
    assert tuple(photo.image[16, 16]) == (255, 0, 0)
    assert "animation" in photo.notices[0]


def test_a_jpeg_with_a_preview_behind_it_is_one_photo(tmp_path, image):
    pictures = [Image.fromarray(image), Image.fromarray(image[::2, ::2])]
    pictures[0].save(
        tmp_path / "phone.jpg", format="MPO", save_all=True, append_images=pictures[1:]
    )
    photo = read_photo(tmp_path / "phone.jpg")
    assert photo.image.shape == image.shape
    assert photo.notices == ()


# Refusals: one sentence of fact and one of remedy, the file by its base name only


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"", "is empty (0 bytes)"),
        (b"Dear diary, this is no photo.", "is not a photo in a known format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "is not a photo in a known format"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "is damaged or incomplete"),
        (b"\0\0\0\x18ftypmp42" + bytes(40), "a video"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "is not a photo in a known format"),
        (b"\xff\xd8\xff\xe0 and then nothing sensible", "is damaged or incomplete"),
        (b"\x89PNG\r\n\x1a\n", "is damaged or incomplete"),
        (b"II*\0\x08\0\0\0\xff\xff", "is damaged or incomplete"),
        (b"BM" + bytes(60), "is damaged or incomplete"),
    ],
)
def test_what_is_no_photo_is_refused(tmp_path, content, fact):
    (tmp_path / "photo.jpg").write_bytes(content)
    message = refusal(tmp_path / "photo.jpg")
    assert message.startswith("photo.jpg ")
    assert fact in message
    assert str(tmp_path) not in message


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "bmp", "tiff"])
def test_a_truncated_photo_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    whole = io.BytesIO()
    Image.fromarray(noise).save(whole, format={"jpg": "JPEG"}.get(suffix, suffix))
    (tmp_path / f"cut.{suffix}").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    assert "is damaged or incomplete" in refusal(tmp_path / f"cut.{suffix}")


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "does not exist" in refusal(tmp_path / "absent.jpg")
    assert "is a folder" in refusal(tmp_path)
    assert "is not a regular file" in refusal(tmp_path / "pipe")
    assert "does not exist" in refusal("nul\0byte.jpg")


def test_a_pixel_bomb_is_refused_from_its_header_without_a_warning(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png(30_000, 30_000))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        message = refusal(tmp_path / "bomb.png")
    assert "30000x30000" in message
    assert "65 million" in message


def test_a_photo_as_large_as_phones_take_is_read(tmp_path):
    (tmp_path / "phone.png").write_bytes(png(9248, 6936))
    with pytest.raises(MediaError, match="damaged"):  # of which there is a header only
        read_photo(tmp_path / "phone.png")


def test_one_as_large_with_transparency_is_read_where_that_is_allowed(tmp_path):
    (tmp_path / "phone.png").write_bytes(png(9248, 6936, colours=6))
    assert "more than the 50 million" in refusal(tmp_path / "phone.png")
    with pytest.raises(MediaError, match="damaged"):
        read_photo(tmp_path / "phone.png", MAX_OWN_PIXELS)


def test_a_tiny_photo_is_refused(tmp_path):
    Image.new("RGB", (15, 400)).save(tmp_path / "tiny.png")
    assert "15x400" in refusal(tmp_path / "tiny.png")


def test_a_huge_file_is_refused_unread(tmp_path):
    with (tmp_path / "huge.png").open("wb") as file:
        file.truncate(photos.MAX_FILE_BYTES + 1)
    assert "100 MB" in refusal(tmp_path / "huge.png")


def test_32_bit_pixels_are_refused(tmp_path):
    Image.fromarray(np.ones((32, 32), np.float32)).save(tmp_path / "deep.tiff")
    assert "32-bit" in refusal(tmp_path / "deep.tiff")


def test_a_name_cannot_steer_the_terminal(tmp_path):
    assert "\x1b" not in refusal(tmp_path / "evil\x1b[2J\n.jpg")


# Writing


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_lossless_output_keeps_pixels_alpha_and_profile(tmp_path, image, alpha, suffix):
    like = Photo(image, alpha, SRGB)
    write_photo(tmp_path / f"out.{suffix}", image, like=like, model="m", quality=100)
    photo = read_photo(tmp_path / f"out.{suffix}")
    assert np.array_equal(photo.image, image)
    assert np.array_equal(photo.alpha, alpha)
    assert photo.icc_profile == SRGB


def test_a_jpeg_keeps_the_profile_and_fine_colour(tmp_path):
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2, 0] = stripes[:, 1::2, 2] = 255  # red and blue, one pixel wide
    write_photo(tmp_path / "out.jpg", stripes, like=Photo(stripes, None, SRGB), model="m")
    photo = read_photo(tmp_path / "out.jpg")
    assert np.abs(photo.image.astype(int) - stripes).mean() < 8  # subsampled colour: above 40
    assert photo.icc_profile == SRGB


def test_a_jpeg_drops_alpha_and_leaves_the_colours(tmp_path, image, alpha):
    write_photo(tmp_path / "out.jpg", image, like=Photo(image, alpha), model="m")
    photo = read_photo(tmp_path / "out.jpg")
    assert photo.alpha is None
    assert np.abs(photo.image.astype(int) - image).mean() < 3


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_the_originals_exif_is_not_copied(tmp_path, image, suffix):
    exif = Image.Exif()
    exif[MAKE] = "SecretCam"
    exif.get_ifd(GPS_INFO)[1] = "N"
    Image.fromarray(image).save(tmp_path / f"in.{suffix}", exif=exif)
    original = read_photo(tmp_path / f"in.{suffix}")
    write_photo(tmp_path / f"out.{suffix}", original.image, like=original, model="m")
    with Image.open(tmp_path / f"out.{suffix}") as written:
        assert len(written.getexif()) == 0
    assert b"SecretCam" not in (tmp_path / f"out.{suffix}").read_bytes()


def test_lower_quality_makes_a_smaller_file(tmp_path, image):
    write_photo(tmp_path / "high.jpg", image, model="m", quality=95)
    write_photo(tmp_path / "low.jpg", image, model="m", quality=30)
    assert (tmp_path / "low.jpg").stat().st_size < (tmp_path / "high.jpg").stat().st_size


@pytest.mark.parametrize("quality", [0, 101])
def test_a_quality_outside_its_range_is_refused(tmp_path, image, quality):
    with pytest.raises(OptionError, match=str(quality)):
        write_photo(tmp_path / "out.jpg", image, model="m", quality=quality)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, image, monkeypatch):
    (tmp_path / "out.png").write_bytes(b"old")

    def full_disk(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full_disk)
    with pytest.raises(MediaError, match="No space left on device"):
        write_photo(tmp_path / "out.png", image, model="m")
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]
    assert (tmp_path / "out.png").read_bytes() == b"old"


def test_writing_through_a_link_keeps_the_link(tmp_path, image):
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    write_photo(tmp_path / "link.png", image, model="m")
    assert (tmp_path / "link.png").is_symlink()
    assert np.array_equal(read_photo(tmp_path / "real.png").image, image)


def test_a_written_file_has_the_usual_rights(tmp_path, image):
    (tmp_path / "usual").touch()
    write_photo(tmp_path / "out.png", image, model="m")
    assert (tmp_path / "out.png").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize(
    "pixels", [np.zeros((20, 20), np.uint8), np.zeros((20, 20, 3)), np.zeros((20, 20, 4), np.uint8)]
)
def test_an_array_that_is_no_frame_is_refused(tmp_path, pixels):
    with pytest.raises(ValueError, match="expected uint8"):
        write_photo(tmp_path / "out.png", pixels, model="m")


def test_outputs_that_cannot_be_written_are_told_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    cases = {
        "out.gif": "unknown ending '.gif'",
        "out": "unknown ending ''",
        "absent/out.png": "does not exist",
        "file/out.png": "does not exist",
        "folder.png": "cannot be written",
        "n" * 300 + ".png": "cannot be written",
    }
    for path, fact in cases.items():
        with pytest.raises(MediaError, match=fact):
            check_output(tmp_path / path)


def test_a_side_longer_than_the_format_holds_is_told_before_the_work(tmp_path):
    with pytest.raises(MediaError, match="at most 16383"):
        check_output(tmp_path / "out.webp", size=(20_000, 100))
    check_output(tmp_path / "out.png", size=(20_000, 100))


def test_checking_an_output_leaves_nothing_behind(tmp_path):
    check_output(tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


def test_a_gain_map_is_told(tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "phone.jpg", xmp=b'<x hdrgm:Version="1.0"/>')
    assert "The gain map in phone.jpg" in read_photo(tmp_path / "phone.jpg").notices[0]


@pytest.mark.parametrize(("kind", "is_told"), [(0, False), (0x020002, True), (0x010001, False)])
def test_further_views_in_a_jpeg_are_told_but_no_previews(tmp_path, kind, is_told):
    stream = io.BytesIO()
    picture = Image.new("RGB", (40, 40))
    picture.save(stream, "MPO", save_all=True, append_images=[picture])
    data = bytearray(stream.getvalue())
    second = data.index(b"MPF\0") + 4 + 50 + 16  # after its header and directory
    data[second : second + 4] = kind.to_bytes(4, "little")
    (tmp_path / "stereo.jpg").write_bytes(data)
    told = "stereo.jpg holds several views: only the first is used."
    assert read_photo(tmp_path / "stereo.jpg").notices == (told,) * is_told
