"""What pairs cost before a GPU sees them: a core's time to decode and align, and what follows.

    python tests/measure/training/loading.py --data prepared/vgg --crop-size 224
    python tests/measure/training/loading.py --side 1024 --kind JPEG --crop-size 128

Pairs are made in this process, by one thread. Without --data, of photos drawn on the spot: the
examples' faces, SIDE px of which the face's crop takes half. Prints the milliseconds of a core
for a pair; and how many cores eight GPUs keep busy that train --images-per-second each.
"""

from __future__ import annotations

import argparse
import io
import itertools
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[3]))

from train.config import PairSettings
from train.data.examples import make_example_data
from train.data.shards import PhotoRow, decode_photo, open_photos
from train.pairing.blocks import Position
from train.pairing.pairs import PairStream

NUM_GPUS, CORES_A_GPU = 8, (8, 16)
WARM_UP = 2  # batches


def enlarged(row: PhotoRow, side: int, kind: str) -> dict[str, object]:
    """A row of a data set with the photo as a file of that kind and side."""
    photo = decode_photo(row)
    factor = side / len(photo)
    photo = cv2.resize(photo, (side, side), interpolation=cv2.INTER_CUBIC)
    # A resized photo is smoother than one from a camera, and would decode faster.
    noise = np.random.default_rng(0).normal(0, 4, photo.shape)
    photo = np.clip(photo + noise, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(photo).save(stream, kind, quality=95)
    points = (row.landmarks + 0.5) * factor - 0.5
    image = {"bytes": stream.getvalue(), "path": None}
    return {"image": image, "identity": row.identity, "landmarks": points.tolist()}


def draw_photos(folder: Path, side: int, kind: str) -> str:
    """Write a data set of photos of that kind and side; where it is."""
    from datasets import Dataset

    make_example_data(folder / "small")
    rows = list(open_photos(str(folder / "small")).rows(0))
    large = [enlarged(row, side, kind) for row in rows]
    (folder / "large").mkdir()
    Dataset.from_list(large).to_parquet(folder / "large" / "a.parquet")
    return str(folder / "large")


def milliseconds(data: str, settings: PairSettings, num_pairs: int) -> float:
    """A core's time for a pair, of same- and different-identity batches in turn."""
    stream = PairStream(open_photos(data), settings)
    batches = stream.batches(Position(), itertools.cycle([True, False]))
    for _ in range(WARM_UP):
        next(batches)
    count = max(num_pairs // settings.batch_size, 2)
    begun = time.process_time()
    for _ in range(count):
        next(batches)
    return 1000 * (time.process_time() - begun) / (count * settings.batch_size)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="as for train.py; default: photos drawn on the spot")
    parser.add_argument("--side", type=int, default=1024, help="of those, px")
    parser.add_argument("--kind", choices=("JPEG", "WEBP", "PNG"), default="JPEG")
    parser.add_argument("--crop-size", type=int, default=128)
    parser.add_argument("--pairs", type=int, default=96, help="that are timed")
    parser.add_argument("--images-per-second", type=float, default=750.0, help="of one GPU")
    given = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    settings = PairSettings(crop_size=given.crop_size, batch_size=8)
    with tempfile.TemporaryDirectory() as folder:
        data = given.data or draw_photos(Path(folder), given.side, given.kind)
        cost = milliseconds(data, settings, given.pairs)
    print(f"{cost:.1f} ms of a core a pair, {1000 / cost:.0f} pairs/s")
    needed = NUM_GPUS * given.images_per_second * cost / 1000
    print(f"{NUM_GPUS} GPUs at {given.images_per_second:.0f} images/s: {needed:.0f} cores busy")
    for cores in CORES_A_GPU:
        print(f"{cores} cores a GPU: {cores * 1000 / cost:.0f} images/s at most")


if __name__ == "__main__":
    main()
