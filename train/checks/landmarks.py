"""Is the landmark network fit to judge expressions? Its points against the five reference ones.

    python -m train.checks.landmarks --data ../shared/data

Compared are the middle of each eye, the tip of the nose and the corners of the mouth, in % of the
inter-eye distance, once as they are and once with shift, size and roll taken out. "Repeats" is how
far the points that judge expressions move when the crop is moved, enlarged and turned a little: the
floor below which an expression error says nothing. The references are a detector's answers and have
errors of their own; `--second-reference`, an SCRFD detector with landmarks, shows how large.
Measured on 143 LFW photos for PFLD, RGB in [0, 1], upright square: 11.8 % from photos.csv, whose
points YuNet made, but 6.2 % from SCRFD's (3.3 % once fitted), from which YuNet's are 9.7 % away.
Points repeat within 1.0 %. So the network is fit, and the references are the weaker part.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from simswap import SimSwapError, geometry
from simswap.faces.scrfd import Scrfd
from simswap.media.photos import read_photo
from train.checks.scrfd import nearest_landmarks
from train.errors import TrainingError
from train.evaluate.judge_files import LANDMARK_FILE, models_folder
from train.evaluate.judges import (
    LANDMARK_CROP,
    LANDMARK_SQUARE,
    UNIT_RGB,
    LandmarkJudge,
    PixelConvention,
    upright_square,
)
from train.evaluate.measurements import LEFT_EYE, RIGHT_EYE, expression_error
from train.evaluate.pairs import (
    PHOTOS_FILE,
    PHOTOS_FOLDER,
    find_evaluation_folder,
    read_landmarks,
)

NOSE_TIP, MOUTH_LEFT, MOUTH_RIGHT = 30, 48, 54  # of the 68 points in iBUG's order
# How the crop is disturbed to see whether the points stay: px of the crop, factor, degrees.
SHIFT, ENLARGEMENT, ROLL = (2.0, -2.0), 1.05, 4.0
CONVENTIONS = {
    "RGB, 0 to 1": UNIT_RGB,
    "BGR, 0 to 1": PixelConvention("BGR"),
    "RGB, -1 to 1": PixelConvention("RGB", (0.5,) * 3, (0.5,) * 3),
    "BGR, -1 to 1": PixelConvention("BGR", (0.5,) * 3, (0.5,) * 3),
    "RGB, ImageNet": PixelConvention("RGB", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
TABLE_HEAD = (
    "| landmarks of | against | photos | distance (%) | less shift, size, roll (%) | eyes | nose | "
    "mouth | repeats (%) |\n|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class LandmarkCheck:
    """Means over photos, all in % of the reference's inter-eye distance; NaN if not measured."""

    num_photos: int
    distance: float  # of the five points
    fitted_distance: float  # after the best similarity transform onto the reference
    eyes: float  # distance of the parts
    nose: float
    mouth: float
    repeats: float  # expression error between a photo and itself, seen through another crop

    def markdown_row(self, name: str, against: str) -> str:
        """A line under TABLE_HEAD."""
        values = (self.distance, self.fitted_distance, self.eyes, self.nose, self.mouth)
        cells = [f"{value:.1f}" for value in values]
        repeats = f"{self.repeats:.2f}" if np.isfinite(self.repeats) else "–"
        return f"| {' | '.join([name, against, str(self.num_photos), *cells, repeats])} |"


def five_points(points: np.ndarray) -> np.ndarray:
    """The five landmarks [5, 2] that 68 points [68, 2] contain."""
    eyes = points[LEFT_EYE].mean(0), points[RIGHT_EYE].mean(0)
    return np.stack([*eyes, points[NOSE_TIP], points[MOUTH_LEFT], points[MOUTH_RIGHT]])


def compare_landmarks(
    found: np.ndarray, reference: np.ndarray, repeats: float = np.nan
) -> LandmarkCheck:
    """found, reference: [N, 5, 2] of the same photos, N >= 1; repeats: carried along."""
    eyes = np.linalg.norm(reference[:, 1] - reference[:, 0], axis=1)[:, None]
    distances = 100 * np.linalg.norm(found - reference, axis=2) / eyes  # [N, 5]
    fitted = np.stack(
        [
            geometry.apply(geometry.similarity_transform(points, target), points)
            for points, target in zip(found, reference, strict=True)
        ]
    )
    return LandmarkCheck(
        num_photos=len(found),
        distance=float(distances.mean()),
        fitted_distance=float((100 * np.linalg.norm(fitted - reference, axis=2) / eyes).mean()),
        eyes=float(distances[:, :2].mean()),
        nose=float(distances[:, 2].mean()),
        mouth=float(distances[:, 3:].mean()),
        repeats=repeats,
    )


def check_landmarks(
    judge: LandmarkJudge, photos: Sequence[np.ndarray], reference: np.ndarray
) -> tuple[LandmarkCheck, np.ndarray]:
    """The check against the landmarks that cut the crops out, and the points found.

    photos: N of [H, W, 3] uint8 RGB; reference: [N, 5, 2] -> the check, [N, 5, 2].
    """
    found, repeats = [], []
    for photo, landmarks in zip(photos, reference, strict=True):
        square = upright_square(landmarks, LANDMARK_SQUARE, LANDMARK_CROP)
        centre = ((LANDMARK_CROP - 1) / 2,) * 2
        disturbance = cv2.getRotationMatrix2D(centre, ROLL, ENLARGEMENT)
        disturbance[:, 2] += SHIFT
        points = judge.points_in(photo, square)
        again = judge.points_in(photo, geometry.compose(square, disturbance))
        found.append(five_points(points))
        repeats.append(expression_error(again, points))
    found = np.stack(found)
    return compare_landmarks(found, reference, float(np.mean(repeats))), found


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m train.checks.landmarks", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--data", type=Path, required=True, help="as for train.evaluate")
    parser.add_argument("--landmark-judge", type=Path, help=f"default: DATA/models/{LANDMARK_FILE}")
    parser.add_argument("--second-reference", type=Path, help="SCRFD with landmarks, ONNX")
    parser.add_argument("--every", type=int, default=6, help="only each n-th photo (default 6)")
    arguments = parser.parse_args(argv)
    try:
        for line in _report(arguments):
            print(line, flush=True)
    except SimSwapError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    return 0


def _report(arguments: argparse.Namespace) -> Iterator[str]:
    folder = find_evaluation_folder(arguments.data)
    path = arguments.landmark_judge or models_folder(arguments.data, folder) / LANDMARK_FILE
    if not path.is_file():
        raise TrainingError(f"There is no landmark judge at {path}. Name one: --landmark-judge.")
    chosen = list(read_landmarks(folder).items())[:: max(arguments.every, 1)]
    if not chosen:
        raise TrainingError(f"{folder / PHOTOS_FILE} lists no photo to check the landmarks on.")
    photos = [read_photo(folder / PHOTOS_FOLDER / name).image for name, _ in chosen]
    reference = np.stack([landmarks for _, landmarks in chosen])
    yield f"{path.name} on photos of {folder}\n\n{TABLE_HEAD}"
    found = {}
    for name, convention in CONVENTIONS.items():
        check, found[name] = check_landmarks(LandmarkJudge(path, convention), photos, reference)
        yield check.markdown_row(name, "photos.csv")
    if arguments.second_reference:
        scrfd = Scrfd(arguments.second_reference, torch.get_num_threads())
        seen = [
            nearest_landmarks(scrfd, photo, landmarks)
            for photo, landmarks in zip(photos, reference, strict=True)
        ]
        known = [i for i, landmarks in enumerate(seen) if landmarks is not None]
        if not known:
            raise TrainingError(f"{arguments.second_reference} found none of the faces.")
        second = np.stack([seen[i] for i in known])
        for name, points in {**found, "photos.csv": reference}.items():
            check = compare_landmarks(points[known], second)
            yield check.markdown_row(name, arguments.second_reference.name)


if __name__ == "__main__":
    sys.exit(main())
