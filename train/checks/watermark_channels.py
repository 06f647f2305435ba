"""What happens to pictures on their way: each channel gives the frames that a reader then has."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from functools import partial

import av
import numpy as np
from PIL import Image

CLIP_FRAMES = 6

Channel = Callable[[np.ndarray], list[np.ndarray]]  # [H, W, 3] uint8 RGB -> frames alike


def stored(photo: np.ndarray, kind: str, **options: int) -> list[np.ndarray]:
    """The photo written and read again as `kind`, a format that Pillow knows."""
    file = io.BytesIO()
    Image.fromarray(photo).save(file, kind, **options)
    return [np.array(Image.open(file).convert("RGB"))]


def resized(photo: np.ndarray, factor: float) -> list[np.ndarray]:
    """The photo at another size, by Lanczos."""
    height, width = photo.shape[:2]
    size = (round(width * factor), round(height * factor))
    return [np.array(Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS))]


def cropped(photo: np.ndarray, share: float) -> list[np.ndarray]:
    """The photo less a share of its size on each side."""
    rows, columns = (round(side * share) for side in photo.shape[:2])
    return [photo[rows:-rows, columns:-columns].copy()]


def filmed(photos: Sequence[np.ndarray], crf: int) -> list[np.ndarray]:
    """Photos of one size as frames of an H.264 clip, at x264's default preset."""
    height, width = (side // 2 * 2 for side in photos[0].shape[:2])
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": str(crf)})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for photo in photos:
            frame = np.ascontiguousarray(photo[:height, :width])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    file.seek(0)
    with av.open(file) as container:
        return [picture.to_ndarray(format="rgb24") for picture in container.decode(video=0)]


def filmed_still(photo: np.ndarray, crf: int) -> list[np.ndarray]:
    """The photo as a short clip."""
    return filmed([photo] * CLIP_FRAMES, crf)


CHANNELS: dict[str, Channel] = {
    "PNG": partial(stored, kind="PNG"),
    "JPEG, quality 95": partial(stored, kind="JPEG", quality=95),
    "JPEG, quality 70": partial(stored, kind="JPEG", quality=70),
    "resize to 50 %": partial(resized, factor=0.5),
    "resize to 200 %": partial(resized, factor=2.0),
    "H.264, CRF 23, any of 6 frames": partial(filmed_still, crf=23),
    "crop of 10 % on each side": partial(cropped, share=0.1),
}
