"""Glasses in an identity network's embeddings: how a target keeps its own.

To recognition networks glasses are a part of who somebody is, so a generator that follows only the
source takes them off, mostly halfway, or puts them on. One direction of an embedding tells wearers
from others; along it the identity loss asks for what the target shows, and else for the source.
train/prepare/glasses.py finds the directions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from simswap.weights.weight_files import load_tensors
from train.errors import TrainingError

COMMAND = "python -m train.prepare.glasses"
# Above the mean reading of bare faces, whose spread is 0.15 to 0.3; that of wearers is 1 above.
SURELY_BARE, SURELY_WORN = 0.3, 0.7


@dataclass(frozen=True, eq=False)
class GlassesDirection:
    """What glasses add to the unit-norm embeddings [B, E] of one identity network.

    direction: [E], the difference. readout: [E]; a product with it tells how far along the
    direction an embedding lies, and `direction @ readout` is 1. bare: [], the mean reading of
    faces without glasses.
    """

    direction: Tensor
    readout: Tensor
    bare: Tensor

    def of_target(self, sources: Tensor, targets: Tensor, emphasis: float = 1.0) -> Tensor:
        """The sources' identities with the targets' glasses, or without: [B, E], [B, E] -> [B, E].

        Along one direction only, as linear concept erasure (LEACE, Belrose et al. 2023) takes a
        concept out: all else that is linear in the embedding stays the source's.

        emphasis: 1 asks for the target's reading, more for one beyond it, away from the source's,
        where one of both surely wears glasses and the other surely does not. Elsewhere readings
        differ by chance, and exaggerated they would draw a frame on a bare face.
        """
        sources, targets = F.normalize(sources, dim=1), F.normalize(targets, dim=1)
        ours, theirs = sources @ self.readout, targets @ self.readout
        sureness = (self._wearing(theirs) - self._wearing(ours)).abs()
        missing = (1 + (emphasis - 1) * sureness) * (theirs - ours)
        return sources + missing[:, None] * self.direction

    def _wearing(self, readings: Tensor) -> Tensor:
        """How surely each is a wearer's, in [0, 1]."""
        above = readings - self.bare
        return ((above - SURELY_BARE) / (SURELY_WORN - SURELY_BARE)).clamp(0, 1)


def fit_direction(embeddings: Tensor, wears: Tensor, ridge: float = 0.1) -> GlassesDirection:
    """The direction between two groups of unit-norm embeddings [N, E]; wears: [N] bool.

    The readout is Fisher's linear discriminant. ridge: share of the mean variance added to each
    dimension's, so that few photos suffice. Raises TrainingError if a group has no photo.
    """
    if not wears.any() or wears.all():
        raise TrainingError(
            f"Of {len(wears)} photos {int(wears.sum())} show glasses: a direction needs photos "
            "with and without."
        )
    groups = embeddings[wears].double(), embeddings[~wears].double()
    centred = torch.cat([group - group.mean(0) for group in groups])
    covariance = centred.T @ centred / len(centred)
    covariance += ridge * covariance.diagonal().mean() * torch.eye(len(covariance))
    direction = groups[0].mean(0) - groups[1].mean(0)
    readout = torch.linalg.solve(covariance, direction)
    readout /= readout @ direction
    bare = groups[1].mean(0) @ readout
    return GlassesDirection(direction.float(), readout.float(), bare.float())


def save_directions(directions: Mapping[str, GlassesDirection], path: Path) -> None:
    """One safetensors file; its keys begin with the networks' `network_names`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {
        f"{name}.{part}": value
        for name, found in directions.items()
        for part, value in vars(found).items()
    }
    save_file(tensors, path)


def load_directions(
    path: Path, sources: Sequence[str], sizes: Sequence[int], device: torch.device
) -> list[GlassesDirection]:
    """The direction of each network, in order; sizes: of their embeddings.

    Raises TrainingError if the file is missing, damaged, or of other networks.
    """
    command = f"`{COMMAND} --teachers {','.join(sources)} --output {path}`"
    try:
        stored = load_tensors(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path} cannot be read ({error}). {command} makes it.") from error
    directions = []
    for name, size in zip(network_names(sources), sizes, strict=True):
        parts = [stored.get(f"{name}.{part.name}") for part in fields(GlassesDirection)]
        shapes = [None if part is None else tuple(part.shape) for part in parts]
        if shapes != [(size,), (size,), ()]:
            raise TrainingError(
                f"{path} knows no glasses of {name}, whose embeddings have {size} numbers. "
                f"{command} finds them."
            )
        directions.append(GlassesDirection(*(part.to(device) for part in parts)))
    return directions


def network_names(sources: Sequence[str]) -> list[str]:
    """What teachers are called in the file: their own names, without folder and ending.

    Raises TrainingError if two are called the same.
    """
    names = [Path(source).stem for source in sources]
    if len(set(names)) < len(names):
        raise TrainingError(f"Teachers {', '.join(sources)}: rename one, two are called the same.")
    return names
