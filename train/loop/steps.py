"""What one training step does: losses, gradients, updates. train.py decides when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor

from simswap.runtime.pixels import network_input
from train.config import TrainConfig
from train.loop.losses import (
    colour_loss,
    edge_loss,
    feature_matching_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    hinge_generator_loss,
    identity_loss,
    low_frequency_loss,
    reconstruction_loss,
    restraint_loss,
)
from train.networks.trained import FrozenNetworks, Networks
from train.pairing.pairs import PairBatch

# Losses of all batches that a weight of the same name switches on.
AGAINST_TARGET = {"colour": colour_loss, "restraint": restraint_loss, "edges": edge_loss}


@dataclass(frozen=True, eq=False)
class Pairs:
    """targets: [B, 3, S, S], sources: [B, 3, 112, 112], RGB [0, 1]; same: one person each.

    inputs: as targets, what the generator gets in their place; None: they themselves.
    """

    targets: Tensor
    sources: Tensor
    same: bool
    inputs: Tensor | None = None

    @classmethod
    def of(cls, batch: PairBatch, device: torch.device) -> Pairs:
        """A loader's batch on the device; the pixels travel as bytes."""
        targets, sources, inputs = (
            None if crops is None else network_input(crops.to(device, non_blocking=True))
            for crops in (batch.targets, batch.sources, batch.inputs)
        )
        return cls(targets, sources, batch.same, inputs)


def train_step(
    accelerator: Accelerator,
    config: TrainConfig,
    step: int,
    batches: Sequence[Pairs],
    networks: Networks,
    frozen: FrozenNetworks,
) -> dict[str, Tensor]:
    """One update of the generator and of the discriminators, once they take part.

    batches: `config.accumulation` of them -> mean loss values, on the device: reading one waits.
    """
    means: dict[str, Tensor] = {}
    for batch in batches:
        with accelerator.accumulate(networks.generator, networks.discriminator):
            if step < config.generator_from:
                swapped, losses = _swap(batch, networks, frozen), {}
            else:
                swapped, losses = _update_generator(
                    accelerator, config, step, batch, networks, frozen
                )
            if step >= config.discriminator_from:
                losses |= _update_discriminator(accelerator, config, batch, swapped, networks)
        for name, value in losses.items():
            means[name] = means.get(name, 0) + value.detach() / len(batches)
    networks.ema.update(networks.plain_generator, step)
    return means


def generator_losses(
    config: TrainConfig, step: int, batch: Pairs, networks: Networks, frozen: FrozenNetworks
) -> tuple[Tensor, dict[str, Tensor], dict[str, float]]:
    """Swapped crops [B, 3, S, S], the losses of this step, and the weight of each."""
    weights = config.weights
    # Each teacher sees same- and different-identity batches.
    teacher = step // config.same_every % len(frozen.teachers)
    crops = batch.targets if batch.inputs is None else batch.inputs
    if batch.same and config.swapped_back:
        crops = _swapped_to_neighbours(config, batch, crops, networks, frozen)
    embeddings = frozen.embed_sources(batch.sources, crops)
    swapped = networks.generator(crops, embeddings).float()
    wanted = frozen.embed_wanted(teacher, batch.sources, batch.targets)
    swapped_embeddings = frozen.teachers[teacher](frozen.to_identity_crop(swapped))
    losses = {"identity": identity_loss(swapped_embeddings, wanted, config.identity_exponent)}
    scales = {"identity": weights.identity.at(step)}
    if weights.low_frequency:
        losses["low_frequency"] = low_frequency_loss(
            swapped, batch.targets, config.low_frequency_cell
        )
        scales["low_frequency"] = weights.low_frequency
    for name, loss in AGAINST_TARGET.items():
        if weight := getattr(weights, name):
            losses[name], scales[name] = loss(swapped, batch.targets), weight
    if batch.same:
        losses["reconstruction"] = reconstruction_loss(swapped, batch.targets)
        scales["reconstruction"] = weights.reconstruction.at(step)
    if step >= config.discriminator_from:
        losses |= _adversarial_losses(config, batch.targets, swapped, networks)
        scales |= {
            "adversarial": weights.adversarial,
            "feature_matching": weights.feature_matching,
        }
    return swapped, losses, scales


def _adversarial_losses(
    config: TrainConfig, targets: Tensor, swapped: Tensor, networks: Networks
) -> dict[str, Tensor]:
    # The plain network: no gradient reaches the discriminators, so nothing is to be synchronised.
    judge = networks.plain_discriminator
    judge.requires_grad_(False)
    logits, features = judge(swapped)
    losses = {"adversarial": hinge_generator_loss(logits)}
    if config.weights.feature_matching:
        with torch.no_grad():
            _, target_features = judge(targets)
        losses["feature_matching"] = feature_matching_loss(
            features, target_features, config.feature_matching_layers
        )
    judge.requires_grad_(True)
    return losses


@torch.no_grad()
def _swapped_to_neighbours(
    config: TrainConfig,
    batch: Pairs,
    crops: Tensor,
    networks: Networks,
    frozen: FrozenNetworks,
) -> Tensor:
    """The crops, but the first `swapped_back` are targets with the next source's identity."""
    count = round(config.swapped_back * len(batch.targets))
    if not count:
        return crops
    targets, others = batch.targets[:count], batch.sources.roll(-1, dims=0)[:count]
    embeddings = config.swapped_back_length * frozen.embed_sources(others, targets)
    swapped = networks.plain_generator(targets, embeddings).float()
    return torch.cat([swapped, crops[count:]])


@torch.no_grad()
def _swap(batch: Pairs, networks: Networks, frozen: FrozenNetworks) -> Tensor:
    embeddings = frozen.embed_sources(batch.sources, batch.targets)
    return networks.plain_generator(batch.targets, embeddings).float()


def _update_generator(
    accelerator: Accelerator,
    config: TrainConfig,
    step: int,
    batch: Pairs,
    networks: Networks,
    frozen: FrozenNetworks,
) -> tuple[Tensor, dict[str, Tensor]]:
    swapped, losses, scales = generator_losses(config, step, batch, networks, frozen)
    accelerator.backward(torch.stack([scales[name] * losses[name] for name in losses]).sum())
    optimizer = networks.generator_optimizer
    if accelerator.sync_gradients:
        accelerator.unscale_gradients(optimizer)
        parameters = networks.plain_generator.parameters()
        norm = torch.nn.utils.clip_grad_norm_(parameters, config.max_grad_norm)
        # Of the whole step, so that the mean over its parts is the norm; 0: fp16 overflowed.
        losses["gradient/norm"] = norm.where(norm.isfinite(), 0.0) * config.accumulation
    optimizer.step()
    optimizer.zero_grad()
    return swapped.detach(), losses


def _update_discriminator(
    accelerator: Accelerator,
    config: TrainConfig,
    batch: Pairs,
    swapped: Tensor,
    networks: Networks,
) -> dict[str, Tensor]:
    count = len(swapped)
    # One pass over both: two would change spectral norm's buffers between forward and backward.
    logits, _ = networks.discriminator(torch.cat([batch.targets, swapped]))
    real, fake = zip(*(scale.split(count) for scale in logits), strict=True)
    losses = {"discriminator": hinge_discriminator_loss(list(real), list(fake))}
    total = losses["discriminator"]
    for name, scales in (("logits/real", real), ("logits/fake", fake)):
        losses[name] = torch.stack([logits.detach().float().mean() for logits in scales]).mean()
    if config.weights.gradient_penalty:
        shares = torch.rand(count, 1, 1, 1, device=swapped.device)
        judge = networks.plain_discriminator
        levels = zip(
            judge.scales, judge.pyramid(batch.targets), judge.pyramid(swapped), strict=True
        )
        losses["gradient_penalty"] = torch.stack(
            [gradient_penalty(scale, real, fake, shares) for scale, real, fake in levels]
        ).sum()
        total = total + config.weights.gradient_penalty * losses["gradient_penalty"]
    accelerator.backward(total)
    networks.discriminator_optimizer.step()
    networks.discriminator_optimizer.zero_grad()
    return losses
