"""Candidates of one frame before they are faces: selecting, moving, and suppressing doubles."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from simswap.geometry import apply
from simswap.types import Face

MAX_OVERLAP = 0.3  # intersection over union above which the lower score is a double
MAX_COVER = 0.7  # likewise intersection over the smaller box: a part of a face
SAME_FACE = 0.5  # intersection over union above which two cells read the same face
MAX_FOUND = 256  # faces of a frame, the largest
MAX_CANDIDATES = 5000  # cells of a frame, the surest
_MAX_KEPT = 2 * MAX_FOUND  # of them, when doubles are gone: the surest, too


class Candidates(NamedTuple):
    """N possible faces of one frame.

    scores: [N] in [0, 1]; boxes: [N, 4] xyxy; landmarks: [N, 5, 2].
    is_rolled: [N] bool, True where the rolled branch answered, and the landmarks thus are no use.
    may_be_rolled: [N] bool, True where it answered there or in a cell suppressed as a double.
    """

    scores: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray
    is_rolled: np.ndarray
    may_be_rolled: np.ndarray

    def select(self, chosen: np.ndarray) -> Candidates:
        """Those at an index or mask."""
        return Candidates(*(values[chosen] for values in self))

    def moved(self, transform: np.ndarray) -> Candidates:
        """Mapped by a [2, 3] transform; a turned box becomes the one around its turned ellipse."""
        centres = apply(transform, (self.boxes[:, :2] + self.boxes[:, 2:]) / 2)
        sides = self.boxes[:, 2:] - self.boxes[:, :2]
        halves = np.sqrt(sides**2 @ (transform[:, :2] ** 2).T) / 2
        boxes = np.concatenate([centres - halves, centres + halves], axis=1)
        return self._replace(boxes=boxes, landmarks=apply(transform, self.landmarks))

    @property
    def sides(self) -> np.ndarray:
        """[N, 2] width and height of each box."""
        return self.boxes[:, 2:] - self.boxes[:, :2]


def concatenate(parts: list[Candidates]) -> Candidates:
    """All candidates of the parts, in order."""
    return Candidates(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def to_faces(seen: Candidates, shape: tuple[int, ...]) -> list[Face]:
    """The MAX_FOUND largest, largest first.

    shape: of the frame, [H, W, ...]. Boxes end a frame's side beyond it, and landmarks half a box's
    side beyond that: what the detector says of a picture that is made for it is bounded by nothing,
    and many faces, each with landmarks all over the frame, would take very long.
    """
    size = np.array([shape[1], shape[0]] * 2)
    boxes = seen.boxes.clip(-size, 2 * size).astype(np.float32)
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    room = (high - low).clip(min=0) / 2
    landmarks = seen.landmarks.astype(np.float32).clip(low - room, high + room)
    areas = (boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(axis=1)
    largest = np.argsort(-areas, kind="stable")[:MAX_FOUND]
    return [Face(boxes[i], landmarks[i], float(seen.scores[i])) for i in largest]


def suppress_doubles(seen: Candidates) -> Candidates:
    """Keeps the best cell of each face, best face first; its neighbours steady the landmarks.

    A cell's landmarks scatter about its neighbours' by 4 % of the inter-eye distance. So the
    best cell counts half, and all that read the same face together the other half.
    """
    kept = []
    seen = seen.select(np.argsort(-seen.scores, kind="stable")[:MAX_CANDIDATES])
    left = np.arange(len(seen.scores))
    while len(left) and len(kept) < _MAX_KEPT:
        union, cover = overlaps(seen.boxes[left[0]], seen.boxes[left])
        double = (union > MAX_OVERLAP) | (cover > MAX_COVER)
        double[0] = True  # a box without area does not even overlap itself
        best = seen.select(left[:1])
        landmarks = consensus(seen.select(left[double]), union[double])
        kept.append(
            best._replace(
                landmarks=(best.landmarks + landmarks) / 2,
                may_be_rolled=seen.may_be_rolled[left[double]].any(keepdims=True),
            )
        )
        left = left[~double]
    return concatenate(kept) if kept else seen


def consensus(seen: Candidates, overlap: np.ndarray) -> np.ndarray:
    """[5, 2] mean landmarks of the cells that read the same face as the first, by score.

    overlap: [N], of each with the first.
    """
    weights = seen.scores**2 * (overlap > SAME_FACE) * (seen.is_rolled == seen.is_rolled[0])
    if not weights.any():
        return seen.landmarks[0]
    return np.average(seen.landmarks, axis=0, weights=weights)


def overlaps(box: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Intersection over union, and over the smaller box, of one box [4] with each of [N, 4]."""
    sides = np.minimum(box[2:], boxes[:, 2:]) - np.maximum(box[:2], boxes[:, :2])
    shared = sides.clip(min=0).prod(axis=1)
    areas = (boxes[:, 2:] - boxes[:, :2]).clip(min=1e-6).prod(axis=1)
    area = (box[2:] - box[:2]).clip(min=1e-6).prod()
    return shared / (area + areas - shared), shared / np.minimum(area, areas)
