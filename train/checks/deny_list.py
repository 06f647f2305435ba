r"""How sure is the operator's deny list? Measured through the whole pipeline, detector included.

    python -m train.checks.deny_list --data ../shared/data

Every photo of an evaluation folder is taken as a source, and every other one as a listed reference:
`recognised` is the share of pairs of one person that a threshold refuses, `refused by mistake` that
of pairs of two people, for one listed photo. The list's own threshold is marked.
"""

from __future__ import annotations

import argparse
import csv
import logging
from pathlib import Path

import numpy as np

from simswap import FaceSwapper, NoFaceFoundError
from simswap.deny_list import SAME_FACE_COSINE
from simswap.media.photos import read_photo
from train.evaluate.pairs import PHOTOS_FILE, PHOTOS_FOLDER, find_evaluation_folder

logger = logging.getLogger(__name__)

THRESHOLDS = (0.25, 0.3, 0.35, 0.4, 0.45)


def embed_photos(
    swapper: FaceSwapper, folder: Path, limit: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings [N, 512] of a folder's photos and whose they are [N]; photos without a face less.

    limit: only the first so many photos. Raises MediaError if one cannot be read.
    """
    embeddings, people = [], []
    with (folder / PHOTOS_FILE).open(newline="", encoding="utf-8") as table:
        rows = list(csv.DictReader(table))[:limit]
    for row in rows:
        photo = read_photo(folder / PHOTOS_FOLDER / row["file"]).image
        try:
            embeddings.append(swapper.identity_of(photo).embedding)
            people.append(row["identity"])
        except NoFaceFoundError:
            logger.info("One photo shows no face: left out.")
    return np.stack(embeddings), np.array(people)


def rates(embeddings: np.ndarray, people: np.ndarray, threshold: float) -> tuple[float, float]:
    """Shares in [0, 1] of same-person and of two-people pairs whose cosine reaches a threshold."""
    first, second = np.triu_indices(len(embeddings), 1)
    cosines = (embeddings @ embeddings.T)[first, second]
    is_same = people[first] == people[second]
    is_refused = cosines >= threshold
    return float(is_refused[is_same].mean()), float(is_refused[~is_same].mean())


def main() -> None:
    """Print both rates for some thresholds."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a model folder (default: the bundled model)")
    parser.add_argument("--data", type=Path, required=True, help="an evaluation folder, or its own")
    arguments = parser.parse_args()
    folder = find_evaluation_folder(arguments.data)
    swapper = FaceSwapper.from_pretrained(arguments.model)
    embeddings, people = embed_photos(swapper, folder)
    logger.info("%d photos of %d people", len(people), len(set(people)))
    for threshold in sorted({*THRESHOLDS, SAME_FACE_COSINE}):
        recognised, mistaken = rates(embeddings, people, threshold)
        logger.info(
            "cosine >= %.2f: recognised %.1f %%, refused by mistake %.3f %%%s",
            threshold,
            100 * recognised,
            100 * mistaken,
            "  <- the list's" if threshold == SAME_FACE_COSINE else "",
        )


if __name__ == "__main__":
    main()
