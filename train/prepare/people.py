"""Is one name one person? By what the bundled model's identity network makes of the photos."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from simswap import FaceSwapper
from simswap.faces.looks import SAME_PERSON_COSINE
from simswap.types import Face
from train.data.rows import PhotoRow, decode_photo

PAIRS_HELD = 4_000_000  # of photos that are compared at once; some names are of very many photos


def odd_photos(swapper: FaceSwapper, rows: Iterable[PhotoRow]) -> np.ndarray:
    """[N] bool: which photos of a name look like somebody else than its largest group.

    rows: those of one name, with landmarks; each is let go of before the next is taken.
    """
    return outside_the_largest_group(np.concatenate([_embed(swapper, row) for row in rows]))


def outside_the_largest_group(embeddings: np.ndarray) -> np.ndarray:
    """[N] bool, of embeddings [N, E] with unit norm.

    A group is joined by chains of photos that look alike: from a profile by a half profile to a
    front. Of two equal groups the one with the first photo counts as the larger.
    """
    count = len(embeddings)
    groups, before = np.arange(count), None
    while before is None or (groups != before).any():
        before, groups = groups, groups.copy()
        for start in range(0, count, max(PAIRS_HELD // count, 1)):
            part = slice(start, start + max(PAIRS_HELD // count, 1))
            alike = embeddings[part] @ embeddings.T >= SAME_PERSON_COSINE
            groups[part] = np.minimum(before[part], np.where(alike, before, count).min(1))
    return groups != np.bincount(groups).argmax()


def _embed(swapper: FaceSwapper, row: PhotoRow) -> np.ndarray:
    points = row.landmarks
    face = Face(np.concatenate([points.min(0), points.max(0)]), points, 1.0)
    return swapper.embed(decode_photo(row), [face])
