"""Videos with a real face that moves, turns and leaves the frame, made on the spot."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from simswap import VideoOptions

WIDTH, HEIGHT = 240, 192  # px
RATE = 24  # frames per second
NUM_FRAMES = 26
NUM_WITHOUT_FACE = 6  # at the end
SOUND_RATE = 48_000
SEGMENT = 8  # frames
SHORT_SEGMENTS = VideoOptions(segment_frames=SEGMENT, detect_every=1)


def face_frame(portrait: np.ndarray, number: int) -> np.ndarray:
    """Frame `number`: the portrait sways and leans; in the last ones it is out of the picture.

    portrait: [512, 512, 3] uint8 RGB -> [HEIGHT, WIDTH, 3] uint8 RGB.
    """
    if number >= NUM_FRAMES - NUM_WITHOUT_FACE:
        return np.full((HEIGHT, WIDTH, 3), (90, 110, 130), np.uint8)
    return cv2.warpAffine(
        portrait,
        face_to_frame(number),
        (WIDTH, HEIGHT),
        flags=cv2.INTER_AREA,
        borderMode=cv2.BORDER_REPLICATE,
    )


def face_to_frame(number: int) -> np.ndarray:
    """[2, 3] from portrait pixels to those of frame `number`: what moves the face."""
    lean = np.deg2rad(6 * np.sin(number / 5))
    scale = 0.45 * (1 + 0.05 * np.sin(number / 7))
    linear = scale * np.array([[np.cos(lean), -np.sin(lean)], [np.sin(lean), np.cos(lean)]])
    middle = np.array([WIDTH / 2 + 40 * np.sin(number / 6), HEIGHT / 2 + 30])
    return np.column_stack([linear, middle - linear @ [256, 200]])


def make_face_video(
    path: Path, portrait: np.ndarray, num_frames: int = NUM_FRAMES, rate: int = RATE
) -> Path:
    """Write the video, over and over if it is to be longer, with a tone for sound."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "12", "g": "12"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.thread_count = 1
        sound = container.add_stream("aac", rate=SOUND_RATE)
        sound.layout = "mono"
        for number in range(num_frames):
            frame = av.VideoFrame.from_ndarray(
                face_frame(portrait, number % NUM_FRAMES), format="rgb24"
            )
            frame.pts, frame.time_base = number, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        samples = np.arange(num_frames * SOUND_RATE // rate)
        wave = (8000 * np.sin(samples / 30)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(wave, format="s16", layout="mono")
        frame.sample_rate, frame.pts = SOUND_RATE, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return path
