"""How many ordinary pictures the demo's filter refuses, and how long one takes.

    python tests/measure/nsfw_refusals.py PHOTOS_OR_PARQUET... --most 500

Takes folders of photos and parquet files of the trainer's form. Give it only pictures that should
be taken: it prints the share of each that is refused, and the highest score.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from simswap.demo.services import nsfw

KINDS = {".jpg", ".jpeg", ".png", ".webp"}


def pictures(path: Path) -> Iterator[np.ndarray]:
    """The photos of a folder, or of a parquet file: [H, W, 3] uint8 RGB."""
    if path.is_dir():
        files = (each for each in sorted(path.iterdir()) if each.suffix.lower() in KINDS)
    else:
        table = pq.read_table(path, columns=["image"])
        files = (io.BytesIO(each["bytes"]) for each in table.column("image").to_pylist())
    for file in files:
        with Image.open(file) as image:
            yield np.array(image.convert("RGB"))


def main() -> None:
    """Score every picture and print a line for each path."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--most", type=int, help="of each, the first so many")
    given = parser.parse_args()
    scores: list[float] = []
    started = time.process_time()
    for path in given.paths:
        scored = [nsfw.score(image) for image in islice(pictures(path), given.most)]
        scores += scored
        refused = sum(score >= nsfw.LIMIT for score in scored)
        highest = ", ".join(f"{score:.2f}" for score in sorted(scored)[-3:])
        print(f"{path.name}: {refused} of {len(scored)} refused; highest {highest}", flush=True)
    refused = sum(score >= nsfw.LIMIT for score in scores)
    each = 1000 * (time.process_time() - started) / max(len(scores), 1)
    print(f"In all: {refused} of {len(scores)} refused, {each:.0f} ms of processor time each")


if __name__ == "__main__":
    main()
