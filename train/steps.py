"""What one training step does: losses, gradients, updates. train.py decides when."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F

from simswap.geometry import TEMPLATES, similarity_transform
from train.config import TrainConfig
from train.data import IDENTITY_CROP, Batch
from train.losses import (
    hinge_discriminator_loss,
    hinge_generator_loss,
    identity_loss,
    low_frequency_loss,
    reconstruction_loss,
    weak_feature_matching_loss,
)


@dataclass(frozen=True, eq=False)
class Teacher:
    """A frozen identity network and its embedding [N, E] of every photo in the data set."""

    network: Callable[[Tensor], Tensor]
    embeddings: Tensor


class CropToIdentityCrop(nn.Module):
    """Resample generator crops to the ArcFace alignment identity networks expect.

    Both templates are fixed, so one constant similarity transform maps between them.
    """

    def __init__(self, template: str) -> None:
        super().__init__()
        identity_to_crop = similarity_transform(TEMPLATES["arcface"], TEMPLATES[template])
        # affine_grid speaks of [-1, 1] from edge to edge; the templates of [0, 1].
        linear, shift = identity_to_crop[:, :2], identity_to_crop[:, 2]
        shift = linear.sum(1) + 2 * shift - 1
        theta = np.concatenate([linear, shift[:, None]], axis=1)
        self.register_buffer("theta", torch.from_numpy(theta).float(), persistent=False)

    def forward(self, crops: Tensor) -> Tensor:
        """[B, 3, S, S] -> [B, 3, 112, 112], values unchanged."""
        shape = [len(crops), 3, IDENTITY_CROP, IDENTITY_CROP]
        grid = F.affine_grid(self.theta.expand(len(crops), 2, 3), shape, align_corners=False)
        resampled = F.grid_sample(crops, grid, padding_mode="border", align_corners=False)
        # Measured on a CPU, the depthwise teachers are a quarter faster this way.
        return resampled.contiguous(memory_format=torch.channels_last)


class Ema:
    """Exponential moving average of a generator's weights; its buffers are copied."""

    def __init__(self, generator: nn.Module, decay: float) -> None:
        self.generator = copy.deepcopy(generator).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, generator: nn.Module, step: int) -> None:
        """Follow `generator`; early on faster, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for ours, theirs in zip(self.generator.parameters(), generator.parameters(), strict=True):
            ours.lerp_(theirs, 1 - decay)
        for ours, theirs in zip(self.generator.buffers(), generator.buffers(), strict=True):
            ours.copy_(theirs)


def generator_step(
    accelerator: Accelerator,
    config: TrainConfig,
    step: int,
    batch: Batch,
    generator: nn.Module,
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
    sources: Tensor,
    teacher: Teacher,
    to_identity_crop: CropToIdentityCrop,
) -> tuple[Tensor, dict[str, float]]:
    """One update of the generator; sources: [B, 512] -> swapped crops (detached), loss values."""
    swapped = generator(batch.targets, sources)
    embeddings = teacher.network(to_identity_crop(swapped.float()))
    losses = {"identity": identity_loss(embeddings, teacher.embeddings[batch.sources])}
    weights = {"identity": config.weights.identity.at(step)}
    losses["low_frequency"] = low_frequency_loss(swapped, batch.targets, config.low_frequency_cell)
    weights["low_frequency"] = config.weights.low_frequency
    if batch.same:
        losses["reconstruction"] = reconstruction_loss(swapped, batch.targets)
        weights["reconstruction"] = config.weights.reconstruction.at(step)
    if step >= config.discriminator_from:
        discriminator.requires_grad_(False)
        logits, features = discriminator(swapped)
        with torch.no_grad():
            _, target_features = discriminator(batch.targets)
        losses["adversarial"] = hinge_generator_loss(logits)
        losses["feature_matching"] = weak_feature_matching_loss(
            features, target_features, config.feature_matching_from
        )
        weights["adversarial"] = config.weights.adversarial
        weights["feature_matching"] = config.weights.weak_feature_matching
        discriminator.requires_grad_(True)
    total = sum(weights[name] * losses[name] for name in losses)
    if not torch.isfinite(total):
        values = {name: float(value.detach()) for name, value in losses.items()}
        raise FloatingPointError(f"The loss is not finite at step {step}: {values}.")
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(total)
    accelerator.clip_grad_norm_(generator.parameters(), 50.0)
    optimizer.step()
    return swapped.detach(), {name: float(value.detach()) for name, value in losses.items()}


def discriminator_step(
    accelerator: Accelerator,
    batch: Batch,
    swapped: Tensor,
    discriminator: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> dict[str, float]:
    """One update of the discriminators on real targets against swapped crops."""
    real_logits, _ = discriminator(batch.targets)
    fake_logits, _ = discriminator(swapped)
    loss = hinge_discriminator_loss(real_logits, fake_logits)
    optimizer.zero_grad(set_to_none=True)
    accelerator.backward(loss)
    optimizer.step()
    return {"discriminator": float(loss.detach())}
