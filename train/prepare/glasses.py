r"""Find what glasses are in the embeddings of a run's teachers, so that targets keep theirs.

    python -m train.prepare.glasses --data ../shared/data/faces --output runs/glasses.safetensors \
        --teachers teacher_a.pt,teacher_b.pt --sheet runs/glasses.png
    accelerate launch train/train.py --glasses runs/glasses.safetensors ...

Nobody has to label photos. A frame is an edge across the bridge of the nose, and along the lower
rims; the photos with the strongest and with weak edges teach a first readout, which sees glasses
that edges miss, and both together choose the photos for the final one. Look at the sheet: most
of its faces, the surest first, must wear glasses.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from simswap.files import write_whole
from simswap.media.photos import check_writable
from train.data.shards import PhotoShards, open_photos
from train.errors import TrainingError
from train.networks.glasses import GlassesDirection, fit_direction, network_names, save_directions
from train.networks.teachers import load_teacher
from train.pairing.identity_crops import crop_of, embed_crops
from train.shell import run_from_shell

logger = logging.getLogger(__name__)

MIN_PHOTOS = 500  # below, a few wearers would decide
# Rows and columns of a 112 px crop in ArcFace alignment, whose eyes are at (38, 52) and (74, 52).
BRIDGE = slice(42, 60), slice(52, 61)
LOWER_RIMS = (slice(56, 70), slice(30, 46)), (slice(56, 70), slice(66, 82))
CHEEKS = slice(40, 100), slice(25, 87)  # whose contrast edges are compared with
# Shares of the photos, surest first: measured on photos of which 7 to 8 % show glasses.
EDGES_SURE, EDGES_WEAK, WEARERS, OTHERS = 0.03, 0.5, 0.05, 0.3
SHEET_COLUMNS, SHEET_ROWS = 24, 8


@dataclass(frozen=True, eq=False)
class Photos:
    """crops: [N, 112, 112, 3] uint8 RGB, ArcFace alignment; people: [N] whose they are."""

    crops: np.ndarray
    people: np.ndarray


def read_photos(shards: PhotoShards, every: int) -> Photos:
    """Each `every`-th photo with landmarks. Raises TrainingError if those are too few."""
    crops, people = [], []
    for number in range(shards.num_shards):
        for row in islice(shards.rows(number), None, None, every):
            if (crop := crop_of(row)) is not None:
                crops.append(crop)
                people.append(row.identity or row.name)
    if len(crops) < MIN_PHOTOS:
        raise TrainingError(
            f"{len(crops)} photos have landmarks; glasses are told from {MIN_PHOTOS} on. "
            f"{'Lower --every, or add photos.' if every > 1 else 'Add photos.'}"
        )
    return Photos(np.stack(crops), np.array(people))


def frame_edges(crops: np.ndarray) -> np.ndarray:
    """How strong a frame's horizontal edges are, against the face's contrast: [N, ...] -> [N]."""
    return np.array([_frame_edge(crop) for crop in crops])


def _frame_edge(crop: np.ndarray) -> float:
    grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32), (0, 0), 1)
    slope = np.zeros_like(grey)
    slope[1:-1] = grey[2:] - grey[:-2]
    rims = sum(np.ptp(slope[place].mean(1)) for place in LOWER_RIMS)
    return float((np.ptp(slope[BRIDGE].mean(1)) + rims / 4) / (grey[CHEEKS].std() + 5))


def find_wearers(edges: np.ndarray, embeddings: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
    """Photos that surely show glasses, and that surely show none: places, the surest first.

    edges: [N]; embeddings: of each network, [N, E], unit norm.
    """
    sure, weak = _both_ends(edges, EDGES_SURE, EDGES_WEAK)
    first = [_fit(vectors, sure, weak) for vectors in embeddings]
    readings = [(v @ found.readout).numpy() for v, found in zip(embeddings, first, strict=True)]
    # Beyond its 99th percentile an edge is no surer: dark frames would outweigh every network.
    clipped = np.minimum(edges, np.percentile(edges, 99))
    score = standardised(clipped) + np.mean([standardised(r) for r in readings], axis=0)
    return _both_ends(score, WEARERS, OTHERS)


def told_apart(
    embeddings: Tensor, people: np.ndarray, wearers: np.ndarray, others: np.ndarray
) -> float:
    """Chance in [0, 1] that a wearer's reading is above another's, for people not fitted on.

    Raises TrainingError if one person alone wears glasses: that would be the person's direction.
    """
    chosen = people[np.concatenate([wearers, others])]
    _, first, person = np.unique(chosen, return_index=True, return_inverse=True)
    is_fitted = (np.argsort(np.argsort(first)) % 2 == 0)[person]  # wearers first: half of each
    fitted = is_fitted[: len(wearers)], is_fitted[len(wearers) :]
    if fitted[0].all():
        raise TrainingError(
            "All photos taken for wearers' show one person. Use photos of more people with glasses."
        )
    found = _fit(embeddings, wearers[fitted[0]], others[fitted[1]])
    readings = (embeddings @ found.readout).numpy()
    above, below = readings[wearers[~fitted[0]]], readings[others[~fitted[1]]]
    return float((above[:, None] > below).mean())


def _fit(embeddings: Tensor, wearers: np.ndarray, others: np.ndarray) -> GlassesDirection:
    chosen = torch.from_numpy(np.concatenate([wearers, others]))
    return fit_direction(embeddings[chosen], torch.arange(len(chosen)) < len(wearers))


def _both_ends(score: np.ndarray, top: float, passed_over: float) -> tuple[np.ndarray, np.ndarray]:
    """Places of the highest share `top`, and of all below the highest share `passed_over`."""
    order = np.argsort(-score, kind="stable")
    return order[: int(top * len(order))], order[int(passed_over * len(order)) :]


def standardised(values: np.ndarray) -> np.ndarray:
    """With a mean of 0, and a spread of 1 where there is one."""
    return (values - values.mean()) / (values.std() or 1)


def sheet_of(crops: np.ndarray) -> np.ndarray:
    """The surest wearers' crops, evenly over all that were taken: [H, W, 3] uint8 RGB."""
    count = min(SHEET_COLUMNS * SHEET_ROWS, len(crops) // SHEET_COLUMNS * SHEET_COLUMNS)
    chosen = crops[np.linspace(0, len(crops) - 1, max(count, 1)).astype(int)]
    columns = min(SHEET_COLUMNS, len(chosen))
    return np.vstack([np.hstack(chosen[i : i + columns]) for i in range(0, len(chosen), columns)])


def write_sheet(path: Path, *groups: np.ndarray) -> None:
    """A PNG of crops of each group, one group below the other; see sheet_of."""
    picture = np.vstack(list(map(sheet_of, groups)))
    write_whole(path, cv2.imencode(".png", picture[..., ::-1])[1].tobytes(), follow=True)


def photo_arguments(about: str, every: int) -> argparse.ArgumentParser:
    """Those of a command that looks at photos, for parse_photo_arguments."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--data", required=True, help="as for train/train.py")
    parser.add_argument("--every", type=int, default=every, help="one photo in so many is seen")
    parser.add_argument("--output", type=Path, required=True, help="what is written")
    parser.add_argument("--sheet", type=Path, help="PNG of those that it was told from")
    return parser


def parse_photo_arguments(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """The arguments. Raises TrainingError or MediaError if the sheet could not be written later."""
    given = parser.parse_args(arguments)
    if given.every < 1:
        parser.error(f"--every {given.every} must be at least 1")
    if given.sheet:
        make_writable(given.sheet)
    return given


def make_writable(path: Path) -> None:
    """Make the folder of a file to come. Raises TrainingError or MediaError if it is no use."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"The folder {path.parent} cannot be made ({error.strerror}). Choose another."
        ) from error
    check_writable(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Photos, edges, embeddings, directions, file. Raises SimSwapError."""
    parser = photo_arguments(__doc__, every=4)
    parser.add_argument("--teachers", required=True, help="the run's, with commas")
    given = parse_photo_arguments(parser, arguments)
    make_writable(given.output)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    sources = given.teachers.split(",")
    names = network_names(sources)
    teachers = [load_teacher(source, device) for source in sources]
    photos = read_photos(open_photos(given.data), given.every)
    logger.info("%d photos of %d people", len(photos.crops), len(set(photos.people)))
    embeddings = [embed_crops(teacher, photos.crops, device) for teacher in teachers]
    wearers, others = find_wearers(frame_edges(photos.crops), embeddings)
    directions = {}
    for name, vectors in zip(names, embeddings, strict=True):
        directions[name] = _fit(vectors, wearers, others)
        share = told_apart(vectors, photos.people, wearers, others)
        logger.info("%s: %.1f %% told apart, of people not fitted on", name, 100 * share)
    if given.sheet:
        write_sheet(given.sheet, photos.crops[wearers])
    save_directions(directions, given.output)
    logger.info("Wrote %s", given.output)


if __name__ == "__main__":
    run_from_shell("find_glasses", main)
