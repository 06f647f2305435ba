"""The SimSwap generator: encoder, identity injection module, decoder (Chen et al. 2020, section 3).

One implementation serves the published 224 network, the published 512 beta, the networks the
official trainer saves (224, and 512 with one more level), and the small bundled one: they differ
in `GeneratorConfig` only. Module names are those of the published checkpoints, so their state
dicts load unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from simswap.models.bounds import (
    MAX_BLOCKS,
    MAX_WIDTH,
    check_flag,
    check_number,
    check_whole,
    check_widths,
)

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class GeneratorConfig:
    """Sizes and conventions of a generator; the defaults are the published 224 network."""

    channels: tuple[int, ...] = (64, 128, 256, 512)  # after the first layer and each halving
    num_blocks: int = 9  # identity blocks in the bottleneck
    first_level: int = 1  # number of the first halving in the checkpoint's names (512 beta: 0)
    pixel_range: Literal["unit", "imagenet"] = "unit"  # what the body takes and gives
    embedding_size: int = 512  # of the identity embedding
    embedding_scale: float = 1.0  # on the unit-norm embedding; sqrt(512) gives unit variance
    identity_guidance: float = 0.0  # for the pipeline, see push_embeddings_apart; the paper: 0
    gated_skips: bool = False  # ours: GatedSkip after each doubling but the last
    decoder_styles: bool = False  # ours: IdentityStyle after each doubling
    decoder_blocks: bool = False  # ours: IdentityBlock after each doubling but the last
    soft_mask: bool = False  # ours: a learned share of the crop itself in each pixel

    def __post_init__(self) -> None:
        check_widths("channels", self.channels, 2, 8)
        check_whole("num_blocks", self.num_blocks, 1, MAX_BLOCKS)
        check_whole("first_level", self.first_level, 0, 8)
        check_whole("embedding_size", self.embedding_size, 1, MAX_WIDTH)
        check_number("embedding_scale", self.embedding_scale, 0, 1000)
        check_number("identity_guidance", self.identity_guidance, 0, 2)
        for name in ("gated_skips", "decoder_styles", "decoder_blocks", "soft_mask"):
            check_flag(name, getattr(self, name))
        if self.pixel_range not in ("unit", "imagenet"):
            raise ValueError(f"pixel_range={self.pixel_range!r} must be 'unit' or 'imagenet'.")

    @property
    def num_halvings(self) -> int:
        """How often the encoder halves the resolution."""
        return len(self.channels) - 1


class InstanceNorm(nn.Module):
    """Zero mean and unit variance per image and channel, nothing learnt (official eps 1e-8)."""

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, h, w] -> the same shape; statistics in float32 whatever the input's type."""
        variance, mean = torch.var_mean(features.float(), dim=(2, 3), correction=0, keepdim=True)
        return ((features - mean) * torch.rsqrt(variance + 1e-8)).to(features.dtype)


class IdentityStyle(nn.Module):
    """Scale and shift of AdaIN from the identity embedding."""

    def __init__(self, embedding_size: int, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(embedding_size, 2 * channels)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """[B, C, h, w], [B, E] -> [B, C, h, w]."""
        scale, shift = self.linear(embedding)[..., None, None].chunk(2, dim=1)  # 2 x [B, C, 1, 1]
        return features * (1 + scale) + shift


class IdentityBlock(nn.Module):
    """Residual block with AdaIN after each convolution (the paper's ID-Block)."""

    def __init__(self, channels: int, embedding_size: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), InstanceNorm()
        )
        self.style1 = IdentityStyle(embedding_size, channels)
        self.conv2 = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), InstanceNorm()
        )
        self.style2 = IdentityStyle(embedding_size, channels)

    def forward(self, features: Tensor, embedding: Tensor) -> Tensor:
        """[B, C, h, w], [B, E] -> [B, C, h, w]."""
        hidden = torch.relu(self.style1(self.conv1(features), embedding))
        return features + self.style2(self.conv2(hidden), embedding)


class GatedSkip(nn.Module):
    """Detail of the encoder for the decoder, as far as the decoder asks for it.

    What the bottleneck cannot hold (the weave of hair, glasses, wrinkles) passes beside it; the
    gate, which knows the identity from the bottleneck, holds back what belongs to the target's own.
    Begins without effect.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(channels, channels, 1)
        self.detail = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.detail.weight)
        nn.init.zeros_(self.detail.bias)

    def forward(self, decoded: Tensor, encoded: Tensor) -> Tensor:
        """Features of one resolution, both [B, C, h, w] -> the same shape."""
        return decoded + torch.sigmoid(self.gate(decoded)) * self.detail(encoded)


class SoftMask(nn.Module):
    """How much of the crop's own pixels stays, between 0 and 1; an eighth at first."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 1, 3, padding=1)
        nn.init.zeros_(self.conv.weight)
        nn.init.constant_(self.conv.bias, -2)

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, S, S] -> [B, 1, S, S] float32."""
        return torch.sigmoid(self.conv(features).float())


class Generator(nn.Module):
    """Puts the identity of an embedding on the face of an aligned crop, keeping its attributes."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        widths = config.channels
        self.first_layer = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(3, widths[0], 7),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(inplace=True),
        )
        levels = range(config.first_level, config.first_level + config.num_halvings)
        self._down_names = [f"down{level}" for level in levels]
        self._up_names = [f"up{level}" for level in reversed(levels)]
        for name, wide, narrow in zip(self._down_names, widths[1:], widths, strict=False):
            self.add_module(name, _down(narrow, wide))
        # The published checkpoints' spelling.
        self.BottleNeck = nn.ModuleList(
            IdentityBlock(widths[-1], config.embedding_size) for _ in range(config.num_blocks)
        )
        for name, wide, narrow in zip(self._up_names, widths[:0:-1], widths[-2::-1], strict=True):
            self.add_module(name, _up(wide, narrow))
        self.last_layer = nn.Sequential(nn.ReflectionPad2d(3), nn.Conv2d(widths[0], 3, 7))
        self._style_names = []
        if config.decoder_styles:
            self._style_names = [name.replace("up", "style") for name in self._up_names]
            for name, width in zip(self._style_names, widths[-2::-1], strict=True):
                self.add_module(name, _style_without_effect(config.embedding_size, width))
        self._skip_names = []
        if config.gated_skips:
            self._skip_names = [name.replace("up", "skip") for name in self._up_names[:-1]]
            for name, width in zip(self._skip_names, widths[-2:0:-1], strict=True):
                self.add_module(name, GatedSkip(width))
        self._block_names = []
        if config.decoder_blocks:
            self._block_names = [name.replace("up", "block") for name in self._up_names[:-1]]
            for name, width in zip(self._block_names, widths[-2:0:-1], strict=True):
                self.add_module(name, _block_without_effect(width, config.embedding_size))
        self.soft_mask = SoftMask(widths[0]) if config.soft_mask else None
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(3, 1, 1), persistent=False)

    def forward(self, crops: Tensor, embeddings: Tensor) -> Tensor:
        """Swapped crops.

        crops: [B, 3, S, S] float32 RGB in [0, 1], S a multiple of 2 ** num_halvings;
        embeddings: [B, 512] unit norm, guided ones of any -> [B, 3, S, S] float32 RGB in [0, 1].
        Raises ValueError for other shapes.
        """
        multiple = 2 ** len(self._down_names)
        if crops.ndim != 4 or crops.shape[1] != 3 or crops.shape[2] % multiple:
            raise ValueError(
                f"crops must be [B, 3, S, S] with S a multiple of {multiple}, got "
                f"{list(crops.shape)}."
            )
        if embeddings.shape != (len(crops), self.config.embedding_size):
            raise ValueError(
                f"embeddings must be [{len(crops)}, {self.config.embedding_size}], got "
                f"{list(embeddings.shape)}."
            )
        is_imagenet = self.config.pixel_range == "imagenet"
        pixels = (crops - self.mean) / self.std if is_imagenet else crops
        features = self._features(pixels, embeddings)
        swapped = self.last_layer(features).float()
        if is_imagenet:
            swapped = (swapped * self.std + self.mean).clamp(0, 1)
        else:
            swapped = (swapped.tanh() + 1) / 2
        if self.soft_mask is None:
            return swapped
        return torch.lerp(swapped, crops, self.soft_mask(features))

    def body(self, pixels: Tensor, embeddings: Tensor) -> Tensor:
        """What lies between the pixel conventions: [B, 3, S, S], [B, E] -> [B, 3, S, S]."""
        return self.last_layer(self._features(pixels, embeddings))

    def _features(self, pixels: Tensor, embeddings: Tensor) -> Tensor:
        """[B, 3, S, S], [B, E] -> [B, channels[0], S, S]."""
        features = self.first_layer(pixels)  # [B, channels[0], S, S]
        encoded = []  # deepest last
        for name in self._down_names:
            features = getattr(self, name)(features)  # width and height halve
            encoded.append(features)
        embeddings = embeddings * self.config.embedding_scale
        for block in self.BottleNeck:
            features = block(features, embeddings)
        styles = [getattr(self, name) for name in self._style_names]
        skips = [getattr(self, name) for name in self._skip_names]
        blocks = [getattr(self, name) for name in self._block_names]
        for i, name in enumerate(self._up_names):
            features = getattr(self, name)(features)  # width and height double
            if styles:
                features = styles[i](features, embeddings)
            if i < len(skips):
                features = skips[i](features, encoded[-2 - i])
            if i < len(blocks):
                features = blocks[i](features, embeddings)
        return features


def _style_without_effect(embedding_size: int, channels: int) -> IdentityStyle:
    style = IdentityStyle(embedding_size, channels)
    nn.init.zeros_(style.linear.weight)
    nn.init.zeros_(style.linear.bias)
    return style


@torch.no_grad()
def silence(block: IdentityBlock) -> None:
    """Make a block pass its input on: its last scale, one plus what is learnt, is 0."""
    style = block.style2.linear
    style.weight.zero_()
    scale, shift = style.bias.chunk(2)
    scale.fill_(-1)
    shift.zero_()


def _block_without_effect(channels: int, embedding_size: int) -> IdentityBlock:
    block = IdentityBlock(channels, embedding_size)
    silence(block)
    return block


def _down(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


def _up(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False),
        nn.Conv2d(in_channels, out_channels, 3, padding=1),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )
