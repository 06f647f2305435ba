"""Pairs whose target is swapped to somebody else first, to be swapped back."""

import pytest
import torch

pytest.importorskip("accelerate", reason="needs the train extra")

from tests.support.training.training_step import Run, pairs, small_frozen
from train.loop.steps import Pairs


@pytest.fixture(scope="module")
def frozen():
    return small_frozen()


def calls_in_a_step(run: Run, batch: Pairs) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Crops given to the generator, and what it made of them, call by call."""
    calls = []
    run.networks.plain_generator.register_forward_hook(
        lambda _, given, made: calls.append((given[0].clone(), made.detach().clone()))
    )
    run.reconstruction = run.step(0, batch).get("reconstruction")
    return calls


def test_a_target_that_was_swapped_away_is_to_be_swapped_back(frozen):
    run, batch = Run(frozen, swapped_back=0.5), pairs(same=True)
    (given, away), (taken, back) = calls_in_a_step(run, batch)
    torch.testing.assert_close(given, batch.targets[:1])
    torch.testing.assert_close(taken, torch.cat([away, batch.targets[1:]]))
    expected = float((back - batch.targets).abs().mean())
    assert run.reconstruction == pytest.approx(expected, rel=1e-5)


def test_it_is_swapped_away_to_the_person_of_another_source(frozen):
    run = Run(frozen, swapped_back=0.5, swapped_back_length=1.5)
    batch = pairs(same=True)
    embeddings = 1.5 * frozen.embed_sources(batch.sources[1:], batch.targets[:1])
    expected = run.networks.plain_generator(batch.targets[:1], embeddings).detach()
    torch.testing.assert_close(calls_in_a_step(run, batch)[0][1], expected)


@pytest.mark.parametrize(("same", "share"), [(False, 1.0), (True, 0.0)])
def test_other_targets_are_taken_as_they_are(frozen, same, share):
    run, batch = Run(frozen, swapped_back=share), pairs(same=same)
    ((given, _),) = calls_in_a_step(run, batch)
    torch.testing.assert_close(given, batch.targets)


def test_a_target_that_something_was_pasted_into_is_given_and_its_own_photo_is_the_truth(frozen):
    run, batch = Run(frozen), pairs(same=True)
    changed = Pairs(batch.targets, batch.sources, True, batch.targets.flip(3))
    ((given, made),) = calls_in_a_step(run, changed)
    torch.testing.assert_close(given, changed.inputs)
    expected = float((made - batch.targets).abs().mean())
    assert run.reconstruction == pytest.approx(expected, rel=1e-5)


def test_pasted_targets_follow_those_that_were_swapped_away(frozen):
    run, batch = Run(frozen, swapped_back=0.5), pairs(same=True)
    changed = Pairs(batch.targets, batch.sources, True, batch.targets.flip(3))
    (_, away), (taken, _) = calls_in_a_step(run, changed)
    torch.testing.assert_close(taken, torch.cat([away, changed.inputs[1:]]))
