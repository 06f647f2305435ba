"""The embeddings of a live stream's faces, held for some frames: who is seen changes slowly."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from simswap.faces.nms import overlaps
from simswap.types import Face

SAME_FACE = 0.5  # overlap of a box with the one in the frame before that makes them one face

Embed = Callable[[np.ndarray, Sequence[Face]], np.ndarray]


class HeldEmbeddings:
    """Embeddings of faces in frames that come one by one. Not to be shared between streams.

    They are taken anew in every n-th frame, and as soon as a face is not where one was before.
    """

    def __init__(self, embed: Embed, every: int) -> None:
        """Begin a stream; `every` is at least 1."""
        self._embed, self._every = embed, every
        self._boxes = np.empty((0, 4))
        self._embeddings = np.empty((0, 0))
        self._age = 0  # frames since they were taken

    def of(self, frame: np.ndarray, faces: Sequence[Face]) -> np.ndarray:
        """Embeddings of at least one face of the next frame: [N, 512] float32, unit norm."""
        boxes = np.stack([face.box for face in faces])
        self._age += 1
        before = self._same_faces(boxes)
        if self._age < self._every and before is not None:
            self._embeddings = self._embeddings[before]
        else:
            self._embeddings, self._age = self._embed(frame, faces), 0
        self._boxes = boxes
        return self._embeddings

    def _same_faces(self, boxes: np.ndarray) -> np.ndarray | None:
        """Which face of the frame before each box shows; None if one was not there."""
        if not len(self._boxes):
            return None
        overlap = np.stack([overlaps(box, self._boxes)[0] for box in boxes])
        nearest = overlap.argmax(axis=1)
        is_there = overlap.max(axis=1) >= SAME_FACE
        return nearest if is_there.all() and len(set(nearest)) == len(nearest) else None
