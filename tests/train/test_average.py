"""A mean of generators' weights as a model: what it is, what it tells, and what has no mean."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from simswap.models.generator import Generator
from simswap.weights.bundle import Bundle, load_bundle, save_bundle
from tests.support.weights.tiny_bundle import make_bundle
from train.average import average, main
from train.errors import TrainingError


def stretch(seed: int, name: str = "tiny", **training: object) -> Bundle:
    """A bundle whose generator is of its own seed, and all else the same."""
    base = make_bundle(0)
    config = replace(base.config, name=name, training=training, licence="Research use only.")
    return replace(base, config=config, generator=make_bundle(seed).generator)


def saved(folder: Path, bundle: Bundle) -> str:
    save_bundle(bundle, folder, "# Tiny\n")
    return str(folder)


def average_on_disk(folder: Path, *flags: str) -> Bundle:
    parts = {
        "a": stretch(1, "a", teachers=["xs"], num_steps=5),
        "b": stretch(2, "b", teachers=["xs", "xxs"]),
    }
    models = ",".join(saved(folder / name, bundle) for name, bundle in parts.items())
    main(["--models", models, "--output", str(folder / "mean"), *flags])
    return load_bundle(folder / "mean")


def test_each_value_is_the_weighted_mean():
    made = average([stretch(1), stretch(2)], [1, 3]).state_dict()
    states = [stretch(seed).generator.state_dict() for seed in (1, 2)]
    for name, value in made.items():
        if value.is_floating_point():
            expected = 0.25 * states[0][name] + 0.75 * states[1][name]
            torch.testing.assert_close(value, expected)


def test_one_model_alone_is_its_own_mean():
    bundle = stretch(1)
    made = average([bundle], [0.2]).state_dict()
    for name, value in bundle.generator.state_dict().items():
        assert torch.equal(made[name], value)


def test_the_models_themselves_stay_as_they_are():
    bundle = stretch(1)
    before = {name: value.clone() for name, value in bundle.generator.state_dict().items()}
    average([bundle, stretch(2)], [1, 1])
    for name, value in bundle.generator.state_dict().items():
        assert torch.equal(before[name], value)


def test_the_command_writes_a_bundle_that_loads_under_its_own_name(tmp_path):
    bundle = average_on_disk(tmp_path, "--weights", "0.5,0.5")
    assert bundle.name == "mean"
    assert bundle.config.licence == "Research use only."


def test_the_mean_names_its_parts_and_all_their_teachers(tmp_path):
    training = average_on_disk(tmp_path, "--weights", "0.6,0.4").config.training
    assert training["teachers"] == ["xs", "xxs"]
    told = [(part["name"], part["weight"]) for part in training["mean_of"]]
    assert told == [("a", 0.6), ("b", 0.4)]
    assert training["mean_of"][0]["training"]["num_steps"] == 5
    assert "a mean of the weights of a (0.6), b (0.4)" in (tmp_path / "mean/README.md").read_text()


def wider() -> Bundle:
    base = stretch(1)
    config = replace(base.config.generator, channels=(8, 8))
    return replace(base, config=replace(base.config, generator=config), generator=Generator(config))


def cut_differently() -> Bundle:
    base = stretch(1)
    alignment = replace(base.config.alignment, crop_size=16)
    return replace(base, config=replace(base.config, alignment=alignment))


def of_other_identities() -> Bundle:
    return replace(stretch(1), identity_network=make_bundle(5).identity_network)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (wider, "differ in the generator's architecture"),
        (cut_differently, "differ in the alignment"),
        (of_other_identities, "identity networks with other weights"),
    ],
)
def test_models_that_differ_in_more_than_the_generators_weights_are_refused(other, message):
    with pytest.raises(TrainingError, match=message):
        average([stretch(1), other()], [1, 1])


@pytest.mark.parametrize("weights", ["1", "1,2,3", "1,-1", "1,nan", "0,0", "1,inf", "1,b"])
def test_weights_that_do_not_fit_are_refused(tmp_path, weights):
    with pytest.raises(TrainingError, match="--weights"):
        average_on_disk(tmp_path, "--weights", weights)
