"""Everything a run trains and trains with: networks, moving average, optimisers."""

from __future__ import annotations

import copy
import fnmatch
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from simswap.models.generator import Generator, silence
from simswap.models.identity import embed_identity, push_embeddings_apart
from simswap.weights.bundle import Bundle, find_bundle, load_network, read_config
from train.config import TrainConfig, describe_change
from train.errors import TrainingError
from train.networks.batch_norm import freeze_batch_norms, synchronise_batch_norms
from train.networks.discriminator import MultiScaleDiscriminator
from train.networks.glasses import GlassesDirection, load_directions
from train.networks.projected import ProjectedDiscriminator
from train.networks.teachers import CropToIdentityCrop, load_teacher
from train.pairing.alignment import IDENTITY_CROP

logger = logging.getLogger(__name__)


class Ema:
    """Exponential moving average of a generator's weights; its buffers are copied."""

    def __init__(self, generator: nn.Module, decay: float) -> None:
        self.generator = copy.deepcopy(generator).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, generator: nn.Module, step: int) -> None:
        """Follow `generator`; early on faster, so that the start is forgotten."""
        decay = min(self.decay, (1 + step) / (10 + step))
        ours, theirs = list(self.generator.parameters()), list(generator.parameters())
        torch._foreach_lerp_(ours, theirs, 1 - decay)  # one kernel launch instead of a hundred
        for ours, theirs in zip(self.generator.buffers(), generator.buffers(), strict=True):
            ours.copy_(theirs)


class FrozenNetworks:
    """What judges identity: the bundle's network, which feeds the generator, and the teachers."""

    def __init__(self, config: TrainConfig, base: Bundle, device: torch.device) -> None:
        size = config.generator.embedding_size
        if base.config.identity.embedding_size != size:
            raise TrainingError(
                f"{config.identity_model} embeds in {base.config.identity.embedding_size} numbers, "
                f"generator.embedding_size is {size}."
            )
        self.base = base
        self.identity_network = copy.deepcopy(base.identity_network).requires_grad_(False)
        self.identity_network.to(device)
        self.teachers = [load_teacher(source, device) for source in config.teachers]
        self.to_identity_crop = CropToIdentityCrop(config.crop_template, config.identity_template)
        self.to_identity_crop.to(device)
        self.guidance = config.generator.identity_guidance
        self.glasses = self._load_glasses(config, device) if config.glasses else None
        self.glasses_emphasis = config.glasses_emphasis

    def _load_glasses(self, config: TrainConfig, device: torch.device) -> list[GlassesDirection]:
        probe = torch.zeros(1, 3, IDENTITY_CROP, IDENTITY_CROP, device=device)
        with torch.no_grad():
            sizes = [teacher(probe).shape[1] for teacher in self.teachers]
        return load_directions(Path(config.glasses), config.teachers, sizes, device)

    @torch.no_grad()
    def embed_wanted(self, teacher: int, sources: Tensor, targets: Tensor) -> Tensor:
        """Who the swaps should be to a teacher: the sources, with the targets' glasses if told so.

        teacher: its number; sources, targets: as in `embed_sources` -> [B, E].
        """
        network = self.teachers[teacher]
        embeddings = network(sources)
        if self.glasses is None:
            return embeddings
        own = network(self.to_identity_crop(targets))
        return self.glasses[teacher].of_target(
            embeddings.float(), own.float(), self.glasses_emphasis
        )

    @torch.no_grad()
    def embed_sources(self, sources: Tensor, targets: Tensor) -> Tensor:
        """What the pipeline gives the generator: [B, 512], guidance included.

        sources: [B, 3, 112, 112]; targets: [B, 3, S, S], the generator's crops; RGB [0, 1].
        """
        embeddings = embed_identity(self.identity_network, sources)
        if not self.guidance:
            return embeddings
        own = embed_identity(self.identity_network, self.to_identity_crop(targets))
        return push_embeddings_apart(embeddings, own, self.guidance)


class Networks:
    """The networks of one run on one process, ready for `Accelerator.prepare`."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        layout = torch.channels_last if config.channels_last else torch.contiguous_format
        generator = Generator(config.generator)
        if config.init_from:
            take_weights(generator, config.init_from)
        freeze(generator, config.freeze)
        generator = generator.to(device, memory_format=layout)
        self.ema = Ema(generator, config.ema_decay)
        self.plain_generator = synchronise_batch_norms(generator, device)
        if config.discriminator.backbone:
            discriminator = ProjectedDiscriminator(config.discriminator, device)
        else:
            discriminator = MultiScaleDiscriminator(config.discriminator)
        self.plain_discriminator = discriminator.to(device, memory_format=layout)
        rates = {"lr": config.learning_rate, "betas": config.adam_betas}
        self.generator_optimizer = torch.optim.Adam(generator.parameters(), **rates)
        self.discriminator_optimizer = torch.optim.Adam(discriminator.parameters(), **rates)
        if config.gradient_checkpointing:
            for block in generator.BottleNeck:
                block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        if config.compile:
            generator.compile()
        self.generator, self.discriminator = self.plain_generator, self.plain_discriminator

    def prepare(self, accelerator: Accelerator) -> None:
        """Hand everything to Accelerate; `plain_*` stay the same networks without its wrapping."""
        (
            self.generator,
            self.discriminator,
            self.generator_optimizer,
            self.discriminator_optimizer,
        ) = accelerator.prepare(
            self.generator,
            self.discriminator,
            self.generator_optimizer,
            self.discriminator_optimizer,
        )

    def freeze_batch_norms(self) -> None:
        """The generator's batch norms keep their statistics from now on."""
        freeze_batch_norms(self.plain_generator)

    def check_finite(self, step: int) -> None:
        """Raise TrainingError if `step` broke the weights, whose losses only the next would show.

        One infinite gradient does that, while the losses it came from are finite.
        """
        networks = {"generator": self.plain_generator, "discriminator": self.plain_discriminator}
        for name, network in networks.items():
            if not torch.stack([value.isfinite().all() for value in network.parameters()]).all():
                raise TrainingError(
                    f"The weights of the {name} are no longer finite after step {step}. The "
                    "checkpoints are as they were before. Resume with a lower --learning-rate, or "
                    "with --mixed-precision no."
                )

    def set_learning_rates(self, generator: float, discriminator: float) -> None:
        """What the optimisers use from the next step on."""
        rates = {self.generator_optimizer: generator, self.discriminator_optimizer: discriminator}
        for optimizer, rate in rates.items():
            for group in optimizer.param_groups:
                group["lr"] = rate


def freeze(generator: Generator, patterns: Sequence[str]) -> None:
    """Parameters whose names match one of `patterns` ("down*") keep their weights.

    Raises TrainingError for a pattern that matches none, and if all are frozen.
    """
    named = dict(generator.named_parameters())
    for pattern in patterns:
        matched = fnmatch.filter(named, pattern)
        if not matched:
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in named))
            raise TrainingError(
                f"freeze={pattern!r} matches no parameter of the generator. Its parts: {parts}; "
                "use a pattern such as 'down*'."
            )
        for name in matched:
            named[name].requires_grad_(False)
    if not any(value.requires_grad for value in named.values()):
        raise TrainingError(
            f"freeze={','.join(patterns)} leaves nothing of the generator to train."
        )


def as_made_for(config: TrainConfig) -> TrainConfig:
    """The configuration with what the weights of `init_from` were made for, which is logged.

    That is the network's form, scale and pixel range, both alignments and, unless another than the
    default is named, the identity network. Further parts of the generator, which begin without
    effect, and the crop size remain the run's.
    """
    if not config.init_from:
        return config
    stored = read_config(find_bundle(config.init_from))
    ours, theirs, alignment = config.generator, stored.generator, stored.alignment
    further = ("gated_skips", "decoder_styles", "decoder_blocks", "soft_mask", "num_blocks")
    larger = {name: max(getattr(ours, name), getattr(theirs, name)) for name in further}
    guidance = ours.identity_guidance  # of use, not of the weights
    adapted = replace(
        config,
        generator=replace(theirs, identity_guidance=guidance, **larger),
        crop_template=alignment.crop_template,
        identity_template=alignment.identity_template,
    )
    if config.identity_model == TrainConfig.identity_model:
        adapted = replace(adapted, identity_model=config.init_from)
    for name, value in json.loads(adapted.to_json()).items():
        before = json.loads(config.to_json())[name]
        if value != before:
            logger.info("Of %s: %s", config.init_from, describe_change(name, before, value))
    if alignment.crop_size != config.crop_size:
        logger.info(
            "The crops of %s have %d px, this run's %d (--crop-size).",
            *(config.init_from, alignment.crop_size, config.crop_size),
        )
    return adapted


def take_weights(generator: Generator, source: str) -> None:
    """Begin with a bundle's generator, which may have fewer parts.

    Further identity blocks, styles and gated skips begin without effect, the soft mask with little.
    Raises TrainingError if the bundle's generator differs otherwise.
    """
    folder = find_bundle(source)
    stored, ours = read_config(folder), generator.config
    smaller = replace(
        ours,
        identity_guidance=stored.generator.identity_guidance,  # of use, not of the weights
        num_blocks=min(ours.num_blocks, stored.generator.num_blocks),
        gated_skips=ours.gated_skips and stored.generator.gated_skips,
        decoder_styles=ours.decoder_styles and stored.generator.decoder_styles,
        decoder_blocks=ours.decoder_blocks and stored.generator.decoder_blocks,
        soft_mask=ours.soft_mask and stored.generator.soft_mask,
    )
    if stored.generator != smaller:
        raise TrainingError(
            f"init_from={source} holds another generator: {stored.generator}; this run's is {ours}."
        )
    generator.load_state_dict(load_network(folder, stored, "generator").state_dict(), strict=False)
    for block in generator.BottleNeck[smaller.num_blocks :]:
        silence(block)
