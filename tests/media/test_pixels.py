"""Every kind of pixel comes out of read_photo as upright 8-bit RGB, with the right profile."""

import io
import struct
import warnings

import numpy as np
import pytest
from PIL import Image, ImageCms

from simswap.media import pixels
from simswap.media.colours.profile import bounded_profile, plain_profile
from simswap.media.photos import read_photo
from tests.support.media.png import png

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATION = 0x0112


@pytest.fixture
def image():
    """A smooth [40, 60, 3] picture whose four corners differ."""
    y, x = np.mgrid[0:40, 0:60]
    return np.stack([x * 4, y * 6, 255 - x * 2 - y * 2], axis=-1).astype(np.uint8)


@pytest.fixture
def alpha(image):
    return np.tile(np.linspace(0, 255, image.shape[1]).astype(np.uint8), (image.shape[0], 1))


@pytest.mark.parametrize("suffix", ["png", "bmp", "tiff"])
def test_lossless_formats_keep_every_pixel(tmp_path, image, suffix):
    Image.fromarray(image).save(tmp_path / f"photo.{suffix}")
    photo = read_photo(tmp_path / f"photo.{suffix}")
    assert np.array_equal(photo.image, image)
    assert photo.alpha is None
    assert photo.notices == ()


@pytest.mark.parametrize("suffix", ["jpg", "webp"])
def test_lossy_formats_stay_near_the_pixels(tmp_path, image, suffix):
    Image.fromarray(image).save(tmp_path / f"photo.{suffix}", quality=95)
    photo = read_photo(tmp_path / f"photo.{suffix}")
    assert np.abs(photo.image.astype(int) - image).mean() < 3


def test_a_format_is_told_by_its_bytes_not_its_name(tmp_path, image):
    Image.fromarray(image).save(tmp_path / "photo.jpg", format="PNG")
    assert np.array_equal(read_photo(tmp_path / "photo.jpg").image, image)


def test_rgba_is_split_into_colours_and_alpha(tmp_path, image, alpha):
    Image.fromarray(np.dstack([image, alpha])).save(tmp_path / "photo.png")
    photo = read_photo(tmp_path / "photo.png")
    assert np.array_equal(photo.image, image)
    assert np.array_equal(photo.alpha, alpha)


def test_a_palette_with_a_transparent_entry_gives_alpha(tmp_path, image):
    palette = Image.fromarray(image).quantize(16)
    palette.save(tmp_path / "photo.png", transparency=3)
    photo = read_photo(tmp_path / "photo.png")
    assert np.array_equal(photo.alpha == 0, np.asarray(palette) == 3)
    assert np.array_equal(photo.image, np.asarray(palette.convert("RGB")))


def test_grey_becomes_three_equal_channels(tmp_path, image):
    Image.fromarray(image[..., 0]).save(tmp_path / "photo.png")
    assert np.array_equal(read_photo(tmp_path / "photo.png").image, image[..., [0, 0, 0]])


def test_grey_with_alpha_keeps_both(tmp_path, image, alpha):
    grey_alpha = Image.merge("LA", [Image.fromarray(image[..., 0]), Image.fromarray(alpha)])
    grey_alpha.save(tmp_path / "photo.png")
    photo = read_photo(tmp_path / "photo.png")
    assert np.array_equal(photo.image, image[..., [0, 0, 0]])
    assert np.array_equal(photo.alpha, alpha)


def test_one_bit_pixels_become_black_and_white(tmp_path, image):
    Image.fromarray(image[..., 0] > 99).save(tmp_path / "photo.png")
    assert set(np.unique(read_photo(tmp_path / "photo.png").image)) == {0, 255}


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_is_scaled_not_clipped(tmp_path, suffix):
    deep = np.linspace(0, 65_535, 32 * 32).astype(np.uint16).reshape(32, 32)
    Image.fromarray(deep).save(tmp_path / f"photo.{suffix}")
    expected = np.round(deep / 257.0)
    assert np.array_equal(read_photo(tmp_path / f"photo.{suffix}").image[..., 1], expected)


def test_16_bit_colour_is_reduced_to_8_bits(tmp_path, image):
    height, width = image.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in image.astype(np.uint16) * 257)
    (tmp_path / "photo.png").write_bytes(png(width, height, rows, depth=16))
    assert np.array_equal(read_photo(tmp_path / "photo.png").image, image)


def test_cmyk_jpeg_becomes_rgb_with_a_notice(tmp_path, image):
    Image.fromarray(image).convert("CMYK").save(tmp_path / "print.jpg", quality=95)
    photo = read_photo(tmp_path / "print.jpg")
    assert np.abs(photo.image.astype(int) - image).mean() < 5
    assert photo.icc_profile is None
    assert "CMYK" in photo.notices[0]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, image, orientation):
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }[orientation]
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(np.ascontiguousarray(undo(image))).save(tmp_path / "photo.png", exif=exif)
    assert np.array_equal(read_photo(tmp_path / "photo.png").image, image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_strips_of_a_picture_fit_together(monkeypatch, image, orientation):
    whole, _, _ = pixels.to_rgb(Image.fromarray(image), None, orientation)
    monkeypatch.setattr(pixels, "_STRIP", 7 * 60 + 5)
    strips, _, _ = pixels.to_rgb(Image.fromarray(image), None, orientation)
    assert np.array_equal(strips, whole)


@pytest.mark.parametrize("size", [(60_000, 40), (40, 60_000)])
def test_of_pictures_of_any_shape_a_million_pixels_are_converted_at_a_time(monkeypatch, size):
    converted, convert = [], pixels._to_8_bit
    monkeypatch.setattr(pixels, "_to_8_bit", lambda it: converted.append(it.size) or convert(it))
    pixels.to_rgb(Image.new("L", size), None)
    assert 900_000 < max(width * height for width, height in converted) <= 1_000_000


def test_broken_exif_does_not_make_a_broken_photo(tmp_path, image):
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x05" + b"\xff" * 40
    Image.fromarray(image).save(tmp_path / "photo.jpg", exif=exif)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_photo(tmp_path / "photo.jpg").image.shape == image.shape


# Colour profiles


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tiff"])
def test_the_colours_of_an_rgb_profile_are_kept(tmp_path, image, suffix):
    Image.fromarray(image).save(tmp_path / f"photo.{suffix}", icc_profile=WIDE)
    photo = read_photo(tmp_path / f"photo.{suffix}")
    with Image.open(tmp_path / f"photo.{suffix}") as original:
        pixels = np.array(original.convert("RGB"))
    assert np.array_equal(photo.image, pixels)
    assert np.array_equal(in_srgb(pixels, photo.icc_profile), in_srgb(pixels, WIDE))
    assert not np.array_equal(in_srgb(pixels, WIDE), pixels)


def test_a_profile_is_written_anew_without_its_texts():
    kept = plain_profile(WIDE)
    assert b"Description" not in kept
    assert len(kept) < len(WIDE)
    assert plain_profile(kept) == kept


def test_a_curve_that_falls_may_be_anything_and_is_applied_to_the_pixels(tmp_path, image):
    place = int.from_bytes(WIDE[WIDE.index(b"rTRC") + 4 :][:4], "big")
    table = b"curv" + bytes(4) + struct.pack(">I4H", 4, 0, 9000, 8000, 65535)
    other = WIDE[:place] + table + WIDE[place + len(table) :]
    Image.fromarray(image).save(tmp_path / "photo.png", icc_profile=other)
    photo = read_photo(tmp_path / "photo.png")
    assert photo.icc_profile is None
    assert np.array_equal(photo.image, in_srgb(image, other))


@pytest.mark.parametrize("tag", [b"A2B0", b"D2B1"])
def test_a_profile_of_look_up_tables_is_not_kept(tag):
    assert plain_profile(WIDE.replace(b"cprt", tag, 1)) is None


@pytest.mark.parametrize(
    ("place", "content"),
    [
        (8, b"\x05"),
        (68, struct.pack(">3i", 32_768, 65_536, 32_768)),
        (36, b"pcsa"),
        (0, struct.pack(">I", 1 << 20)),
        (140, struct.pack(">I", 1 << 20)),
    ],
    ids=["version 5", "another light", "no profile", "cut off", "a tag that lies outside"],
)
def test_a_profile_that_browsers_refuse_is_none(place, content):
    odd = WIDE[:place] + content + WIDE[place + len(content) :]
    assert plain_profile(WIDE) is not None
    assert bounded_profile(WIDE) is not None
    assert plain_profile(odd) is None
    assert bounded_profile(odd) is None


def test_a_damaged_profile_is_written_anew_or_dropped():
    for place in range(0, len(WIDE), 7):
        flipped = WIDE[:place] + bytes([WIDE[place] ^ 0xFF]) + WIDE[place + 1 :]
        for profile in (flipped, WIDE[:place]):
            kept = plain_profile(profile)
            assert kept is None or ImageCms.ImageCmsProfile(io.BytesIO(kept))


def in_srgb(pixels, profile):
    """Pixels as a viewer shows them that knows the profile."""
    picture = Image.fromarray(pixels)
    ways = {
        "renderingIntent": ImageCms.Intent.RELATIVE_COLORIMETRIC,
        "flags": ImageCms.Flags.BLACKPOINTCOMPENSATION,
    }
    srgb = ImageCms.createProfile("sRGB")
    return np.array(ImageCms.profileToProfile(picture, io.BytesIO(profile), srgb, **ways))


def rgb_profile():
    """ICC v2: the primaries of Display P3 with a gamma of 2.2, and texts."""
    numbers = {
        b"rXYZ": (33_742, 15_766, -69),
        b"gXYZ": (19_142, 45_369, 2_747),
        b"bXYZ": (10_307, 4_401, 51_382),
        b"wtpt": (63_190, 65_536, 54_061),
    }
    tags = {name: b"XYZ \0\0\0\0" + struct.pack(">3i", *value) for name, value in numbers.items()}
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, int(2.2 * 256)) + b"\0\0"
    tags |= dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve + bytes(40))
    text = b"Description of a person's own screen"
    tags[b"desc"] = b"desc\0\0\0\0" + struct.pack(">I", len(text) + 1) + text + bytes(79)
    tags[b"cprt"] = b"text\0\0\0\0" + text + b"\0"
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for name, body in tags.items():
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    kinds = b"mntr", b"RGB ", b"XYZ "
    head = struct.pack(">I4sI4s4s4s", start + len(data), b"lcms", 0x02400000, *kinds)
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63_190, 65_536, 54_061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


WIDE = rgb_profile()


def test_a_grey_profile_is_applied_and_dropped(tmp_path, image):
    grey = image[..., 0]
    Image.fromarray(grey).save(tmp_path / "photo.png", icc_profile=grey_profile(gamma=1.0))
    photo = read_photo(tmp_path / "photo.png")
    assert photo.icc_profile is None
    assert photo.image[..., 0].mean() > grey.mean() + 20  # linear light is brighter in sRGB


@pytest.mark.parametrize(
    "profile",
    [b"no profile at all", SRGB[:16] + b"CMYK" + SRGB[20:], SRGB[:16] + b"GRAY" + SRGB[20:]],
)
def test_a_profile_that_does_not_fit_the_pixels_is_dropped(tmp_path, image, profile):
    Image.fromarray(image).save(tmp_path / "photo.png", icc_profile=profile)
    photo = read_photo(tmp_path / "photo.png")
    assert photo.icc_profile is None
    assert np.array_equal(photo.image, image)


def test_a_damaged_grey_profile_leaves_the_plain_grey(tmp_path, image):
    damaged = grey_profile(gamma=1.0)[:140]
    Image.fromarray(image[..., 0]).save(tmp_path / "photo.png", icc_profile=damaged)
    assert np.array_equal(read_photo(tmp_path / "photo.png").image, image[..., [0, 0, 0]])


def grey_profile(gamma):
    """A minimal ICC v2 profile: grey, one gamma."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63_190, 65_536, 54_061)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, int(gamma * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + bytes(78)
    tags, data, offset = b"", b"", 128 + 4 + 3 * 12
    for name, body in ((b"wtpt", white), (b"kTRC", curve), (b"desc", text)):
        body += bytes(-len(body) % 4)
        tags += name + struct.pack(">II", offset + len(data), len(body))
        data += body
    size = offset + len(data)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63_190, 65_536, 54_061)
    return header.ljust(128, b"\0") + struct.pack(">I", 3) + tags + data
