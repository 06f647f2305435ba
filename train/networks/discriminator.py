"""PatchGAN discriminators at two scales (Isola et al. 2017; Wang et al. 2018, pix2pixHD)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from train.config import DiscriminatorConfig

SLOPE = 0.2  # of the leaky ReLUs
NUM_LAYERS = 4  # feature layers of a PatchDiscriminator, the logits not counted


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches; returns its features so that they can be matched.

    spectral: whether weights are normalised spectrally; else they begin at full scale.
    """

    def __init__(self, width: int, *, spectral: bool) -> None:
        super().__init__()
        normalised = spectral_norm if spectral else _at_full_scale
        widths = [3, width, 2 * width, 4 * width, 8 * width]
        strides = [2, 2, 2, 1]
        self.layers = nn.ModuleList(
            normalised(nn.Conv2d(narrow, wide, 4 if stride == 2 else 3, stride, padding=1))
            for narrow, wide, stride in zip(widths, widths[1:], strides, strict=False)
        )
        self.to_logits = normalised(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """[B, 3, S, S] RGB [0, 1] -> logits [B, 1, S/8, S/8], one feature map per layer."""
        hidden = images * 2 - 1
        features = []
        for layer in self.layers:
            hidden = F.leaky_relu(layer(hidden), SLOPE)
            features.append(hidden)
        return self.to_logits(hidden), features


def _at_full_scale(layer: nn.Conv2d) -> nn.Conv2d:
    """Weights that keep the size of what passes (He et al. 2015).

    Torch's own let it shrink layer by layer: measured, logits begin at 0.01 to 0.02 of the hinge's
    margin if spectrally normalised, at 0.006 if not; features are too small to be worth matching.
    """
    nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    return layer


class MultiScaleDiscriminator(nn.Module):
    """The same judge at full and at half resolution."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.scales = nn.ModuleList(
            PatchDiscriminator(config.width, spectral=config.spectral_norm)
            for _ in range(config.num_scales)
        )

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """[B, 3, S, S] RGB [0, 1] -> logits per scale, features per scale and layer."""
        logits, features = [], []
        for number, scale in enumerate(self.scales):
            if number:
                images = F.avg_pool2d(images, 2)
            scale_logits, scale_features = scale(images)
            logits.append(scale_logits)
            features.append(scale_features)
        return logits, features
