"""A camera for Chromium: the astronaut, who sways, over a barcode with each frame's number."""

from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 640, 480
FPS = 30
NUM_FRAMES = 8  # of the tests' camera
NUM_BITS = 8
BLOCK = 32  # px, side of a bit; the row lies in the lower left corner, the lowest bit first
SWAY = 12  # px

# readNumber: the number in a canvas's or a video's picture; null where there is none.
READ_NUMBER_JS = f"""
const bits = {NUM_BITS + 2}, size = {BLOCK}, middle = {HEIGHT - BLOCK // 2};
const reader = document.createElement("canvas").getContext("2d", {{ willReadFrequently: true }});
reader.canvas.width = bits * size;
reader.canvas.height = 1;
function readNumber(picture) {{
  reader.drawImage(picture, 0, middle, bits * size, 1, 0, 0, bits * size, 1);
  const pixels = reader.getImageData(0, 0, bits * size, 1).data;
  const isOn = (i) => pixels[4 * (i * size + size / 2)] > 127;
  if (!isOn(0) || isOn(1)) return null;
  let number = 0;
  for (let i = 2; i < bits; i++) number += isOn(i) << (i - 2);
  return number;
}}
"""


def write_camera(path: Path, portrait: np.ndarray, num_frames: int) -> Path:
    """A .y4m of `num_frames` (at most 256) for --use-file-for-fake-video-capture; it repeats.

    portrait: [H, W, 3] uint8 RGB, square.
    """
    side = HEIGHT
    picture = np.array(Image.fromarray(portrait).resize((side, side)))
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F{FPS}:1 Ip A1:1 C420jpeg\n".encode())
        for number in range(num_frames):
            frame = camera_frame(picture, number, num_frames)
            luma, *chroma = Image.fromarray(frame).convert("YCbCr").split()
            file.write(b"FRAME\n" + luma.tobytes())
            for plane in chroma:
                file.write(plane.resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.BOX).tobytes())
    return path


def camera_frame(picture: np.ndarray, number: int, num_frames: int) -> np.ndarray:
    """Frame `number` as [HEIGHT, WIDTH, 3] uint8 RGB; `picture` is [HEIGHT, HEIGHT, 3]."""
    frame = np.full((HEIGHT, WIDTH, 3), 110, np.uint8)
    left = (WIDTH - HEIGHT) // 2 + round(SWAY * np.sin(2 * np.pi * number / num_frames))
    frame[:, left : left + HEIGHT] = picture
    bits = [1, 0, *(number >> i & 1 for i in range(NUM_BITS))]
    for i, bit in enumerate(bits):
        frame[HEIGHT - BLOCK :, i * BLOCK : (i + 1) * BLOCK] = 255 * bit
    return frame


def camera_flags(path: Path) -> list[str]:
    """Chromium's flags for such a camera, which a page may use without being asked about."""
    return [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={path}",
    ]
