"""One training step, on tiny real networks."""

from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from torch import nn

from simswap.models.generator import Generator, GeneratorConfig
from train.config import LossWeights, Ramp, TrainConfig
from train.data import Batch
from train.discriminator import MultiScaleDiscriminator
from train.steps import CropToIdentityCrop, Ema, Teacher, discriminator_step, generator_step

SIZE = 32


class Setup:
    """Two 32 px faces, a 1-block generator, narrow discriminators, a linear teacher."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        tiny = GeneratorConfig(channels=(4, 8), num_blocks=1, embedding_scale=512**0.5)
        self.config = replace(TrainConfig(), generator=tiny, crop_size=SIZE)
        self.accelerator = Accelerator(cpu=True, mixed_precision="no")
        self.generator = Generator(tiny)
        self.discriminator = MultiScaleDiscriminator(4)
        self.optimizer = torch.optim.Adam(self.generator.parameters(), 1e-3)
        self.sources = nn.functional.normalize(torch.randn(2, 512), dim=1)
        network = nn.Sequential(nn.AvgPool2d(28), nn.Flatten(), nn.Linear(48, 8))
        self.teacher = Teacher(network.requires_grad_(False), torch.randn(2, 8))
        self.to_identity_crop = CropToIdentityCrop("simswap_frontal")

    def batch(self, *, same: bool) -> Batch:
        return Batch(torch.tensor([0, 1]), torch.rand(2, 3, SIZE, SIZE), same)

    def step(self, number: int, batch: Batch) -> tuple[torch.Tensor, dict[str, float]]:
        return generator_step(
            self.accelerator,
            self.config,
            number,
            batch,
            self.generator,
            self.discriminator,
            self.optimizer,
            self.sources,
            self.teacher,
            self.to_identity_crop,
        )


@pytest.fixture
def setup():
    return Setup()


def test_reconstruction_counts_in_same_identity_batches_only(setup):
    assert "reconstruction" in setup.step(0, setup.batch(same=True))[1]
    assert "reconstruction" not in setup.step(1, setup.batch(same=False))[1]


def test_the_discriminators_wait_for_their_first_step(setup):
    first = setup.config.discriminator_from
    assert "adversarial" not in setup.step(first - 1, setup.batch(same=True))[1]
    assert "adversarial" in setup.step(first, setup.batch(same=True))[1]


def test_a_generator_step_leaves_the_discriminators_as_they_were(setup):
    before = [value.clone() for value in setup.discriminator.parameters()]
    setup.step(setup.config.discriminator_from, setup.batch(same=True))
    for old, new in zip(before, setup.discriminator.parameters(), strict=True):
        assert torch.equal(old, new)
        assert new.requires_grad
        assert new.grad is None


def test_repeated_steps_on_one_batch_lower_the_reconstruction_loss(setup):
    no_identity = LossWeights(identity=Ramp(0, 0, 0, 0))  # the two losses pull apart here
    setup.config = replace(setup.config, weights=no_identity)
    batch = setup.batch(same=True)
    losses = [setup.step(0, batch)[1]["reconstruction"] for _ in range(20)]
    assert losses[-1] < 0.9 * losses[0]


def test_repeated_discriminator_steps_tell_real_from_fake(setup):
    optimizer = torch.optim.Adam(setup.discriminator.parameters(), 1e-2)
    batch, swapped = setup.batch(same=True), torch.zeros(2, 3, SIZE, SIZE)
    losses = [
        discriminator_step(setup.accelerator, batch, swapped, setup.discriminator, optimizer)
        for _ in range(20)
    ]
    assert losses[-1]["discriminator"] < 0.5 * losses[0]["discriminator"]


def test_a_loss_that_is_not_finite_stops_the_step_and_names_it(setup):
    batch = setup.batch(same=True)
    batch.targets[0, 0, 0, 0] = float("nan")
    before = [value.clone() for value in setup.generator.parameters()]
    with pytest.raises(FloatingPointError, match=r"step 7.*reconstruction"):
        setup.step(7, batch)
    for old, new in zip(before, setup.generator.parameters(), strict=True):
        assert torch.equal(old, new)


def test_the_moving_average_converges_to_weights_that_stand_still():
    torch.manual_seed(0)
    network = nn.Linear(3, 2)
    ema = Ema(network, decay=0.5)
    with torch.no_grad():
        network.weight.add_(1)
    for step in range(40):
        ema.update(network, step)
    torch.testing.assert_close(ema.generator.weight, network.weight)
