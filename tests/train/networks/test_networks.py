"""What a run's networks do before and beside its steps."""

import pytest
import torch

pytest.importorskip("accelerate", reason="needs the train extra")

from train.config import DiscriminatorConfig
from train.networks.discriminator import MultiScaleDiscriminator
from train.networks.trained import Ema


def test_what_passes_through_a_new_discriminator_keeps_its_size():
    torch.manual_seed(0)
    images = torch.rand(4, 3, 64, 64)
    logits, features = MultiScaleDiscriminator(DiscriminatorConfig(width=16))(images)
    for scale_features, scale_logits in zip(features, logits, strict=True):
        assert scale_features[-1].std() > 0.5 * scale_features[0].std()
        assert scale_logits.std() > 0.1  # of the hinge's margin, 1


def test_the_moving_average_converges_to_weights_that_stand_still():
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    ema = Ema(network, decay=0.5)
    with torch.no_grad():
        network.weight.add_(1)
    for step in range(40):
        ema.update(network, step)
    torch.testing.assert_close(ema.generator.weight, network.weight)
