"""The discriminators against the description of those that were released."""

import torch

from train.command_line import parse_config
from train.config import DiscriminatorConfig
from train.networks.discriminator import PatchDiscriminator


def field_of_view(config: DiscriminatorConfig) -> int:
    """Pixels of a row that one logit in the middle depends on."""
    judge = PatchDiscriminator(config).eval()
    image = torch.rand(1, 3, 256, 256, requires_grad=True)
    logits, _ = judge(image)
    middle = logits.shape[-1] // 2
    logits[0, 0, middle, middle].backward()
    return int((image.grad.abs().sum((0, 1, 2)) > 0).sum())


def test_the_presets_discriminators_are_those_of_the_release():
    config = parse_config(["--config", "simswap-224", "--data", "a/b", "--teachers", "c"])
    torch.manual_seed(0)
    judge = PatchDiscriminator(config.discriminator)
    _, features = judge(torch.rand(2, 3, 224, 224))
    assert [tuple(maps.shape[1:]) for maps in features] == [
        *((64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 13, 13)),
    ]
    normed = [isinstance(norm, torch.nn.BatchNorm2d) for norm in judge.norms]
    assert normed == [False, True, True, True, True]
    slim = DiscriminatorConfig(width=2, num_halvings=4, last_kernel=4, batch_norm=True)
    assert field_of_view(slim) == 142


def test_the_default_discriminators_see_54_pixels():
    torch.manual_seed(0)
    assert field_of_view(DiscriminatorConfig(width=4)) == 54
