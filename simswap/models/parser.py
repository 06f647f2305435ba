"""The face parser: which part of a face, or what before it, each pixel of an aligned crop shows.

A small U-Net (Ronneberger et al. 2015) that adds its skips instead of concatenating them. Half
resolution is enough: a mask's edge is soft.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simswap.models.bounds import check_widths

CLASSES = ("background", "skin", "eyes", "nose", "mouth", "hair", "glasses", "occluder")
INPUT_SIZE = 128  # px, side of the crops
TEMPLATE = "simswap_frontal"  # that they are aligned to, see geometry.py


@dataclass(frozen=True)
class ParserConfig:
    """Widths of the parser: at a half, a quarter, an eighth and a sixteenth of the crop's side."""

    channels: tuple[int, ...] = (16, 32, 64, 96)

    def __post_init__(self) -> None:
        check_widths("channels", self.channels, 2, 4)


class _Unit(nn.Sequential):
    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class FaceParser(nn.Module):
    """Aligned crops to the share of each of CLASSES in each place."""

    def __init__(self, config: ParserConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels
        before = (3, *widths[:-1])
        self.encoder = nn.ModuleList(
            nn.Sequential(_Unit(less, width, stride=2), _Unit(width, width), _Unit(width, width))
            for less, width in zip(before, widths, strict=True)
        )
        self.narrowing = nn.ModuleList(
            nn.Conv2d(width, less, 1) for less, width in pairwise(widths)
        )
        self.decoder = nn.ModuleList(_Unit(width, width) for width in widths[:-1])
        self.head = nn.Conv2d(widths[0], len(CLASSES), 1)

    def forward(self, crops: Tensor) -> Tensor:
        """[B, 3, S, S] float32 RGB in [0, 1] -> [B, 8, S / 2, S / 2], which sum to 1 in each place.

        S: INPUT_SIZE is what it has learnt; it must divide by 2 to the number of widths.
        """
        return torch.softmax(self.logits(crops), dim=1)

    def logits(self, crops: Tensor) -> Tensor:
        """What `forward` gives, before the softmax."""
        features, levels = crops * 4 - 2, []
        for stage in self.encoder:
            features = stage(features)
            levels.append(features)
        for level in reversed(range(len(self.decoder))):
            wider = F.interpolate(self.narrowing[level](features), scale_factor=2, mode="nearest")
            features = self.decoder[level](levels[level] + wider)
        return self.head(features)
