"""PatchGAN discriminators at two scales (Isola et al. 2017; Wang et al. 2018, pix2pixHD)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from train.config import DiscriminatorConfig

SLOPE = 0.2  # of the leaky ReLUs


class PatchDiscriminator(nn.Module):
    """Judges overlapping patches; returns its features so that they can be matched.

    Weights that are not normalised spectrally begin at full scale.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        normalised = spectral_norm if config.spectral_norm else _at_full_scale
        halvings, kernel = config.num_halvings, config.last_kernel
        widths = [3, *(config.width * 2 ** min(level, 3) for level in range(halvings + 1))]
        shapes = [*[(4, 2)] * halvings, (kernel, 1)]  # kernel and stride
        self.layers = nn.ModuleList(
            normalised(nn.Conv2d(narrow, wide, *shape, padding=1))
            for narrow, wide, shape in zip(widths, widths[1:], shapes, strict=False)
        )
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(wide) if config.batch_norm and number else nn.Identity()
            for number, wide in enumerate(widths[1:])
        )
        self.to_logits = normalised(nn.Conv2d(widths[-1], 1, kernel, padding=1))

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """[B, 3, S, S] RGB [0, 1] -> logits [B, 1, h, w], one feature map per layer."""
        hidden = images * 2 - 1
        features = []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            hidden = F.leaky_relu(norm(layer(hidden)), SLOPE)
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
        self.scales = nn.ModuleList(PatchDiscriminator(config) for _ in range(config.num_scales))

    def pyramid(self, images: Tensor) -> list[Tensor]:
        """[B, 3, S, S] -> what each scale sees, the full resolution first."""
        levels = [images]
        while len(levels) < len(self.scales):
            levels.append(F.avg_pool2d(levels[-1], 2))
        return levels

    def forward(self, images: Tensor) -> tuple[list[Tensor], list[list[Tensor]]]:
        """[B, 3, S, S] RGB [0, 1] -> logits per scale, features per scale and layer."""
        logits, features = [], []
        for scale, level in zip(self.scales, self.pyramid(images), strict=True):
            scale_logits, scale_features = scale(level)
            logits.append(scale_logits)
            features.append(scale_features)
        return logits, features
