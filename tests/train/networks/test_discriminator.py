"""The discriminators against the description of those that were released."""

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

pytest.importorskip("accelerate", reason="needs the train extra")

from tests.support.training.training_step import CPU, Run, pairs, small_frozen
from train.command_line import parse_config
from train.config import DiscriminatorConfig
from train.errors import TrainingError
from train.networks.discriminator import PatchDiscriminator
from train.networks.projected import ProjectedDiscriminator


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


class Backbone(nn.Module):
    """Feature maps of four sizes."""

    def __init__(self, steps: tuple[int, ...] = (4, 2, 2, 2)) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv2d(3 if not level else 4 * level, 4 * (level + 1), step, step)
            for level, step in enumerate(steps)
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        maps = []
        for layer in self.layers:
            images = torch.tanh(layer(images))
            maps.append(images)
        return maps


def save_backbone(path: Path, **settings: object) -> str:
    torch.manual_seed(0)
    torch.jit.save(torch.jit.script(Backbone(**settings)), path)
    return str(path)


def test_a_projected_discriminator_trains_its_judges_and_nothing_else(tmp_path):
    projected = DiscriminatorConfig(backbone=save_backbone(tmp_path / "b.pt"), width=4)
    settings = {"discriminator": projected, "feature_matching_layers": (3,), "crop_size": 128}
    run = Run(small_frozen(), discriminator_from=0, **settings)
    judge = run.networks.plain_discriminator
    before = copy.deepcopy(judge.state_dict())
    losses = run.step(0, pairs(same=True, size=128))
    assert {"adversarial", "feature_matching", "discriminator"} <= losses.keys()
    for name, value in judge.named_parameters():
        assert torch.equal(value, before[name]) != name.startswith("judges"), name


def test_a_projected_discriminators_features_are_the_backbones(tmp_path):
    path = save_backbone(tmp_path / "b.pt")
    judge = ProjectedDiscriminator(DiscriminatorConfig(backbone=path, width=4), CPU)
    images = torch.rand(2, 3, 224, 224)
    logits, features = judge(images)
    assert [tuple(one.shape) for one in logits] == [(2, 4 * 4 * 4)]  # of four judges, 4 x 4 each
    expected = torch.jit.load(path)((images - judge.mean) / judge.std)
    torch.testing.assert_close(features, [expected])


def test_a_backbone_of_other_maps_is_refused(tmp_path):
    path = save_backbone(tmp_path / "b.pt", steps=(2, 2, 2, 2))
    with pytest.raises(TrainingError, match="a quarter, an eighth"):
        ProjectedDiscriminator(DiscriminatorConfig(backbone=path, width=4), CPU)
