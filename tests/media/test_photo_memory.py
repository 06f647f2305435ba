"""What one photo takes of memory at most, at the limit of its kind."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from simswap.errors import MediaError
from simswap.media.decoding import decode_series
from tests.media.test_hostile_photos import said_of

MAX_BYTES = 500_000_000
MEASURE = r"""
import re, sys
from functools import partial
from simswap.media.decoding import MAX_OWN_PIXELS, check_size, decode_photo

def peak():
    return int(re.search(r"VmHWM:\s*(\d+)", open("/proc/self/status").read())[1]) * 1024

data = open(sys.argv[1], "rb").read()
idle = peak()
decode_photo(data, "photo", partial(check_size, max_pixels=MAX_OWN_PIXELS))
print(peak() - idle)
"""
SIX = Image.Exif()
SIX[0x0112] = 6


def encoded(mode: str, side: int, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (side, side)).save(stream, kind, **options)
    return stream.getvalue()


LARGEST = {
    "WebP": ("RGBA", 5477, "WEBP", {"lossless": True, "method": 0}),
    "print JPEG of several scans": ("CMYK", 6324, "JPEG", {"progressive": True}),
    "JPEG of several scans": ("RGB", 6782, "JPEG", {"progressive": True, "subsampling": 0}),
    "JPEG": ("RGB", 8060, "JPEG", {}),
    "PNG": ("RGB", 8060, "PNG", {"compress_level": 1}),
    "PNG of 16 bits": ("I;16", 8060, "PNG", {"compress_level": 1}),
    "PNG with alpha": ("RGBA", 7071, "PNG", {"compress_level": 1}),
}


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are told by Linux only")
@pytest.mark.parametrize("kind", LARGEST)
def test_the_largest_photo_of_a_kind_takes_no_more_than_half_a_gigabyte(tmp_path, kind):
    mode, side, codec, options = LARGEST[kind]
    path = tmp_path / "photo"
    path.write_bytes(encoded(mode, side, codec, exif=SIX, **options))
    command = [sys.executable, "-c", MEASURE, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 50_000_000 < int(done.stdout) < MAX_BYTES


def large_webp(side: int) -> bytes:
    """One that claims more pixels than it has."""
    data = encoded("RGB", 64, "WEBP", lossless=True)
    return data[:21] + ((side - 1) * 0x4001).to_bytes(4, "little") + data[25:]


def test_a_webp_of_more_pixels_than_memory_is_for_is_refused_by_its_header():
    assert "at most 30 million" in said_of(large_webp(5480))
    assert "damaged" in said_of(large_webp(5470))


@pytest.mark.slow
def test_an_animation_of_many_pixels_is_not_looked_through():
    frames = [Image.new("RGBA", (5100, 5100), (shade, 0, 0, 90)) for shade in (1, 2)]
    stream = io.BytesIO()
    frames[0].save(stream, "PNG", save_all=True, append_images=frames[1:], compress_level=1)
    with pytest.raises(MediaError, match="animated PNG of 5100x5100 pixels; at most 25 million"):
        next(decode_series(stream.getvalue(), "photo", 2))


@pytest.mark.parametrize(("mode", "most"), [("CMYK", 40), ("RGB", 46)])
def test_a_jpeg_of_several_scans_has_a_limit_of_its_own(mode, most):
    data = encoded(mode, 64, "JPEG", progressive=True)
    frame = data.index(b"\xff\xc2") + 5
    grown = data[:frame] + (6900).to_bytes(2, "big") * 2 + data[frame + 4 :]
    assert f"at most {most} million" in said_of(grown)
