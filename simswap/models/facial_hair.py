"""Facial hair in identity embeddings: how a target keeps its own.

To recognition networks a beard is a part of who somebody is. A generator that follows the source
alone therefore draws half a moustache on a bare lip, and half removes one that is there. Along one
direction of the embedding it is given what the target shows instead, as its hair is the target's;
all else stays the source's (as LEACE, Belrose et al. 2023, takes a concept out of embeddings).
train/prepare/facial_hair.py finds the direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from simswap.models.bounds import check_whole


@dataclass(frozen=True)
class FacialHairConfig:
    """embedding_size: of the identity network."""

    embedding_size: int = 512

    def __post_init__(self) -> None:
        check_whole("embedding_size", self.embedding_size, 1, 4096)


class FacialHair(nn.Module):
    """Embeddings of sources with the facial hair of their targets.

    Buffers: readout [E], whose product with a unit-norm embedding tells how much of it a face has;
    bare and sure [], readings up to which a face surely has none, and from which it surely has
    some; direction [E], by which it moves an embedding.
    """

    def __init__(self, config: FacialHairConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("readout", torch.zeros(config.embedding_size))
        self.register_buffer("direction", torch.zeros(config.embedding_size))
        self.register_buffer("bare", torch.zeros(()))
        self.register_buffer("sure", torch.ones(()))

    def shows(self, embeddings: Tensor) -> Tensor:
        """How surely faces have some: [B, E] unit norm -> [B] in [0, 1]."""
        above = (embeddings @ self.readout - self.bare) / (self.sure - self.bare)
        share = above.nan_to_num().clamp(0, 1)
        return share * share * (3 - 2 * share)  # which changes little at either end

    def forward(self, sources: Tensor, targets: Tensor) -> Tensor:
        """[B, E] and [B, E], unit norm -> [B, E], unit norm."""
        missing = self.shows(targets) - self.shows(sources)
        return F.normalize(sources + missing[:, None] * self.direction, dim=-1)
