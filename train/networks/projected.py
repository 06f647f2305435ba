"""The discriminator of the released trainer of 2022: Projected GANs (Sauer et al. 2021).

A frozen network's features are mixed by random projections, across channels and from coarse to
fine, and each of the four resulting maps has a small judge.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from simswap.models.generator import IMAGENET_MEAN, IMAGENET_STD
from train.config import DiscriminatorConfig
from train.errors import TrainingError
from train.networks.discriminator import SLOPE
from train.networks.teachers import load_torchscript

PROBE = 128  # px, of the crops that a backbone is tried with
WIDTHS = (1, 1, 2, 4, 8)  # of the judges' maps, from the finest to the coarsest, times the width


class ProjectedDiscriminator(nn.Module):
    """Four judges of the features of `config.backbone`, which with the projections stays frozen.

    config.width: 64 in the release, whose backbone is timm's tf_efficientnet_lite0.
    """

    def __init__(self, config: DiscriminatorConfig, device: torch.device) -> None:
        """Raises TrainingError if the backbone does not load, or gives something else."""
        super().__init__()
        self._backbone = [load_torchscript(config.backbone, device)]  # no part of checkpoints
        channels = _channels_of(self._backbone[0], config.backbone, device)
        width = config.width
        self.across_channels = nn.ModuleList(
            nn.Conv2d(count, width * 2**level, 1) for level, count in enumerate(channels)
        )
        self.across_scales = nn.ModuleList(
            nn.Conv2d(width * 2**level, width * 2 ** max(level - 1, 0), 1) for level in range(4)
        )
        self.judges = nn.ModuleList(_judge(width, first) for first in range(4))
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)
        self.requires_grad_(True)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Of the judges; projections never learn."""
        for projections in (self.across_channels, self.across_scales):
            projections.requires_grad_(False)
        self.judges.requires_grad_(requires_grad)
        return self

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """[B, 3, S, S] RGB [0, 1] -> all logits [B, N] as one scale, its four feature maps."""
        features = list(self._backbone[0]((images - self.mean) / self.std))
        mixed, below = [], None
        for level in reversed(range(4)):
            here = self.across_channels[level](features[level])
            here = here if below is None else here + F.interpolate(below, here.shape[-2:])
            raised = F.interpolate(here, scale_factor=2, mode="bilinear", align_corners=True)
            below = self.across_scales[level](raised)
            mixed.insert(0, below)
        logits = [judge(maps).flatten(1) for judge, maps in zip(self.judges, mixed, strict=True)]
        return [torch.cat(logits, dim=1)], [features]


def _judge(width: int, first: int) -> nn.Sequential:
    """Halves a map of level `first`, whose side is twice that of the features, down to S / 32."""
    widths = [width * factor for factor in WIDTHS[first:]]
    layers: list[nn.Module] = []
    for narrow, wide in pairwise(widths):
        convolution = spectral_norm(nn.Conv2d(narrow, wide, 4, 2, 1))
        layers += [convolution, nn.BatchNorm2d(wide), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers, spectral_norm(nn.Conv2d(widths[-1], 1, 4, bias=False)))


@torch.no_grad()
def _channels_of(backbone: nn.Module, source: str, device: torch.device) -> list[int]:
    try:
        features = list(backbone(torch.zeros(1, 3, PROBE, PROBE, device=device)))
        shapes = [tuple(maps.shape) for maps in features]
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = (str(error).strip().splitlines() or [repr(error)])[-1]
        raise TrainingError(f"The backbone {source} refuses {PROBE} px crops: {reason}") from error
    if [shape[2:] for shape in shapes] != [(PROBE // step,) * 2 for step in (4, 8, 16, 32)]:
        raise TrainingError(
            f"The backbone {source} gives {shapes} for {PROBE} px; four maps of a quarter, an "
            "eighth, a 16th and a 32nd of the side are needed (train/README.md makes one)."
        )
    return [shape[1] for shape in shapes]
