"""What the detector's maps say: of each cell a score, a box and landmarks, in the image's pixels.

By numpy: there is little to compute, and torch's threads, once woken, go on spinning while another
runtime computes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from torch import Tensor

from simswap.faces.nms import Candidates
from simswap.models.detector import STRIDES, DetectorMaps, LevelMaps

ROLLED_PREFERENCE = 0.5  # share of the upright branch's score that outdoes it


def decode(maps: DetectorMaps, min_score: float = 0.0) -> list[Candidates]:
    """Both branches' maps -> of each image the cells that score at least min_score, in its pixels.

    Cells come rows first, finest stride first. The upright branch also sees many rolled heads, but
    takes them for upright ones; so the rolled branch need only be half as sure to be believed. The
    score is the surer branch's.
    """
    upright, rolled = map(_joined, maps)
    upright_scores, rolled_scores = _scores(upright), _scores(rolled)
    is_rolled = rolled_scores > ROLLED_PREFERENCE * upright_scores
    scores = np.maximum(upright_scores, rolled_scores)
    return _of_cells(upright, rolled.boxes, scores, is_rolled, min_score)


def decode_upright(levels: tuple[LevelMaps, ...], min_score: float = 0.0) -> list[Candidates]:
    """As `decode`, of the upright branch alone."""
    upright = _joined(levels)
    scores = _scores(upright)
    return _of_cells(upright, upright.boxes, scores, np.zeros_like(scores, bool), min_score)


class _Cells(NamedTuple):
    """A branch's maps of all strides in a row.

    confidence: [B, N, 2]; boxes: [B, N, 4]; landmarks: [B, N, 10], or None; places: [N, 2], column
    and row of each cell; strides: [N, 1].
    """

    confidence: np.ndarray
    boxes: np.ndarray
    landmarks: np.ndarray | None
    places: np.ndarray
    strides: np.ndarray


def _joined(levels: tuple[LevelMaps, ...]) -> _Cells:
    def values(maps: list[Tensor]) -> np.ndarray:
        # Views, as maps are channels last.
        rows = [one.detach().flatten(2).mT.cpu().numpy() for one in maps]
        return np.concatenate(rows, axis=1)

    confidence, boxes, landmarks = (list(maps) for maps in zip(*levels, strict=True))
    sizes = [tuple(one.shape[2:]) for one in boxes]
    places = [np.indices(size, np.float32)[::-1].reshape(2, -1).T for size in sizes]
    strides = np.repeat(np.float32(STRIDES), [height * width for height, width in sizes])
    return _Cells(
        values(confidence),
        values(boxes),
        None if landmarks[0] is None else values(landmarks),
        np.concatenate(places),
        strides[:, None],
    )


def _scores(cells: _Cells) -> np.ndarray:
    """[B, N]."""
    with np.errstate(over="ignore"):  # of surely no face: 1 / infinity
        return np.sqrt((1 / (1 + np.exp(-cells.confidence))).prod(axis=2))


def _of_cells(
    upright: _Cells,
    rolled_boxes: np.ndarray,
    scores: np.ndarray,
    is_rolled: np.ndarray,
    min_score: float,
) -> list[Candidates]:
    """Boxes from the branch that is believed, landmarks from the upright one; chosen cells only."""
    found = []
    for i, row in enumerate(scores):
        chosen = np.flatnonzero(row >= min_score)
        turned, cell, stride = is_rolled[i, chosen], upright.places[chosen], upright.strides[chosen]
        box = np.where(turned[:, None], rolled_boxes[i, chosen], upright.boxes[i, chosen])
        with np.errstate(over="ignore"):  # of a box that is none, which is found out by its size
            half = np.exp(box[:, 2:]) * (stride / 2)
        centre = (cell + box[:, :2]) * stride
        points = upright.landmarks[i, chosen].reshape(-1, 5, 2)
        points = (cell[:, None] + points) * stride[:, None]
        boxes = np.concatenate([centre - half, centre + half], axis=1)
        boxes, points = boxes.astype(float), points.astype(float)
        found.append(Candidates(row[chosen], boxes, points, turned, turned))
    return found
