r"""Do targets keep their glasses, and do sources keep theirs to themselves? A judge's reading.

    python -m train.prepare.glasses --data ../shared/data/faces --output runs/judge.safetensors \
        --teachers ../shared/data/models/judge_mobilefacenet_y1.pt
    python -m train.checks.glasses --data ../shared/data --glasses runs/judge.safetensors

Of the evaluation pairs those are swapped of which the judge, along its own direction, reads glasses
on one photo and none on the other. 1: the result reads like its target, as it should; 0: like its
source. Smears count as what they look like, so look at the pictures too.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from simswap import FaceSwapper
from simswap.weights.bundle import find_bundle, read_config
from train.evaluate.judge_files import IDENTITY_FILE, models_folder, refuse_teachers, teachers_of
from train.evaluate.judges import IdentityJudge
from train.evaluate.methods import SeenPhoto, swap_method
from train.evaluate.pairs import Pair, find_evaluation_folder, load_pairs
from train.networks.glasses import load_directions
from train.shell import run_from_shell

logger = logging.getLogger(__name__)

# Readings, of which that of most photos is 0 and that of wearers 1 on average: glasses; none.
WORN, BARE = 0.6, 0.3
DIRECTIONS = ("target wears glasses, source none", "source wears glasses, target none")


def read_glasses(judge: IdentityJudge, readout: np.ndarray, pair: Pair) -> np.ndarray:
    """[2] readings of a pair's source and target. Raises MediaError."""
    photos = [pair.read_source(), pair.read_target()]
    return judge.embed(photos, [pair.source_landmarks, pair.target_landmarks]) @ readout


def mismatched(readings: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places of pairs of which only the target wears glasses, and of which only the source does.

    readings: [N, 2] of sources and targets, of any origin.
    """
    source, target = (readings - np.median(readings)).T
    return (
        np.flatnonzero((target > WORN) & (source < BARE)),
        np.flatnonzero((source > WORN) & (target < BARE)),
    )


def share_kept(source: float, target: float, result: float) -> float:
    """How far a result's reading lies on the way from its source's (0) to its target's (1)."""
    return (result - source) / (target - source)


def measure(
    swapper: FaceSwapper, judge: IdentityJudge, readout: np.ndarray, pairs: Sequence[Pair]
) -> list[np.ndarray]:
    """For each of DIRECTIONS the shares of its pairs, through the whole pipeline."""
    readings = np.array([read_glasses(judge, readout, pair) for pair in pairs])
    swap = swap_method(swapper)
    shares = []
    for places in mismatched(readings):
        found = []
        for place in places:
            pair = pairs[place]
            photos = (
                SeenPhoto(photo, swapper) for photo in (pair.read_source(), pair.read_target())
            )
            result = judge.embed([swap(*photos).image], [pair.target_landmarks])[0] @ readout
            found.append(share_kept(*readings[place], result))
        shares.append(np.array(found))
    return shares


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the mean share of both kinds of pairs. Raises SimSwapError."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="bundle folder or Hub repo id (default: the bundled model)")
    parser.add_argument(
        "--data", type=Path, required=True, help="evaluation folder, or the one above"
    )
    parser.add_argument("--judge", type=Path, help="TorchScript judge (default: in DATA/models)")
    parser.add_argument(
        "--glasses", type=Path, required=True, help="the judge's, find_glasses' file"
    )
    given = parser.parse_args(arguments)
    folder = find_evaluation_folder(given.data)
    path = given.judge or models_folder(given.data, folder) / IDENTITY_FILE
    refuse_teachers([path], teachers_of(read_config(find_bundle(given.model)).training))
    swapper = FaceSwapper.from_pretrained(given.model)
    judge = IdentityJudge(path, swapper.device)
    (found,) = load_directions(
        given.glasses, [str(path)], [judge.embedding_size], torch.device("cpu")
    )
    shares = measure(swapper, judge, found.readout.numpy(), load_pairs(folder))
    for name, of_kind in zip(DIRECTIONS, shares, strict=True):
        mean = f"{of_kind.mean():.2f} of the target's reading" if len(of_kind) else "none"
        logger.info("%s (%d pairs): %s", name, len(of_kind), mean)


if __name__ == "__main__":
    run_from_shell("evaluate_glasses", main)
