"""The face detector: anchor-free; a score, a box and five landmarks per cell at strides 8, 16, 32.

The layout is YuNet-n of Wu et al. 2023 ("YuNet: a tiny millisecond-level face detector") with its
batch norms folded away: units of a pointwise and a depthwise convolution, a top-down neck that
adds, one head per output and stride. We differ in one thing: from stride 8 on there are two
branches, because YuNet knows upright heads only. The upright branch is YuNet's; the rolled one
answers for heads turned by any angle. Parts are built in the order the published graph runs them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simswap.models.bounds import check_widths

STRIDES = (8, 16, 32)
SIZE_MULTIPLE = STRIDES[-1]  # sides of the input must divide by it, or the neck cannot add its maps


@dataclass(frozen=True)
class DetectorConfig:
    """Widths of the detector; the defaults are YuNet-n's."""

    channels: tuple[int, ...] = (16, 32, 64, 64, 64, 64)  # at strides 2, 4, 4, then 8, 16, 32

    def __post_init__(self) -> None:
        check_widths("channels", self.channels, 6, 6)
        if len(set(self.channels[3:])) != 1:
            raise ValueError(f"channels={self.channels}: the neck adds the last three: one width.")


class LevelMaps(NamedTuple):
    """What a branch says at one stride, before decoding.

    confidence: [B, 2, h, w] logits: is there a face, and does its box fit. The score is the
        geometric mean of the two probabilities.
    boxes: [B, 4, h, w]: centre (x, y) as offsets from the cell, log width and height, in strides.
    landmarks: [B, 10, h, w]: five (x, y) as offsets from the cell, in strides; None from the
        rolled branch.
    """

    confidence: Tensor
    boxes: Tensor
    landmarks: Tensor | None


class DetectorMaps(NamedTuple):
    """Maps at strides 8, 16 and 32 of the branch for upright and of that for rolled heads."""

    upright: tuple[LevelMaps, ...]
    rolled: tuple[LevelMaps, ...]


class SeparableUnit(nn.Sequential):
    """A 1x1 convolution mixes channels, a 3x3 one then works on each channel alone."""

    def __init__(self, in_channels: int, out_channels: int, *, activate: bool = True) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 1),
            nn.Conv2d(out_channels, out_channels, 3, padding=1, groups=out_channels),
        )
        if activate:
            self.append(nn.ReLU(inplace=True))


class Branch(nn.Module):
    """Features at stride 4 to maps at strides 8, 16 and 32."""

    def __init__(self, in_channels: int, channels: int, *, has_landmarks: bool) -> None:
        super().__init__()
        self.stages = nn.ModuleList(
            nn.Sequential(SeparableUnit(before, before), SeparableUnit(before, channels))
            for before in (in_channels, channels, channels)
        )
        self.neck = nn.ModuleList(SeparableUnit(channels, channels) for _ in STRIDES)
        self.face_heads = _heads(channels, 1)
        self.box_heads = _heads(channels, 4)
        self.fit_heads = _heads(channels, 1)
        self.landmark_heads = _heads(channels, 10) if has_landmarks else None

    def forward(self, features: Tensor) -> tuple[LevelMaps, ...]:
        """[B, C, H / 4, W / 4] -> maps at strides 8, 16 and 32."""
        fine = self.stages[0](F.max_pool2d(features, 2))
        middle = self.stages[1](F.max_pool2d(fine, 2))
        coarse = self.neck[0](self.stages[2](F.max_pool2d(middle, 2)))
        middle = self.neck[1](middle + F.interpolate(coarse, scale_factor=2, mode="nearest"))
        fine = self.neck[2](fine + F.interpolate(middle, scale_factor=2, mode="nearest"))
        return tuple(
            LevelMaps(
                torch.cat([self.face_heads[i](level), self.fit_heads[i](level)], dim=1),
                self.box_heads[i](level),
                self.landmark_heads[i](level) if self.landmark_heads is not None else None,
            )
            for i, level in enumerate((fine, middle, coarse))
        )


def _heads(in_channels: int, values: int) -> nn.ModuleList:
    return nn.ModuleList(SeparableUnit(in_channels, values, activate=False) for _ in STRIDES)


class FaceDetector(nn.Module):
    """RGB images to score, box and landmark maps; faces.decoding tells what they say."""

    def __init__(self, config: DetectorConfig) -> None:
        super().__init__()
        self.config = config
        first, second, last, branch = config.channels[:4]
        self.stem = nn.Sequential(
            nn.Conv2d(3, first, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            SeparableUnit(first, first),
            nn.MaxPool2d(2),
            SeparableUnit(first, first),
            SeparableUnit(first, second),
            SeparableUnit(second, second),
            SeparableUnit(second, last),
        )
        self.upright = Branch(last, branch, has_landmarks=True)
        self.rolled = Branch(last, branch, has_landmarks=False)

    def forward(self, images: Tensor) -> DetectorMaps:
        """[B, 3, H, W] float32 RGB in [0, 1], H and W multiples of 32 -> maps of both branches.

        Raises ValueError for another shape.
        """
        features = self.features(images)
        return DetectorMaps(self.upright(features), self.rolled(features))

    def features(self, images: Tensor) -> Tensor:
        """What both branches read: [B, 3, H, W] as in forward -> [B, C, H / 4, W / 4]."""
        sides = images.shape[2:]
        if images.ndim != 4 or images.shape[1] != 3 or any(n % SIZE_MULTIPLE for n in sides):
            raise ValueError(
                f"images {tuple(images.shape)}: [B, 3, H, W] is needed, H and W multiples of "
                f"{SIZE_MULTIPLE}."
            )
        return self.stem(images * 255)  # the published weights take bytes


class UprightDetector(nn.Module):
    """The upright branch of a detector alone; their weights are shared."""

    def __init__(self, detector: FaceDetector) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, images: Tensor) -> tuple[LevelMaps, ...]:
        """[B, 3, H, W] as for FaceDetector -> maps at strides 8, 16 and 32."""
        return self.detector.upright(self.detector.features(images))
