"""The SimSwap losses (Chen et al. 2020, section 3.3), each one formula."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from simswap.watermark.embedding import LUMA


def identity_loss(swapped: Tensor, source: Tensor, exponent: float = 1.0) -> Tensor:
    """Mean of (1 - cosine similarity) ** exponent of embeddings [B, E], of any length.

    exponent: the paper's is 1; above it, pairs that lack likeness weigh more than those that have
    it, as in focal losses.
    """
    missing = 1 - F.cosine_similarity(swapped.float(), source.float(), dim=1)
    return missing.clamp(min=0).pow(exponent).mean()  # rounding may leave it below 0


def reconstruction_loss(swapped: Tensor, target: Tensor) -> Tensor:
    """Mean absolute pixel difference; for batches whose source and target are one person."""
    return (swapped - target).abs().mean()


def low_frequency_loss(swapped: Tensor, target: Tensor, cell: int) -> Tensor:
    """Mean absolute difference of [B, 3, S, S] images averaged over cells of `cell` px.

    Ours, not the paper's: light and colour belong to the target also where the identity differs;
    with the identity loss alone in charge, a short training drifts into colour casts.
    """
    return (F.avg_pool2d(swapped, cell) - F.avg_pool2d(target, cell)).abs().mean()


def restraint_loss(swapped: Tensor, target: Tensor) -> Tensor:
    """Mean squared pixel difference, for batches of all kinds.

    Ours, not the paper's: squared, it prefers much faint shading to a few dark strokes.
    """
    return (swapped - target).square().mean()


def edge_loss(swapped: Tensor, target: Tensor) -> Tensor:
    """Mean squared image gradient of the difference, for batches of all kinds.

    Ours, not the paper's: fine changes cost most. Networks of the identity loss are pleased by
    fine lines that no other network, and no eye, takes for likeness; shading serves both.
    """
    difference = swapped - target
    return sum(difference.diff(dim=dim).square().mean() for dim in (2, 3))


def colour_loss(swapped: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of what RGB [B, 3, S, S] differs by from its luma (Rec. 601).

    Ours, not the paper's: likeness is a matter of light and dark; whatever colour the identity loss
    adds within a low-frequency cell is a fringe.
    """
    difference = swapped - target
    luma = torch.tensor(LUMA, device=difference.device).view(3, 1, 1)
    return (difference - (luma * difference).sum(1, keepdim=True)).abs().mean()


def feature_matching_loss(
    swapped: list[list[Tensor]], target: list[list[Tensor]], layers: Sequence[int]
) -> Tensor:
    """Mean absolute difference of feature maps, summed over `layers` of all discriminators.

    As in the paper's equation of the weak feature matching loss: the shallow layers carry
    identity-bearing texture, so `layers` are the last ones there. swapped, target: [scale][layer]
    feature maps; the target's carry no gradient.
    """
    terms = [
        (ours[layer].float() - theirs[layer].detach().float()).abs().mean()
        for ours, theirs in zip(swapped, target, strict=True)
        for layer in layers
    ]
    return torch.stack(terms).sum()


def hinge_generator_loss(fake_logits: list[Tensor]) -> Tensor:
    """The generator wants its patches called real: mean over scales of -logit."""
    return torch.stack([-logits.float().mean() for logits in fake_logits]).mean()


def hinge_discriminator_loss(real_logits: list[Tensor], fake_logits: list[Tensor]) -> Tensor:
    """Real patches above 1, fake ones below -1, mean over scales."""
    terms = [
        F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()
        for real, fake in zip(real_logits, fake_logits, strict=True)
    ]
    return torch.stack(terms).mean()


def gradient_penalty(
    discriminator: Callable[[Tensor], tuple[Tensor, list[Tensor]]],
    real: Tensor,
    fake: Tensor,
    shares: Tensor,
) -> Tensor:
    """Mean of (|gradient| - 1)^2 between real and fake images (Gulrajani et al. 2017), one scale.

    real, fake: [B, 3, S, S]; shares: [B, 1, 1, 1] in [0, 1], how much of each image is real. The
    gradient is that of an image's summed logits by its pixels.
    """
    between = (shares * real + (1 - shares) * fake.detach()).requires_grad_(True)
    logits, _ = discriminator(between)
    (gradient,) = torch.autograd.grad(logits.float().sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()
