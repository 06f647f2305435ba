"""Photos and videos that are as large as the demo takes them, or larger."""

from __future__ import annotations

import io
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support.demo.demo_calls import EXAMPLES
from tests.support.media.video_files import Recipe, make_video

PHONE = 9248, 6936  # a photo of the largest that phones take


def phone_photo(kind: str) -> bytes:
    """A face, and noise, as a sensor has it."""
    noise = np.random.default_rng(0).normal(128, 6, (PHONE[1], 1024)).astype(np.uint8)
    grain = Image.fromarray(np.tile(noise, (1, -(-PHONE[0] // 1024)))[:, : PHONE[0]])
    with Image.open(EXAMPLES / "astronaut.jpg") as photo:
        large = photo.convert("RGB").resize(PHONE)
    stream = io.BytesIO()
    options = {"quality": 90} if kind == "JPEG" else {"compress_level": 1}
    Image.blend(large, Image.merge("RGB", [grain] * 3), 0.3).save(stream, kind, **options)
    return stream.getvalue()


def close_up(side: int) -> bytes:
    """Eyes, nose and mouth of a face that is several times as large as the photo."""
    stream = io.BytesIO()
    with Image.open(EXAMPLES / "astronaut.jpg") as photo:
        features = photo.convert("RGB").crop((203, 100, 248, 145))
        features.resize((side, side), Image.Resampling.BICUBIC).save(stream, "JPEG")
    return stream.getvalue()


def noise(width: int, height: int) -> bytes:
    """A face in noise, which no kind of file makes small, nor a detector takes for nothing."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    with Image.open(EXAMPLES / "astronaut.jpg") as photo:
        face = np.asarray(photo.convert("RGB"))
    pixels[: len(face), : face.shape[1]] = face
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=75, subsampling=0)
    return stream.getvalue()


def crowd_of_faces(size: tuple[int, int], across: int) -> Image.Image:
    """A face, so many times across and down."""
    width, height = (side // across for side in size)
    with Image.open(EXAMPLES / "astronaut.jpg") as photo:
        face = np.asarray(photo.convert("RGB").resize((width, height)))
    return Image.fromarray(np.tile(face, (across, across, 1)))


def large_video(
    codec: str, pix_fmt: str, options: dict[str, str], size: tuple[int, int], across: int = 1
) -> bytes:
    """A face, or many, that go round a large picture."""
    face = np.asarray(crowd_of_faces(size, across))
    recipe = Recipe(
        size=size,
        num_frames=30,
        codec=codec,
        pix_fmt=pix_fmt,
        options=options,
        sound=None,
        picture=lambda number, *_: np.roll(face, 8 * number, axis=1),
    )
    with tempfile.TemporaryDirectory() as folder:
        return make_video(Path(folder) / "large.mp4", recipe).read_bytes()
