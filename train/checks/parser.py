r"""How well does the face parser tell faces from what covers them? F1 of each class.

    python -m train.checks.parser --data ../shared/data

On the photos held out of its training (see train.distill.parsed_photos): as they are, and, for
"occluder", with one thing drawn before each face. Drawn things are easier than real ones: look at
pictures, too.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from simswap.models.parser import CLASSES, INPUT_SIZE, FaceParser, ParserConfig
from simswap.runtime.pixels import network_input
from simswap.weights.bundle import load_bundle
from simswap.weights.weight_files import load_tensors
from train.distill.parsed_photos import IGNORED, load_parsed_photos
from train.errors import TrainingError
from train.shell import run_from_shell

logger = logging.getLogger(__name__)

FACE = (1, 2, 3, 4)  # skin, eyes, nose, mouth: what a swap replaces


@torch.inference_mode()
def parse(parser: FaceParser, crop: np.ndarray) -> np.ndarray:
    """The class of each pixel of a crop: [S, S, 3] uint8 RGB -> [S, S] uint8."""
    shares = parser(network_input(torch.from_numpy(crop[None])))[0].permute(1, 2, 0).numpy()
    fine = cv2.resize(shares, (INPUT_SIZE, INPUT_SIZE), interpolation=cv2.INTER_LINEAR)
    return fine.argmax(axis=-1).astype(np.uint8)


def f1(found: np.ndarray, truth: np.ndarray, classes: Sequence[int]) -> float:
    """Of the pixels of some classes, over all photos; NaN if there are none.

    found, truth: [N, S, S] uint8; pixels of `truth` that are IGNORED do not count.
    """
    known = truth != IGNORED
    ours, theirs = np.isin(found, classes) & known, np.isin(truth, classes)
    total = ours.sum() + theirs.sum()
    return float(2 * (ours & theirs).sum() / total) if total else float("nan")


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures. Raises SimSwapError."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", help="bundle folder or Hub repo id (default: the bundled one)")
    options.add_argument("--weights", type=Path, help="a parser's safetensors file instead")
    options.add_argument(
        "--data", type=Path, required=True, help="folder with masks/parsing.parquet"
    )
    given = options.parse_args(arguments)
    if given.weights:
        parser = FaceParser(ParserConfig())
        parser.load_state_dict(load_tensors(given.weights))
    else:
        parser = load_bundle(given.model).parser
    if parser is None:
        raise TrainingError(f"{given.model} has no face parser.")
    parser.eval()
    photos = load_parsed_photos(given.data, held_out=True)
    crops, truth = map(np.stack, zip(*map(photos.plain, range(len(photos))), strict=True))
    found = np.stack([parse(parser, crop) for crop in crops])
    logger.info("%d held-out photos", len(photos))
    for number, name in enumerate(CLASSES[:-1]):
        logger.info("%s: F1 %.3f", name, f1(found, truth, [number]))
    logger.info("face (skin, eyes, nose, mouth): F1 %.3f", f1(found, truth, FACE))
    covered = [photos.occluded(place, seed=place) for place in range(len(photos))]
    found = np.stack([parse(parser, crop) for crop, *_ in covered])
    truth = np.stack([labels for _, labels, *_ in covered])
    logger.info("with one thing before each face:")
    for number, name in list(enumerate(CLASSES))[-3:]:
        logger.info("%s: F1 %.3f", name, f1(found, truth, [number]))


if __name__ == "__main__":
    run_from_shell("check_parser", main)
