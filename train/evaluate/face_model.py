"""3DDFA_V2, a network that reads the parameters of a face's pose, shape and expression.

Guo et al., "Towards Fast, Accurate and Stable 3D Dense Face Alignment" (ECCV 2020), its MobileNetV1
of half width. Evaluations in the style of FaceForensics++ compare such parameters.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EXPRESSION = slice(52, 62)  # of the 62: 12 of pose, 40 of shape, 10 of expression
# Channels out and stride of each pair of a depthwise and a pointwise convolution.
BLOCKS = {
    **{"dw2_1": (32, 1), "dw2_2": (64, 2), "dw3_1": (64, 1), "dw3_2": (128, 2)},
    **{"dw4_1": (128, 1), "dw4_2": (256, 2)},
    **{f"dw5_{number}": (256, 1) for number in range(1, 6)},
    **{"dw5_6": (512, 2), "dw6": (512, 1)},
}


class _Pair(nn.Module):
    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv_dw = nn.Conv2d(
            channels_in, channels_in, 3, stride, 1, groups=channels_in, bias=False
        )
        self.bn_dw = nn.BatchNorm2d(channels_in)
        self.conv_sep = nn.Conv2d(channels_in, channels, 1, bias=False)
        self.bn_sep = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        features = torch.relu(self.bn_dw(self.conv_dw(features)))
        return torch.relu(self.bn_sep(self.conv_sep(features)))


class FaceModelNetwork(nn.Module):
    """[B, 3, 120, 120] BGR, (x - 127.5) / 128 -> [B, 62] parameters, normalised."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        channels_in = 16
        for name, (channels, stride) in BLOCKS.items():
            self.add_module(name, _Pair(channels_in, channels, stride))
            channels_in = channels
        self.fc_param = nn.Linear(512, 62)

    def forward(self, crops: Tensor) -> Tensor:
        """See the class."""
        features = torch.relu(self.bn1(self.conv1(crops)))
        for name in BLOCKS:
            features = self.get_submodule(name)(features)
        return self.fc_param(features.mean((2, 3)))
