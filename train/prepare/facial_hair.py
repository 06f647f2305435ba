r"""Find facial hair in the embeddings of a model's identity network, so that targets keep theirs.

    python -m train.prepare.facial_hair --data ../shared/data/faces --model runs/run/bundle \
        --output runs/run/with-hair --sheet runs/hair.png

Nobody has to label photos. Where lip and chin are darker than the cheeks may be a beard, or a
shadow; what many such photos have in common, and others of people who are most alike do not, is
the beard. Look at the sheet: all of its upper half must have one, and nobody in its lower half.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import torch

from simswap.models.facial_hair import FacialHair, FacialHairConfig
from simswap.weights.bundle import CARD_FILE, find_bundle, load_bundle
from train.data.shards import open_photos
from train.errors import TrainingError
from train.pairing.identity_crops import embed_crops
from train.prepare.glasses import (
    parse_photo_arguments,
    photo_arguments,
    read_photos,
    standardised,
    write_sheet,
)
from train.publish.bundle import write_bundle
from train.shell import run_from_shell

logger = logging.getLogger(__name__)

# Rows and columns of a 112 px crop in ArcFace alignment, whose mouth is at (56, 92).
LIP, CHIN = (slice(82, 88), slice(47, 66)), (slice(105, 111), slice(47, 66))
CHEEKS = (slice(68, 76), slice(33, 44)), (slice(68, 76), slice(68, 79))
MOST_PHOTOS = 8  # of one person, whose face would else decide
BEARDED, BARE = 0.05, 0.6  # shares of all photos: surely with, and surely without
NEIGHBOURS = 4  # bare faces that each bearded one is compared with
ROUNDS = 5
RIDGE = 0.1  # of the mean variance, added to each number's: so few photos suffice
# Of the way from the middle reading of bare faces to that of bearded ones.
SURELY_BARE, SURELY_BEARDED = 0.5, 0.9


def darkness(crops: np.ndarray) -> np.ndarray:
    """How much darker lip and chin are than the cheeks: [N, 112, 112, 3] uint8 RGB -> [N]."""
    found = []
    for crop in crops:
        grey = cv2.GaussianBlur(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY), (0, 0), 1.2)
        cheeks = np.mean([grey[place].mean() for place in CHEEKS])
        parts = np.log((cheeks + 8) / (np.array([grey[LIP].mean(), grey[CHIN].mean()]) + 8))
        found.append(float(parts @ (0.6, 0.4)))
    return np.array(found)


def few_of_each(people: np.ndarray, seed: int = 1) -> np.ndarray:
    """Places of at most MOST_PHOTOS photos of each person; people: [N]."""
    order = np.random.default_rng(seed).permutation(len(people))
    grouped = order[np.argsort(people[order], kind="stable")]
    _, starts, counts = np.unique(people[grouped], return_index=True, return_counts=True)
    rank = np.arange(len(people)) - np.repeat(starts, counts)
    return np.sort(grouped[rank < MOST_PHOTOS])


def find_facial_hair(
    embeddings: np.ndarray, darkness: np.ndarray
) -> tuple[FacialHair, np.ndarray, np.ndarray]:
    """The direction, and the photos that it was told from: with and without, the surest first.

    embeddings: [N, E] float32 unit norm; darkness: [N]. Each bearded face is compared with bare
    ones that are most alike in all else, or men would be told from women.
    """
    count, size = embeddings.shape
    covariance = np.cov(embeddings.T)
    covariance += RIDGE * covariance.diagonal().mean() * np.eye(size)
    seen = standardised(np.clip(darkness, *np.percentile(darkness, [1, 99])))
    score, rest = seen, embeddings
    for _ in range(ROUNDS):
        order = np.argsort(-score, kind="stable")
        with_hair, without = order[: int(BEARDED * count)], order[int((1 - BARE) * count) :]
        alike = rest[with_hair] @ rest[without].T
        nearest = without[np.argpartition(-alike, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]]
        mean = embeddings[with_hair].mean(0)
        direction = mean - embeddings[nearest].mean((0, 1))
        others = embeddings[np.unique(nearest)].mean(0) + embeddings[without].mean(0)
        readout = np.linalg.solve(covariance, mean - others / 2)
        readout /= readout @ direction
        readings = embeddings @ readout
        score = standardised(readings) + seen / 2
        along = direction / np.linalg.norm(direction)
        rest = embeddings - np.outer(embeddings @ along, along)
        rest = rest / np.linalg.norm(rest, axis=1, keepdims=True)
    order = np.argsort(-readings, kind="stable")
    with_hair = order[: int(BEARDED * count)]
    middle = float(np.median(readings[without]))
    far = float(np.median(readings[with_hair])) - middle
    found = FacialHair(FacialHairConfig(size))
    for name, value in (
        ("readout", readout),
        ("direction", direction),
        ("bare", middle + SURELY_BARE * far),
        ("sure", middle + SURELY_BEARDED * far),
    ):
        getattr(found, name).copy_(torch.as_tensor(value, dtype=torch.float32))
    return found, with_hair, order[int((1 - BARE) * count) :]


def main(arguments: Sequence[str] | None = None) -> None:
    """Photos, darkness, embeddings, direction, model. Raises SimSwapError."""
    parser = photo_arguments(__doc__, every=1)
    parser.add_argument("--model", help="bundle folder or Hub repo id (default: the bundled model)")
    given = parse_photo_arguments(parser, arguments)
    folder = find_bundle(given.model)
    bundle = load_bundle(folder)
    photos = read_photos(open_photos(given.data), given.every)
    chosen = few_of_each(photos.people)
    crops = photos.crops[chosen]
    if BEARDED * len(crops) < 2 * NEIGHBOURS:
        raise TrainingError(f"{len(crops)} photos, at most {MOST_PHOTOS} a person, are too few.")
    logger.info("%d photos of %d people", len(crops), len(set(photos.people)))
    embeddings = embed_crops(bundle.identity_network, crops).numpy()
    hair, with_hair, without = find_facial_hair(embeddings, darkness(crops))
    if given.sheet:
        write_sheet(given.sheet, crops[with_hair], crops[without])
    config = replace(bundle.config, facial_hair=hair.config)
    write_bundle(
        given.output,
        generator=bundle.generator,
        base=replace(bundle, config=config, facial_hair=hair),
        alignment=config.alignment,
        training=config.training,
        licence=config.licence,
        card=(folder / CARD_FILE).read_text(encoding="utf-8"),
        name=bundle.name,
    )
    print(f"Wrote {given.output}")


if __name__ == "__main__":
    run_from_shell("facial_hair", main)
