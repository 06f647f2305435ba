"""MobileFaceNet (Chen et al., 2018): the small identity network of the bundled model.

The layer widths are the paper's; activations are ReLU and ReLU6 instead of PReLU, because the
training starts from public weights that use them (see train/distill/identity.py).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

# Inverted residual stages: expansion, channels, blocks, stride of the first block.
STAGES = ((2, 64, 5, 2), (4, 128, 1, 2), (2, 128, 6, 1), (4, 128, 1, 2), (2, 128, 2, 1))
STEM_CHANNELS = 64
LAST_CHANNELS = 512


class ConvLayer(nn.Module):
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
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            groups=in_channels if depthwise else 1,
            bias=not batch_norm,
        )
        self.norm = nn.BatchNorm2d(out_channels) if batch_norm else nn.Identity()
        self.activation = activation()

    def forward(self, features: Tensor) -> Tensor:
        """features: [B, in, h, w] -> [B, out, h', w']."""
        return self.activation(self.norm(self.conv(features)))


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
    batch_norm: True while training; False once `fold_batch_norm` has merged it into the weights.
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


def fold_batch_norm(network: MobileFaceNet) -> None:
    """Merge each batch norm's running statistics into its convolution, in place.

    The outputs in eval mode stay (to rounding) and inference is faster; afterwards the state dict
    is that of a network made with batch_norm=False.
    """
    for layer in network.modules():
        if isinstance(layer, ConvLayer) and isinstance(layer.norm, nn.BatchNorm2d):
            layer.conv = fuse_conv_bn_eval(layer.conv.eval(), layer.norm.eval())
            layer.norm = nn.Identity()
