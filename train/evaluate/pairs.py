"""Pairs of photos to evaluate swaps on: photos/, photos.csv and pairs.csv of an evaluation folder.

photos.csv: file, x0, y0, ... x4, y4 (five landmarks in pixels of that photo: left and right eye,
nose, left and right mouth corner). pairs.csv: source_identity, source_file, target_file.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from simswap.media.photos import read_photo
from train.errors import TrainingError

PHOTOS_FOLDER, PHOTOS_FILE, PAIRS_FILE = "photos", "photos.csv", "pairs.csv"
LANDMARK_COLUMNS = [f"{axis}{point}" for point in range(5) for axis in "xy"]
PAIR_COLUMNS = ["source_identity", "source_file", "target_file"]


@dataclass(frozen=True, eq=False)
class Pair:
    """A source and a target photo; read when they are needed, so that many pairs stay small.

    number: place in the whole list, which survives sharding; landmarks: [5, 2] float64 (x, y) in
    pixels of the photo.
    """

    number: int
    source_identity: str
    source_file: Path
    source_landmarks: np.ndarray
    target_file: Path
    target_landmarks: np.ndarray

    def read_source(self) -> np.ndarray:
        """[H, W, 3] uint8 RGB. Raises MediaError."""
        return read_photo(self.source_file).image

    def read_target(self) -> np.ndarray:
        """[H, W, 3] uint8 RGB. Raises MediaError."""
        return read_photo(self.target_file).image


def find_evaluation_folder(data: Path) -> Path:
    """`data` itself where it holds photos.csv, else its subfolder eval.

    Raises TrainingError if neither holds one.
    """
    for folder in (data, data / "eval"):
        if (folder / PHOTOS_FILE).is_file():
            return folder
    raise TrainingError(
        f"No {PHOTOS_FILE} in {data} or {data / 'eval'}. Point --data at a folder with "
        f"{PHOTOS_FILE}, {PAIRS_FILE} and {PHOTOS_FOLDER}/, or at the folder above eval/."
    )


def load_pairs(
    folder: Path, pairs_file: Path | None = None, limit: int | None = None
) -> list[Pair]:
    """The pairs of an evaluation folder, in the file's order.

    Args:
        folder: holds photos.csv and photos/.
        pairs_file: None means pairs.csv in `folder`.
        limit: only the first so many; None means all.

    Raises:
        TrainingError: a file, a column, a photo or every pair is missing, or a number is not one.
    """
    landmarks = read_landmarks(folder)
    path = pairs_file or folder / PAIRS_FILE
    rows = read_table(path, PAIR_COLUMNS)[:limit]
    if not rows:
        raise TrainingError(f"{path} holds no pair to evaluate. Give it at least one row.")
    return [_pair(number, row, folder, landmarks, path) for number, row in enumerate(rows)]


def read_landmarks(folder: Path) -> dict[str, np.ndarray]:
    """Photo file name -> landmarks [5, 2], from photos.csv. Raises TrainingError."""
    path = folder / PHOTOS_FILE
    landmarks = {}
    for line, row in enumerate(read_table(path, ["file", *LANDMARK_COLUMNS]), start=2):
        try:
            points = np.array([float(row[column]) for column in LANDMARK_COLUMNS]).reshape(5, 2)
        except (TypeError, ValueError) as error:  # None where a line is too short
            raise TrainingError(
                f"{path}, line {line}: a landmark is not a number. Columns {LANDMARK_COLUMNS[0]} "
                f"to {LANDMARK_COLUMNS[-1]} hold pixels."
            ) from error
        if not np.isfinite(points).all() or np.ptp(points, axis=0).max() < 1:
            raise TrainingError(
                f"{path}, line {line}: the five landmarks of {row['file']} coincide or are not "
                "finite. Correct or remove the line."
            )
        landmarks[row["file"]] = points
    return landmarks


def read_table(path: Path, columns: list[str]) -> list[dict[str, str]]:
    """The rows of a CSV. Raises TrainingError if it cannot be read, or lacks one of `columns`."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or [])]
            if missing:
                raise TrainingError(
                    f"{path} lacks the columns {', '.join(missing)}; it has "
                    f"{', '.join(reader.fieldnames or ['none'])}."
                )
            return list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainingError(f"{path} cannot be read as a CSV file ({error}).") from error


def _pair(
    number: int,
    row: Mapping[str, str],
    folder: Path,
    landmarks: Mapping[str, np.ndarray],
    pairs_file: Path,
) -> Pair:
    source, target = row["source_file"], row["target_file"]
    for name in (source, target):
        if name not in landmarks:
            raise TrainingError(
                f"{pairs_file}, line {number + 2}: {name} has no landmarks in "
                f"{folder / PHOTOS_FILE}."
            )
        if not (folder / PHOTOS_FOLDER / name).is_file():
            raise TrainingError(
                f"{pairs_file}, line {number + 2}: {folder / PHOTOS_FOLDER / name} is missing."
            )
    return Pair(
        number=number,
        source_identity=row["source_identity"],
        source_file=folder / PHOTOS_FOLDER / source,
        source_landmarks=landmarks[source],
        target_file=folder / PHOTOS_FOLDER / target,
        target_landmarks=landmarks[target],
    )
