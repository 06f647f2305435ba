"""Is one name one person? By what the bundled model's identity network makes of the photos."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simswap import FaceSwapper
from simswap.faces.looks import SAME_PERSON_COSINE
from simswap.types import Face
from train.data.rows import PhotoRow, decode_photo


def odd_photos(swapper: FaceSwapper, rows: Sequence[PhotoRow]) -> np.ndarray:
    """[N] bool: which photos of a name look like somebody else than its largest group.

    rows: those of one name, with landmarks.
    """
    if len(rows) == 1:
        return np.zeros(1, bool)
    return outside_the_largest_group(np.concatenate([_embed(swapper, row) for row in rows]))


def outside_the_largest_group(embeddings: np.ndarray) -> np.ndarray:
    """[N] bool, of embeddings [N, E] with unit norm.

    A group is joined by chains of photos that look alike: from a profile by a half profile to a
    front. Of two equal groups the one with the first photo counts as the larger.
    """
    count = len(embeddings)
    alike = embeddings @ embeddings.T >= SAME_PERSON_COSINE
    np.fill_diagonal(alike, True)
    groups, before = np.arange(count), None
    while before is None or (groups != before).any():
        before, groups = groups, np.where(alike, groups, count).min(1)
    return groups != np.bincount(groups).argmax()


def _embed(swapper: FaceSwapper, row: PhotoRow) -> np.ndarray:
    points = row.landmarks
    face = Face(np.concatenate([points.min(0), points.max(0)]), points, 1.0)
    return swapper.embed(decode_photo(row), [face])
