"""A tiny data set made on the spot from the example photos: enough to see that training runs."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from simswap import FaceSwapper
from simswap.files import replaced
from simswap.geometry import apply, compose, frame_to_crop_transform
from simswap.media.photos import read_photo

logger = logging.getLogger(__name__)

EXAMPLES = Path(__file__).resolve().parents[2] / "assets" / "examples"
PEOPLE = ("astronaut", "grace_hopper")
SIDE = 192  # px of each photo
NUM_SHARDS, ROWS_PER_SHARD = 4, 32


def make_example_data(folder: Path, seed: int = 0) -> None:
    """Write parquet shards of varied views of the faces in assets/examples, if not yet there.

    Columns as in a real set: image, identity, landmarks. A detector finds the landmarks.
    """
    from datasets import Dataset, disable_progress_bars

    names = [folder / f"train-{number:05d}.parquet" for number in range(NUM_SHARDS)]
    if all(path.is_file() for path in names):
        return
    folder.mkdir(parents=True, exist_ok=True)
    detector = FaceSwapper.from_pretrained()
    faces = []
    for person in PEOPLE:
        photo = read_photo(EXAMPLES / f"{person}.jpg").image
        faces.append((photo, detector.detect(photo)[0].landmarks, person))
    random = np.random.default_rng(seed)
    disable_progress_bars()
    for path in names:
        rows = [_view(*faces[i % len(faces)], random) for i in range(ROWS_PER_SHARD)]
        with replaced(path) as part:
            Dataset.from_list(rows).to_parquet(part)
    logger.info("Made %d photos of %d people", NUM_SHARDS * ROWS_PER_SHARD, len(faces))


def _view(
    photo: np.ndarray, landmarks: np.ndarray, identity: str, random: np.random.Generator
) -> dict[str, object]:
    """One row: the face turned, scaled, shifted and lit a little differently."""
    to_view = frame_to_crop_transform(landmarks, "ffhq", SIDE // 2)
    angle, factor = np.deg2rad(random.uniform(-15, 15)), random.uniform(0.8, 1.1)
    cosine, sine = factor * np.cos(angle), factor * np.sin(angle)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    centre = np.full(2, SIDE / 4)
    shift = SIDE / 2 - linear @ centre + random.uniform(-6, 6, 2)
    to_view = compose(to_view, np.concatenate([linear, shift[:, None]], axis=1))
    view = cv2.warpAffine(photo, to_view, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
    view = np.clip(view * random.uniform(0.8, 1.2), 0, 255).astype(np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(view).save(encoded, "JPEG", quality=90)
    return {
        "image": {"bytes": encoded.getvalue(), "path": None},
        "identity": identity,
        "landmarks": apply(to_view, landmarks).tolist(),
    }
