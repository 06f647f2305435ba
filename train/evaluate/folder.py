"""Make an evaluation folder of photos that training does not see.

    python -m train.evaluate.folder --data held_out/ --output eval --pairs 300

DATA is any source of `train.py --data`, with landmarks and identities. `train.prepare` puts all
photos of a person into one shard, so a shard that is moved away holds people whom training misses.
"""

from __future__ import annotations

import argparse
import csv
import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from train.data.rows import PhotoRow, decode_photo
from train.data.shards import open_photos
from train.errors import CorruptPhotoError, TrainingError
from train.evaluate.pairs import LANDMARK_COLUMNS, PAIRS_FILE, PHOTOS_FILE, PHOTOS_FOLDER
from train.shell import run_from_shell

logger = logging.getLogger(__name__)

DRAWS = 10  # of each pair, at most: a photo may be broken


def make_folder(rows: Sequence[PhotoRow], output: Path, num_pairs: int, seed: int = 0) -> int:
    """Write photos/, photos.csv and pairs.csv of pairs of two people each; how many photos.

    rows: without landmarks or identity, or with a broken photo, they are passed over.
    Raises TrainingError for fewer than two people, and for a folder that is not empty.
    """
    usable = [row for row in rows if row.landmarks is not None and row.identity]
    by_person: dict[str, list[PhotoRow]] = {}
    for row in usable:
        by_person.setdefault(row.identity, []).append(row)
    if len(by_person) < 2:
        raise TrainingError(
            f"{len(usable)} of {len(rows)} photos have landmarks and an identity, of "
            f"{len(by_person)} people; pairs need two. Run `python -m train.prepare` first."
        )
    check_is_new(output)
    (output / PHOTOS_FOLDER).mkdir(parents=True)
    random, names = np.random.default_rng(seed), sorted(by_person)
    photos: dict[str, list[object]] = {}  # by where a row stands, its line of photos.csv
    pairs: list[list[object]] = []
    for _ in range(DRAWS * num_pairs):
        people = random.choice(len(names), 2, replace=False)
        drawn = [by_person[names[person]] for person in people]
        both = [of_person[int(random.integers(len(of_person)))] for of_person in drawn]
        if all(_is_written(row, output, photos) for row in both):
            pairs.append([cell for row in both for cell in photos[row.name][:2]])
        if len(pairs) == num_pairs:
            break
    columns = ["source_identity", "source_file", "target_identity", "target_file"]
    _write(output / PHOTOS_FILE, ["identity", "file", *LANDMARK_COLUMNS], list(photos.values()))
    _write(output / PAIRS_FILE, columns, pairs)
    return len(photos)


def check_is_new(output: Path) -> None:
    """Raise TrainingError if an evaluation folder cannot be made here."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise TrainingError(f"{output} is there already. Remove it, or name another folder.")


def _is_written(row: PhotoRow, output: Path, photos: dict[str, list[object]]) -> bool:
    """Put a photo into the folder, upright and without loss, unless it is there already."""
    if row.name in photos:
        return True
    try:
        photo = decode_photo(row)
    except CorruptPhotoError as error:
        logger.warning("A photo is skipped: %s", error)
        return False
    name = f"{len(photos):05}.png"
    cv2.imwrite(str(output / PHOTOS_FOLDER / name), np.ascontiguousarray(photo[..., ::-1]))
    photos[row.name] = [row.identity, name, *np.round(row.landmarks, 2).flatten().tolist()]
    return True


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def main(arguments: Sequence[str] | None = None) -> None:
    """Read, draw pairs, write."""
    parser = argparse.ArgumentParser(prog="python -m train.evaluate.folder")
    parser.add_argument("--data", required=True, help="photos with landmarks and identities")
    parser.add_argument("--output", type=Path, required=True, help="a new folder")
    parser.add_argument("--pairs", type=int, default=300, help="how many; default 300")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    chosen = parser.parse_args(arguments)
    if chosen.pairs < 1:
        raise TrainingError(f"--pairs {chosen.pairs} must be at least 1.")
    shards = open_photos(chosen.data)
    rows = [row for number in range(shards.num_shards) for row in shards.rows(number)]
    count = make_folder(rows, chosen.output, chosen.pairs, chosen.seed)
    logger.info("%d pairs of %d photos in %s", chosen.pairs, count, chosen.output)


if __name__ == "__main__":
    run_from_shell("train.evaluate.folder", main)
