"""Identity networks: which person an aligned crop shows, as a vector.

Three architectures share one interface: `ir_se`, the published model's (see ir_se.py), `graph`,
which the config itself describes (see graph.py), and `mobilefacenet`, the bundled model's small one
(Chen et al., 2018). Its layer widths are the paper's; its activations are ReLU and ReLU6 instead of
PReLU, because the training starts from public weights that use them (train/distill/identity.py).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from simswap.models.bounds import (
    MAX_BLOCKS,
    MAX_LAYERS,
    MAX_WIDTH,
    check_flag,
    check_number,
    check_whole,
)
from simswap.models.graph import GraphNetwork, Layer
from simswap.models.ir_se import IrSeResNet, count_blocks

ARCHITECTURES = ("mobilefacenet", "ir_se", "graph")
INPUT_SIZE = 112  # pixels; all trunks reduce it to 7 x 7
# Inverted residual stages: expansion, channels, blocks, stride of the first block.
STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
STEM_CHANNELS = 64
LAST_CHANNELS = 512


@dataclass(frozen=True)
class IdentityConfig:
    """Everything needed to build an identity network; the defaults are the bundled model's."""

    architecture: str = "mobilefacenet"  # one of ARCHITECTURES
    embedding_size: int = 512  # length of the output vector
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # RGB, subtracted from crops in [0, 1]
    std: tuple[float, ...] = (0.229, 0.224, 0.225)  # RGB, then divided by
    blocks: tuple[int, ...] | None = None  # ir_se: residual blocks of the four stages
    batch_norm: bool = False  # mobilefacenet: True in training, False once folded into the weights
    layers: tuple[Layer, ...] = ()  # graph: in the order in which they run

    def __post_init__(self) -> None:
        # A config read from JSON brings lists.
        for name in ("mean", "std", "blocks"):
            if isinstance(getattr(self, name), list):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        if len(self.layers) > MAX_LAYERS:
            raise ValueError(f"{len(self.layers)} layers are more than {MAX_LAYERS}.")
        layers = (Layer(**item) if isinstance(item, dict) else item for item in self.layers)
        object.__setattr__(self, "layers", tuple(layers))
        if self.architecture not in ARCHITECTURES:
            raise ValueError(
                f"Unknown identity architecture {self.architecture!r}; use one of {ARCHITECTURES}."
            )
        check_whole("embedding_size", self.embedding_size, 1, MAX_WIDTH)
        check_flag("batch_norm", self.batch_norm)
        if len(self.mean) != 3 or len(self.std) != 3:
            raise ValueError(f"mean and std need three values each: {self.mean}, {self.std}.")
        for mean, std in zip(self.mean, self.std, strict=True):
            check_number("a mean", mean, -1000, 1000)
            check_number("a std", std, 1e-6, 1000)
        if self.architecture == "ir_se":
            self._check_blocks()
        if (self.architecture == "graph") != bool(self.layers):
            raise ValueError(f"layers belong to architecture 'graph', not {self.architecture!r}.")

    def _check_blocks(self) -> None:
        if self.blocks is None or len(self.blocks) != 4:
            raise ValueError(f"ir_se needs four block counts, not blocks={self.blocks!r:.40}.")
        for count in self.blocks:
            check_whole("a count in blocks", count, 1, MAX_BLOCKS)


class CropPreparation(nn.Module):
    """Resizes crops of any size to 112 x 112 and normalises them."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """crops: [B, 3, S, S] RGB in [0, 1] -> [B, 3, 112, 112], normalised."""
        if crops.ndim != 4 or crops.shape[1] != 3 or crops.shape[2] != crops.shape[3]:
            raise ValueError(f"Crops must be [B, 3, S, S], not {tuple(crops.shape)}.")
        if crops.shape[-1] != INPUT_SIZE:
            # Antialiased, where the official code takes the nearest pixels and so lets fine
            # texture alias into the embedding.
            crops = F.interpolate(crops, (INPUT_SIZE, INPUT_SIZE), mode="bilinear", antialias=True)
        return (crops - self.mean) / self.std


class ConvLayer(nn.Sequential):
    """Convolution, batch norm (or a bias where it has been folded in), activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        batch_norm: bool,
        stride: int = 1,
        padding: int = 0,
        depthwise: bool = False,
        activation: Callable[[], nn.Module] = nn.Identity,
    ) -> None:
        convolution = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            groups=in_channels if depthwise else 1,
            bias=not batch_norm,
        )
        norm = nn.BatchNorm2d(out_channels) if batch_norm else nn.Identity()
        super().__init__(
            OrderedDict([("conv", convolution), ("norm", norm), ("activation", activation())])
        )


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, linear 1x1 projection; a skip where the shape stays."""

    def __init__(
        self, in_channels: int, channels: int, stride: int, expansion: int, batch_norm: bool
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = ConvLayer(in_channels, hidden, 1, batch_norm=batch_norm, activation=nn.ReLU6)
        self.depthwise = ConvLayer(
            hidden,
            hidden,
            3,
            batch_norm=batch_norm,
            stride=stride,
            padding=1,
            depthwise=True,
            activation=nn.ReLU6,
        )
        self.project = ConvLayer(hidden, channels, 1, batch_norm=batch_norm)
        self.has_skip = stride == 1 and in_channels == channels

    def forward(self, features: Tensor) -> Tensor:
        """features: [B, in, h, w] -> [B, channels, h / stride, w / stride]."""
        projected = self.project(self.depthwise(self.expand(features)))
        return features + projected if self.has_skip else projected


class MobileFaceNet(nn.Module):
    """Aligned crops -> embedding, 1.19 M parameters and 0.23 GMAC with 512 outputs.

    prepare: module that maps crops in [0, 1] to the normalised [B, 3, 112, 112] the trunk reads.
    batch_norm: True while training; False once they have been folded into the weights.
    """

    def __init__(self, prepare: nn.Module, embedding_size: int, batch_norm: bool) -> None:
        super().__init__()
        self.prepare = prepare
        width = STEM_CHANNELS
        self.stem = nn.Sequential(
            ConvLayer(3, width, 3, batch_norm=batch_norm, stride=2, padding=1, activation=nn.ReLU6),
            ConvLayer(
                width,
                width,
                3,
                batch_norm=batch_norm,
                padding=1,
                depthwise=True,
                activation=nn.ReLU,
            ),
            ConvLayer(width, width, 1, batch_norm=batch_norm, activation=nn.ReLU),
        )
        blocks = []
        for expansion, channels, num_blocks, first_stride in STAGES:
            for stride in (first_stride, *[1] * (num_blocks - 1)):
                blocks.append(InvertedResidual(width, channels, stride, expansion, batch_norm))
                width = channels
        self.blocks = nn.Sequential(*blocks)
        self.last = ConvLayer(width, LAST_CHANNELS, 1, batch_norm=batch_norm, activation=nn.ReLU6)
        # Global depthwise convolution: one learnt weight for each of the 7 x 7 places.
        self.pool = ConvLayer(
            LAST_CHANNELS, LAST_CHANNELS, 7, batch_norm=batch_norm, depthwise=True
        )
        self.head = nn.Linear(LAST_CHANNELS, embedding_size)

    def forward(self, crops: Tensor) -> Tensor:
        """crops: [B, 3, S, S] RGB in [0, 1] -> [B, embedding_size], not normalised."""
        return self.head(self.pooled_features(crops))

    def pooled_features(self, crops: Tensor) -> Tensor:
        """crops: [B, 3, S, S] RGB in [0, 1] -> [B, 512], what the linear head reads."""
        features = self.blocks(self.stem(self.prepare(crops)))  # [B, 128, 7, 7]
        return self.pool(self.last(features)).flatten(1)


def build_identity_network(config: IdentityConfig) -> IrSeResNet | MobileFaceNet | GraphNetwork:
    """The network of a config with fresh weights; [B, 3, S, S] RGB in [0, 1] -> raw [B, 512]."""
    prepare = CropPreparation(config.mean, config.std)
    if config.architecture == "ir_se":
        return IrSeResNet(prepare, config.blocks, config.embedding_size)
    if config.architecture == "graph":
        return GraphNetwork(prepare, config.layers)
    return MobileFaceNet(prepare, config.embedding_size, config.batch_norm)


def embed_identity(network: nn.Module, crops: Tensor) -> Tensor:
    """Unit-norm identity embedding of aligned crops (SimSwap, identity injection module).

    crops: [B, 3, S, S] float32, RGB in [0, 1] -> [B, embedding_size] float32.
    Raises ValueError if crops is not [B, 3, S, S].
    """
    return F.normalize(network(crops).float(), dim=1)


def push_embeddings_apart(
    sources: Tensor, targets: Tensor, guidance: float, likeness: float = 1.0
) -> Tensor:
    """Embeddings moved beyond the sources' own, away from the target faces'; ours, not the paper's.

    A small generator leaves a part of the target's identity on the face; asking for more than the
    source makes up for it, as classifier-free guidance does in diffusion models. The length says
    how far there is to go: 1 between strangers, whose embeddings are orthogonal, 0 where the face
    is the source's already, so that the generator need not guess whom to leave alone.

    sources, targets: [..., E] unit norm; guidance: in units of the difference.
    likeness: share of the way from the target to there, 0 to 1; 0 has the length 0.
    """
    differences = sources - targets
    distances = differences.norm(dim=-1, keepdim=True) / 2**0.5
    beyond = guidance + (likeness - 1) * (1 + guidance)  # exactly guidance where likeness is 1
    return F.normalize(sources + beyond * differences, dim=-1) * distances * likeness


def ir_se_config_from_state(state: Mapping[str, Tensor]) -> IdentityConfig:
    """Config of an `ir_se` network of any depth, read from its state dict.

    Raises ValueError if the keys are not those of such a network.
    """
    blocks = count_blocks(state)
    if min(blocks) < 1 or "fc.bias" not in state:
        raise ValueError(
            f"Not the state dict of an ir_se identity network: blocks per stage {blocks}, "
            f"fc.bias {'present' if 'fc.bias' in state else 'missing'}."
        )
    return IdentityConfig(
        architecture="ir_se", blocks=blocks, embedding_size=state["fc.bias"].shape[0]
    )
