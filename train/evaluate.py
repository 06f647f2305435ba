"""Judge swaps of the evaluation pairs through the whole pipeline.

    python -m train.evaluate --model assets/models/simswap-lite-128 --data ../shared/data

The judge is a face recognition network that no loss has seen. The untouched targets ("no swap")
give the scale's lower end.
"""

from __future__ import annotations

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from simswap import FaceSwapper, NoFaceFoundError, SwapOptions
from simswap.geometry import frame_to_crop_transform, warp_to_crop
from train.data import IDENTITY_CROP, to_tensor

SHEET_SIDE = 160  # px of one picture on the contact sheet


@dataclass(frozen=True, eq=False)
class Pair:
    """A source and a target photo, [H, W, 3] uint8 RGB, with their reference landmarks [5, 2]."""

    source: np.ndarray
    source_landmarks: np.ndarray
    target: np.ndarray
    target_landmarks: np.ndarray


def load_pairs(folder: Path) -> list[Pair]:
    """The pairs of `pairs.csv`, with the landmarks of `photos.csv`."""
    landmarks = {}
    with (folder / "photos.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            points = [float(row[f"{axis}{i}"]) for i in range(5) for axis in "xy"]
            landmarks[row["file"]] = np.array(points).reshape(5, 2)
    with (folder / "pairs.csv").open(newline="") as file:
        rows = [(row["source_file"], row["target_file"]) for row in csv.DictReader(file)]
    return [
        Pair(read_photo(folder, a), landmarks[a], read_photo(folder, b), landmarks[b])
        for a, b in rows
    ]


def read_photo(folder: Path, name: str) -> np.ndarray:
    """[H, W, 3] uint8 RGB of a photo in `folder/photos`. Raises FileNotFoundError."""
    photo = cv2.imread(str(folder / "photos" / name))
    if photo is None:
        raise FileNotFoundError(f"Cannot read {folder / 'photos' / name}.")
    return np.ascontiguousarray(photo[..., ::-1])


class Judge:
    """A frozen TorchScript recognition network: [B, 3, 112, 112] RGB [0, 1] -> embeddings."""

    def __init__(self, path: Path) -> None:
        self.network = torch.jit.load(path, map_location="cpu").eval()

    @torch.inference_mode()
    def embed(self, photos: list[np.ndarray], landmarks: list[np.ndarray]) -> np.ndarray:
        """Unit-norm embeddings [N, E] of the faces at the given landmarks."""
        crops = [
            warp_to_crop(
                photo, frame_to_crop_transform(points, "arcface", IDENTITY_CROP), IDENTITY_CROP
            )
            for photo, points in zip(photos, landmarks, strict=True)
        ]
        parts = [
            torch.nn.functional.normalize(self.network(to_tensor(np.stack(part))).float(), dim=1)
            for part in (crops[start : start + 50] for start in range(0, len(crops), 50))
        ]
        return torch.cat(parts).numpy()


@dataclass(frozen=True)
class IdentityFigures:
    """How near faces are to their sources and to their targets, by the judge."""

    source_cosine: float  # mean cosine similarity to the source photo
    target_cosine: float  # mean cosine similarity to the target photo
    nearer_to_source: float  # share of faces
    retrieval: float  # share of faces whose nearest source photo of all is their own

    def row(self, name: str) -> str:
        """A line of the Markdown table."""
        return (
            f"| {name} | {self.source_cosine:.3f} | {self.target_cosine:.3f} | "
            f"{self.nearer_to_source:.1%} | {self.retrieval:.1%} |"
        )


def identity_figures(
    faces: np.ndarray, sources: np.ndarray, targets: np.ndarray
) -> IdentityFigures:
    """faces, sources, targets: [N, E] unit-norm embeddings of the same pairs."""
    to_source, to_target = (faces * sources).sum(1), (faces * targets).sum(1)
    nearest = (faces @ sources.T).argmax(1)
    return IdentityFigures(
        float(to_source.mean()),
        float(to_target.mean()),
        float((to_source > to_target).mean()),
        float((nearest == np.arange(len(faces))).mean()),
    )


def swap_pairs(swapper: FaceSwapper, pairs: list[Pair]) -> tuple[list[np.ndarray], int]:
    """The swapped targets; where no face is found the target itself. Also how many those are."""
    swapped, num_missed = [], 0
    for number, pair in enumerate(pairs):
        try:
            identity = swapper.identity_of(pair.source)
            swapped.append(swapper.swap_image(pair.target, identity, SwapOptions()).image)
        except NoFaceFoundError:
            swapped.append(pair.target)
            num_missed += 1
        if (number + 1) % 50 == 0:
            print(f"{number + 1} of {len(pairs)} pairs swapped", file=sys.stderr)
    return swapped, num_missed


def write_contact_sheet(path: Path, pairs: list[Pair], swapped: list[np.ndarray]) -> None:
    """PNG with source, target and swap of each pair side by side, four pairs in a row."""
    tiles = []
    for pair, image in zip(pairs, swapped, strict=True):
        region = [
            _face_tile(pair.source, pair.source_landmarks),
            _face_tile(pair.target, pair.target_landmarks),
            _face_tile(image, pair.target_landmarks),
        ]
        tiles.append(np.concatenate(region, axis=1))
    tiles += [np.full_like(tiles[0], 255)] * (-len(tiles) % 4)
    rows = [np.concatenate(tiles[i : i + 4], axis=1) for i in range(0, len(tiles), 4)]
    cv2.imwrite(str(path), np.ascontiguousarray(np.concatenate(rows)[..., ::-1]))


def _face_tile(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """An upright view with some surroundings, so that the mask's border can be judged."""
    transform = frame_to_crop_transform(landmarks, "ffhq", SHEET_SIDE)
    return warp_to_crop(photo, transform, SHEET_SIDE)


def main() -> None:
    """Print the table; write the contact sheet if asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default=None, help="bundle (default: the bundled model)")
    parser.add_argument("--data", type=Path, required=True, help="folder with eval/ and models/")
    parser.add_argument("--judge", type=Path, help="default: DATA/models/judge_mobilefacenet_y1.pt")
    parser.add_argument("--limit", type=int, default=None, help="only the first N pairs")
    parser.add_argument("--contact-sheet", type=Path, help="PNG of the first 24 pairs")
    arguments = parser.parse_args()
    judge = Judge(arguments.judge or arguments.data / "models" / "judge_mobilefacenet_y1.pt")
    pairs = load_pairs(arguments.data / "eval")[: arguments.limit]
    swapped, num_missed = swap_pairs(FaceSwapper.from_pretrained(arguments.model), pairs)

    target_landmarks = [pair.target_landmarks for pair in pairs]
    sources = judge.embed([p.source for p in pairs], [p.source_landmarks for p in pairs])
    targets = judge.embed([p.target for p in pairs], target_landmarks)
    faces = judge.embed(swapped, target_landmarks)
    print("| faces | cosine to source | to target | nearer to source | retrieval top-1 |")
    print("|---|---|---|---|---|")
    print(identity_figures(faces, sources, targets).row("swapped"))
    print(identity_figures(targets, sources, targets).row("no swap"))
    print(f"\n{len(pairs)} pairs, {num_missed} without a face found.")
    if arguments.contact_sheet:
        write_contact_sheet(arguments.contact_sheet, pairs[:24], swapped[:24])


if __name__ == "__main__":
    main()
