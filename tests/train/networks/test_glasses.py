"""Targets keep their glasses: the identity that a swap should have, and the directions' file."""

from dataclasses import replace

import pytest
import torch

pytest.importorskip("accelerate", reason="needs the train extra")
pytest.importorskip("datasets", reason="needs the train extra")

from safetensors.torch import save_file
from torch.nn import functional as F

from simswap.weights.bundle import load_bundle
from tests.support.training.planted_glasses import SIZE, planted, unit
from tests.train.loop.test_steps import BUNDLE, CONFIG, CPU, pairs
from train.errors import TrainingError
from train.networks.glasses import (
    GlassesDirection,
    fit_direction,
    load_directions,
    network_names,
    save_directions,
)
from train.networks.trained import FrozenNetworks


def some_direction(size: int = SIZE, seed: int = 5) -> GlassesDirection:
    direction = 0.3 * unit(size, seed=seed)
    readout = direction + 0.1 * unit(size, seed=seed + 1)
    return GlassesDirection(direction, readout / (readout @ direction), torch.tensor(0.0))


def reading(found: GlassesDirection, *readings: float) -> torch.Tensor:
    """Unit-norm embeddings [N, SIZE] that read as told."""
    along = found.readout / found.readout.norm()
    across = unit(len(readings), SIZE, seed=3)
    across = F.normalize(across - (across @ along)[:, None] * along, dim=1)
    shares = torch.tensor(readings) / found.readout.norm()
    return shares[:, None] * along + (1 - shares**2).sqrt()[:, None] * across


def test_the_wanted_identity_reads_as_the_target_on_glasses():
    found = some_direction()
    sources, targets = unit(4, SIZE, seed=1), unit(4, SIZE, seed=2)
    wanted = found.of_target(sources, targets)
    torch.testing.assert_close(wanted @ found.readout, targets @ found.readout)


@pytest.mark.parametrize(("source", "target"), [(0.1, 0.9), (0.8, 0.0)])
def test_an_emphasis_asks_for_a_reading_beyond_the_targets(source, target):
    found = some_direction()
    sources, targets = reading(found, source), reading(found, target)
    wanted = found.of_target(sources, targets, emphasis=1.5) @ found.readout
    torch.testing.assert_close(wanted, torch.tensor([target + 0.5 * (target - source)]))


@pytest.mark.parametrize(("source", "target"), [(0.2, -0.7), (-0.5, 0.3), (0.7, 1.2)])
def test_an_emphasis_exaggerates_no_chance_difference_of_two_bare_faces_or_two_wearers(
    source, target
):
    found = some_direction()
    sources, targets = reading(found, source), reading(found, target)
    wanted = found.of_target(sources, targets, emphasis=5.0) @ found.readout
    torch.testing.assert_close(wanted, torch.tensor([target]))


def test_an_emphasis_grows_with_how_surely_one_of_both_wears_glasses():
    found = some_direction()
    sources, targets = reading(found, 0.0, 0.0, 0.0), reading(found, 0.4, 0.5, 0.6)
    beyond = (found.of_target(sources, targets, emphasis=3.0) - sources) @ found.readout
    shares = beyond / torch.tensor([0.4, 0.5, 0.6])
    torch.testing.assert_close(shares, torch.tensor([1.5, 2.0, 2.5]))


def test_the_wanted_identity_is_the_sources_in_all_else():
    found = some_direction()
    moved = found.of_target(unit(4, SIZE, seed=1), unit(4, SIZE, seed=2)) - unit(4, SIZE, seed=1)
    cosines = F.cosine_similarity(moved, found.direction[None]).abs()
    torch.testing.assert_close(cosines, torch.ones(4))


def test_a_source_that_reads_as_the_target_is_wanted_as_it_is():
    found, sources = some_direction(), unit(4, SIZE, seed=1)
    torch.testing.assert_close(found.of_target(sources, sources), sources)


def test_the_length_of_embeddings_does_not_matter():
    found = some_direction()
    sources, targets = unit(4, SIZE, seed=1), unit(4, SIZE, seed=2)
    torch.testing.assert_close(
        found.of_target(3 * sources, 0.5 * targets), found.of_target(sources, targets)
    )


def test_a_fitted_readout_tells_the_groups_apart_in_photos_it_has_not_seen():
    found = fit_direction(*planted())
    embeddings, wears = planted(seed=1)
    readings = embeddings @ found.readout
    assert readings[wears].mean() - readings[~wears].mean() == pytest.approx(1, abs=0.2)
    assert (readings[wears][:, None] > readings[~wears]).float().mean() > 0.9


def test_a_fitted_direction_is_the_difference_of_the_groups_and_its_readout_measures_it():
    embeddings, wears = planted()
    found = fit_direction(embeddings, wears)
    difference = embeddings[wears].mean(0) - embeddings[~wears].mean(0)
    torch.testing.assert_close(found.direction, difference)
    assert (found.direction @ found.readout).item() == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(found.bare, (embeddings[~wears] @ found.readout).mean())


@pytest.mark.parametrize("wears", [torch.zeros(9, dtype=bool), torch.ones(9, dtype=bool)])
def test_a_direction_needs_photos_of_both_groups(wears):
    with pytest.raises(TrainingError, match=f"Of 9 photos {int(wears.sum())} show glasses"):
        fit_direction(unit(9, SIZE, seed=0), wears)


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])  # as one of several processes calls it
def test_directions_come_back_from_their_file_in_the_order_of_the_teachers(tmp_path, device):
    stored = {"a": some_direction(seed=1), "b": some_direction(8, seed=3)}
    stored["a"] = replace(stored["a"], bare=torch.tensor(-0.25))
    save_directions(stored, tmp_path / "new" / "glasses.safetensors")
    loaded = load_directions(
        tmp_path / "new" / "glasses.safetensors",
        ["x/b.pt", "a.onnx"],
        [8, SIZE],
        torch.device(device),
    )
    for found, name in zip(loaded, "ba", strict=True):
        assert torch.equal(found.direction, stored[name].direction)
        assert torch.equal(found.readout, stored[name].readout)
        assert torch.equal(found.bare, stored[name].bare)


@pytest.mark.parametrize(
    ("teachers", "sizes"), [(["a.pt", "c.pt"], [SIZE, SIZE]), (["a.pt"], [SIZE + 1])]
)
def test_directions_of_other_networks_are_refused_with_the_command_that_finds_them(
    tmp_path, teachers, sizes
):
    path = tmp_path / "glasses.safetensors"
    save_directions({"a": some_direction()}, path)
    with pytest.raises(TrainingError, match=r"knows no glasses of [ac], .*train\.prepare\.glasses"):
        load_directions(path, teachers, sizes, CPU)


def test_a_file_from_before_bare_faces_were_measured_is_refused(tmp_path):
    path, found = tmp_path / "glasses.safetensors", some_direction()
    save_file({"a.direction": found.direction, "a.readout": found.readout}, path)
    with pytest.raises(TrainingError, match=r"knows no glasses of a.*train\.prepare\.glasses"):
        load_directions(path, ["a.pt"], [SIZE], CPU)


def test_a_missing_file_of_directions_is_named_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(
        TrainingError, match=r"none\.safetensors cannot be read.*train\.prepare\.glasses"
    ):
        load_directions(tmp_path / "none.safetensors", ["a.pt"], [SIZE], CPU)


def test_a_damaged_file_of_directions_is_refused(tmp_path):
    path = tmp_path / "glasses.safetensors"
    path.write_bytes(b"not tensors")
    with pytest.raises(TrainingError, match="cannot be read"):
        load_directions(path, ["a.pt"], [SIZE], CPU)


def test_teachers_of_one_name_are_refused():
    with pytest.raises(TrainingError, match="two are called the same"):
        network_names(["one/net.pt", "two/net.onnx"])


def test_without_directions_swaps_should_be_the_source():
    frozen, batch = FrozenNetworks(CONFIG, load_bundle(BUNDLE), CPU), pairs(same=False)
    wanted = frozen.embed_wanted(0, batch.sources, batch.targets)
    torch.testing.assert_close(wanted, frozen.teachers[0](batch.sources))


def test_with_directions_swaps_should_be_the_source_with_the_targets_glasses(tmp_path):
    path, found = tmp_path / "glasses.safetensors", some_direction(512)
    save_directions({network_names([BUNDLE])[0]: found}, path)
    frozen = FrozenNetworks(replace(CONFIG, glasses=str(path)), load_bundle(BUNDLE), CPU)
    batch, teacher = pairs(same=False), frozen.teachers[0]
    wanted = frozen.embed_wanted(0, batch.sources, batch.targets)
    targets = teacher(frozen.to_identity_crop(batch.targets))
    expected = found.of_target(teacher(batch.sources), targets, CONFIG.glasses_emphasis)
    torch.testing.assert_close(wanted, expected)
    assert not wanted.requires_grad
