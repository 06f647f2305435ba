"""Faces held steady along their tracks: landmarks that the frames around agree on.

A track goes on from one frame to the next where optical flow takes a face onto one that was found
there. So it ends at cuts, exits and whatever hides the face. What neighbours say has moved along
with the face, and as many count before as after: it blurs no motion and lags behind none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from simswap.faces.nms import overlaps
from simswap.faces.tracking import motion_of, moved
from simswap.geometry import apply, compose, invert
from simswap.types import Face

SAME_FACE = 0.4  # overlap of two boxes in one frame that makes them one face
# Of a frame's own landmarks and of those 1, 2, 3 frames away. With every third frame detected,
# three detections count.
WEIGHTS = (4.0, 3.0, 2.0, 1.0)
REACH = len(WEIGHTS) - 1  # frames to either side


@dataclass(frozen=True, eq=False)
class Link:
    """Which face of the frame before a face is, and the [2, 3] motion from there, in pixels."""

    before: int
    motion: np.ndarray


@dataclass(frozen=True, eq=False)
class Neighbour:
    """The same face in another frame of a row; motion: [2, 3], from there to here."""

    frame: int
    face: int
    motion: np.ndarray


@dataclass(frozen=True, eq=False)
class FoundFaces:
    """The faces of a frame in a row, and the link of each; None: it was not there before."""

    faces: Sequence[Face]
    links: Sequence[Link | None]


def links_between(
    before: np.ndarray, there: Sequence[Face], frame: np.ndarray, here: Sequence[Face]
) -> list[Link | None]:
    """The link of each face of a frame to one of the frame before.

    before, frame: uint8 [H, W, 3] RGB; there, here: their faces. A face is linked to one at most.
    """
    links: list[Link | None] = [None] * len(here)
    if not here:
        return links
    boxes, best = np.stack([face.box for face in here]), np.zeros(len(here))
    for number, face in enumerate(there):
        motion = motion_of(face, before, frame)
        if motion is None:
            continue
        overlap = overlaps(moved(face, motion).box, boxes)[0]
        nearest = int(overlap.argmax())
        if overlap[nearest] >= SAME_FACE and overlap[nearest] > best[nearest]:
            links[nearest], best[nearest] = Link(number, motion), overlap[nearest]
    return links


def neighbours(row: Sequence[FoundFaces], index: int, face: int, reach: int) -> Iterator[Neighbour]:
    """The same face in the frames up to `reach` away, as far as the track goes, nearest first."""
    motion, number = np.eye(2, 3), face
    for i in range(index, max(index - reach, 0), -1):
        link = row[i].links[number]
        if link is None:
            break
        motion, number = compose(link.motion, motion), link.before
        yield Neighbour(i - 1, number, motion)
    motion, number = np.eye(2, 3), face
    for i in range(index + 1, min(index + reach + 1, len(row))):
        after = [(n, link) for n, link in enumerate(row[i].links) if link and link.before == number]
        if not after:
            break
        ((number, link),) = after
        motion = compose(invert(link.motion), motion)
        yield Neighbour(i, number, motion)


def steadied(row: Sequence[FoundFaces], index: int) -> list[Face]:
    """The faces of a frame of a row with steady landmarks; boxes, scores and order are kept."""
    return [_steadied(row, index, number) for number in range(len(row[index].faces))]


def _steadied(row: Sequence[FoundFaces], index: int, number: int) -> Face:
    face = row[index].faces[number]
    total, weight = face.landmarks.astype(np.float64) * WEIGHTS[0], WEIGHTS[0]
    for one in neighbours(row, index, number, REACH):
        counts = WEIGHTS[abs(one.frame - index)]
        landmarks = row[one.frame].faces[one.face].landmarks.astype(np.float64)
        total += counts * apply(one.motion, landmarks)
        weight += counts
    return replace(face, landmarks=(total / weight).astype(np.float32))
