"""Runs that begin with somebody else's weights."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("datasets", reason="needs the train extra")

from simswap.models.generator import Generator
from simswap.weights.bundle import Alignment, load_bundle, read_config, save_bundle
from tests.support.training.training_here import train_here
from tests.support.training.training_runs import write_config
from tests.support.training.training_step import CONFIG
from train.config import TrainConfig
from train.errors import TrainingError
from train.networks.trained import as_made_for, freeze
from train.train import learning_rate

POSES = Alignment("simswap_224", 64, "simswap_224")  # as the published 224 model


@pytest.fixture
def foreign(tiny_bundle, tmp_path):
    """A bundle with other conventions than a run's, as converted networks have them."""
    generator = replace(tiny_bundle.generator.config, pixel_range="imagenet", num_blocks=2)
    config = replace(tiny_bundle.config, generator=generator, alignment=POSES)
    folder = tmp_path / "foreign"
    network = Generator(generator).eval()
    save_bundle(replace(tiny_bundle, config=config, generator=network), folder, "#\n", half=False)
    return folder


@pytest.mark.slow
def test_a_fine_tuned_bundle_has_the_conventions_of_the_one_it_began_with(foreign, data, tmp_path):
    config = write_config(tmp_path, data)
    flags = ("--init-from", str(foreign), "--freeze", "first_layer*,down*", "--num-steps", "2")
    assert train_here(config, *flags, "--resume") == 0  # as a job that is requeued says it
    bundle = tmp_path / "run" / "bundle"
    found, given = read_config(bundle), read_config(foreign)
    for name in ("channels", "num_blocks", "embedding_scale", "pixel_range"):
        assert getattr(found.generator, name) == getattr(given.generator, name)
    assert found.alignment == replace(POSES, crop_size=32)
    before, after = (
        dict(load_bundle(one).generator.named_parameters()) for one in (foreign, bundle)
    )
    kept = {name for name in before if torch.equal(before[name].half(), after[name].half())}
    assert {name for name in before if name.startswith(("first_layer", "down"))} <= kept
    assert not {name for name in before if "style" in name and "bias" not in name} & kept


def test_the_identity_network_comes_along_unless_another_is_named(foreign):
    default = TrainConfig.identity_model
    config = replace(CONFIG, init_from=str(foreign), identity_model=default)
    assert as_made_for(config).identity_model == str(foreign)
    named = replace(config, identity_model="another.onnx")
    assert as_made_for(named).identity_model == "another.onnx"


def test_parts_beyond_the_bundles_are_kept(foreign):
    larger = replace(CONFIG.generator, num_blocks=5, gated_skips=True)
    adapted = as_made_for(replace(CONFIG, init_from=str(foreign), generator=larger)).generator
    assert (adapted.num_blocks, adapted.gated_skips) == (5, True)
    assert (adapted.embedding_scale, adapted.pixel_range) == (1.0, "imagenet")


@pytest.mark.parametrize(
    ("patterns", "message"), [(("decoder*",), "Its parts: first_layer, down1"), (("*",), "nothing")]
)
def test_a_pattern_that_freezes_none_or_all_is_refused(tiny_bundle, patterns, message):
    generator = Generator(tiny_bundle.generator.config)
    with pytest.raises(TrainingError, match=message):
        freeze(generator, patterns)


def test_the_learning_rate_warms_up_and_then_follows_its_schedule():
    plain = replace(CONFIG, num_steps=100, learning_rate=1e-3, decay_from=0.5)
    warm = replace(plain, warmup_steps=10)
    assert learning_rate(warm, 0) == pytest.approx(1e-4)
    assert learning_rate(warm, 4) == pytest.approx(5e-4)
    for step in (9, 30, 80, 99):
        assert learning_rate(warm, step) == learning_rate(plain, step)
