"""One training step on tiny real networks, for the tests of what it does."""

from dataclasses import replace

import torch
from accelerate import Accelerator
from torch import nn

from simswap.models.generator import GeneratorConfig
from simswap.weights.bundle import load_bundle
from train.config import DiscriminatorConfig, TrainConfig
from train.loop.steps import Pairs, train_step
from train.networks.trained import FrozenNetworks, Networks

SIZE = 32
BUNDLE = "assets/models/simswap-lite-128"
CPU = torch.device("cpu")
CONFIG = TrainConfig(
    data="examples",
    generator=GeneratorConfig(channels=(4, 8), num_blocks=1, embedding_scale=512**0.5),
    discriminator=DiscriminatorConfig(width=4),
    crop_size=SIZE,
    teachers=(BUNDLE,),
    identity_model=BUNDLE,
    mixed_precision="no",
)


def small_frozen(config: TrainConfig = CONFIG) -> FrozenNetworks:
    """An identity network and a teacher, the same, that cost next to nothing."""
    frozen = FrozenNetworks(config, load_bundle(BUNDLE), CPU)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(2)
        layers = nn.AvgPool2d(8), nn.Conv2d(3, 8, 3), nn.Tanh(), nn.Flatten(), nn.Linear(1152, 512)
        network = nn.Sequential(*layers).requires_grad_(False)
    frozen.identity_network, frozen.teachers = network, [network]
    return frozen


def pairs(*, same: bool, seed: int = 0, size: int = SIZE) -> Pairs:
    random = torch.Generator().manual_seed(seed)
    return Pairs(
        torch.rand(2, 3, size, size, generator=random),
        torch.rand(2, 3, 112, 112, generator=random),
        same,
    )


class Run:
    """Fresh networks of a configuration, and a step on them."""

    def __init__(self, frozen, **changes) -> None:
        torch.manual_seed(0)
        self.config, self.frozen = replace(CONFIG, **changes), frozen
        self.accelerator = Accelerator(
            cpu=True, gradient_accumulation_steps=self.config.accumulation
        )
        self.networks = Networks(self.config, CPU)
        self.networks.prepare(self.accelerator)

    def step(self, number: int, *batches: Pairs) -> dict[str, float]:
        losses = train_step(
            self.accelerator, self.config, number, batches, self.networks, self.frozen
        )
        return {name: float(value) for name, value in losses.items()}

    def output(self) -> torch.Tensor:
        probe = pairs(same=True, seed=1)
        embeddings = self.frozen.embed_sources(probe.sources, probe.targets)
        return self.networks.plain_generator(probe.targets, embeddings).detach()

    def generator(self) -> list[torch.Tensor]:
        return [value.clone() for value in self.networks.plain_generator.parameters()]
