"""The published model's identity network: a ResNet of improved residual squeeze-excite blocks.

Sources: ArcFace (Deng et al., CVPR 2019) for the block, squeeze-excite (Hu et al., CVPR 2018).
Parameter names are those of the published checkpoint, so its state dict loads unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

STAGE_CHANNELS = (64, 128, 256, 512)


class SqueezeExcite(nn.Module):
    """Scales each channel by a gate computed from the means of all channels."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.fc = nn.Sequential(
            nn.Linear(channels, channels // reduction),
            nn.PReLU(),
            nn.Linear(channels // reduction, channels),
            nn.Sigmoid(),
        )

    def forward(self, features: Tensor) -> Tensor:
        """features: [B, C, h, w] -> the same shape."""
        return features * self.fc(features.mean((2, 3)))[..., None, None]


class ImprovedResidual(nn.Module):
    """BN-conv-BN-PReLU-conv-BN, squeeze-excite, skip, and the same PReLU again after the sum."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, in_channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.prelu = nn.PReLU()
        self.conv2 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or in_channels != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, channels, 1, stride, bias=False), nn.BatchNorm2d(channels)
            )
        self.se = SqueezeExcite(channels)

    def forward(self, features: Tensor) -> Tensor:
        """features: [B, in, h, w] -> [B, channels, h / stride, w / stride]."""
        skip = features if self.downsample is None else self.downsample(features)
        residual = self.prelu(self.bn1(self.conv1(self.bn0(features))))
        return self.prelu(skip + self.se(self.bn2(self.conv2(residual))))


class IrSeResNet(nn.Module):
    """Aligned crops -> embedding. The official dropout before `fc` is left out: inference only.

    prepare: module that maps crops in [0, 1] to the normalised [B, 3, 112, 112] the trunk reads.
    blocks: residual blocks in each of the four stages.
    """

    def __init__(self, prepare: nn.Module, blocks: tuple[int, ...], embedding_size: int) -> None:
        super().__init__()
        self.prepare = prepare
        width = STAGE_CHANNELS[0]
        # The published stem does not pad: 112 -> 110, then 55, 28, 14 and 7.
        self.conv1 = nn.Conv2d(3, width, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.prelu = nn.PReLU()
        self.maxpool = nn.MaxPool2d(2)
        stages = []
        for index, (channels, num_blocks) in enumerate(zip(STAGE_CHANNELS, blocks, strict=True)):
            strides = (1 if index == 0 else 2, *[1] * (num_blocks - 1))
            inputs = (width, *[channels] * (num_blocks - 1))
            stages.append(
                nn.Sequential(
                    *(
                        ImprovedResidual(i, channels, s)
                        for i, s in zip(inputs, strides, strict=True)
                    )
                )
            )
            width = channels
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.bn2 = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width * 7 * 7, embedding_size)
        self.bn3 = nn.BatchNorm1d(embedding_size)

    def forward(self, crops: Tensor) -> Tensor:
        """crops: [B, 3, S, S] RGB in [0, 1] -> [B, embedding_size], not normalised."""
        features = self.maxpool(self.prelu(self.bn1(self.conv1(self.prepare(crops)))))
        features = self.layer4(self.layer3(self.layer2(self.layer1(features))))  # [B, 512, 7, 7]
        return self.bn3(self.fc(self.bn2(features).flatten(1)))


def count_blocks(keys: Iterable[str]) -> tuple[int, ...]:
    """Residual blocks of each stage of an `IrSeResNet`, read from its state-dict keys."""
    names = [key.split(".") for key in keys]
    return tuple(
        len({name[1] for name in names if name[0] == f"layer{stage}"})
        for stage in range(1, len(STAGE_CHANNELS) + 1)
    )
