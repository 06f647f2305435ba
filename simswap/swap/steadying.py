"""Plans held steady along their tracks: the identity that a face gets, and what covers the face.

Both are read off crops that follow the face, so its motion is taken out already. Embeddings are
averaged. Of covers, each place takes the middle of three frames' values: what pops up or is missing
in one frame does not count, and the edge of a hand that moves stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from simswap.faces.steadying import FoundFaces, neighbours
from simswap.swap.selection import SwapPlan
from simswap.types import Identity

REACH = 2  # frames to either side
WEIGHTS = (3.0, 2.0, 1.0)  # of embeddings 0, 1, 2 frames away


@dataclass(frozen=True, eq=False)
class PlannedFaces(FoundFaces):
    """The faces of a frame in a row, and what is to become of them; None: that is not known."""

    plan: SwapPlan | None = None


def steadied_plan(row: Sequence[PlannedFaces], index: int) -> SwapPlan:
    """The plan of a frame of a row, of which those around it are known too."""
    plan = row[index].plan
    identities, covers = {}, {}
    for number, identity in plan.identities.items():
        around = [
            (WEIGHTS[abs(one.frame - index)], other, one)
            for one in neighbours(row, index, number, REACH)
            if (other := row[one.frame].plan) is not None and one.face in other.identities
        ]
        own = [(WEIGHTS[0], identity)]
        own += [(weight, other.identities[one.face]) for weight, other, one in around]
        identities[number] = _mean_identity(identity, own)
        covers[number] = _middle(
            plan.covers[number],
            [other.covers[one.face] for _, other, one in around if abs(one.frame - index) == 1],
        )
    return replace(plan, identities=identities, covers=covers)


def _mean_identity(identity: Identity, weighed: Sequence[tuple[float, Identity]]) -> Identity:
    """Mean direction and mean length: the length says how far there is to go, see for_target."""
    if all(other is identity for _, other in weighed):
        return identity
    weights = np.array([weight for weight, _ in weighed]) / sum(weight for weight, _ in weighed)
    embeddings = np.stack([other.embedding for _, other in weighed]).astype(np.float64)
    lengths = np.linalg.norm(embeddings, axis=1)
    mean = weights @ embeddings
    mean *= (weights @ lengths) / max(float(np.linalg.norm(mean)), 1e-9)
    return replace(identity, embedding=mean.astype(np.float32))


def _middle(cover: np.ndarray | None, around: Sequence[np.ndarray | None]) -> np.ndarray | None:
    """Of a cover and those of the frames before and after, the middle value of each place."""
    if cover is None or len(around) < 2:
        return cover
    low, high = np.minimum(*around), np.maximum(*around)
    return np.clip(cover, low, high)
