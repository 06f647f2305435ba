"""Pairs from several data sets: shares of targets and sources, epochs, exact continuation."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.media.memory_photos import LANDMARKS, MemoryPhotos, photo_row
from tests.train.pairing.test_pairs import SETTINGS, numbers_in
from train.errors import TrainingError
from train.pairing.augmentation import EFFECTS, Augmentation
from train.pairing.blocks import Position
from train.pairing.loader import LoaderState, PairLoader
from train.pairing.mixed_pairs import MixedPhotos
from train.pairing.pairs import PairBatch

pytestmark = pytest.mark.slow

FIRST, SECOND = range(48), range(100, 132)  # the photos' numbers in both sets


def photos_of(numbers: range, num_people: int, num_shards: int = 2) -> MemoryPhotos:
    rows = [photo_row(number, f"person {number % num_people}") for number in numbers]
    return MemoryPhotos([rows[first::num_shards] for first in range(num_shards)])


MIXED = MixedPhotos((photos_of(FIRST, 12), photos_of(SECOND, 4)))
HALVES = replace(SETTINGS, data_weights=(0.5, 0.5))


def take(settings=HALVES, count: int = 60, photos=MIXED, **options) -> list[PairBatch]:
    return list(itertools.islice(PairLoader(photos, settings, **options), count))


def targets_of(batches: list[PairBatch]) -> list[int]:
    return [number for batch in batches for number in numbers_in(batch.targets)]


def sources_of(batches: list[PairBatch]) -> list[int]:
    return [number for batch in batches for number in numbers_in(batch.sources)]


def share_of_second(numbers: list[int]) -> float:
    return float(np.mean([number in SECOND for number in numbers]))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_targets_come_from_each_set_by_its_weight(share):
    settings = replace(SETTINGS, data_weights=(1 - share, share))
    assert share_of_second(targets_of(take(settings, 120))) == pytest.approx(share, abs=0.07)


def test_sources_that_show_somebody_else_come_by_weights_of_their_own():
    settings = replace(SETTINGS, data_weights=(0.5, 0.5), source_weights=(0.9, 0.1))
    batches = [batch for batch in take(settings, 240) if not batch.same]
    assert share_of_second(sources_of(batches)) == pytest.approx(0.1, abs=0.05)


def test_a_same_identity_pair_is_of_one_set_and_one_person():
    for batch in take():
        for target, source in zip(targets_of([batch]), sources_of([batch]), strict=True):
            people = [(n in SECOND, n % (4 if n in SECOND else 12)) for n in (target, source)]
            assert (people[0] == people[1]) == batch.same


def test_every_photo_of_a_set_is_a_target_once_before_one_is_again():
    drawn = [number for number in targets_of(take(count=80)) if number in SECOND]
    assert sorted(drawn[:32]) == list(SECOND)
    assert sorted(drawn[32:64]) == list(SECOND)
    assert drawn[:32] != drawn[32:64]


def test_a_set_without_weight_gives_all_its_photos_as_sources_and_none_as_a_target():
    settings = replace(SETTINGS, block_rows=8, data_weights=(1, 0), source_weights=(0.5, 0.5))
    batches = take(settings, 200)
    assert set(targets_of(batches)) == set(FIRST)
    assert set(SECOND) <= set(sources_of(batches))


@pytest.mark.parametrize("done", [1, 7, 30, 45])
@pytest.mark.parametrize("source_weights", [(), (0.3, 0.7)])
def test_a_loader_continues_from_its_state_as_if_it_had_never_stopped(done, source_weights):
    effects = Augmentation(**dict.fromkeys(EFFECTS, 0.5))
    settings = replace(HALVES, source_weights=source_weights, augmentation=effects)
    loader = PairLoader(MIXED, settings)
    items = iter(loader)
    [next(items) for _ in range(done)]
    state = LoaderState.from_json(json.loads(json.dumps(loader.state.to_json())))
    expected = list(itertools.islice(items, 8))
    for before, after in zip(expected, take(settings, 8, state=state), strict=True):
        assert before.same == after.same
        assert torch.equal(before.targets, after.targets)
        assert torch.equal(before.sources, after.sources)
        assert before.position == after.position


def test_who_is_paired_does_not_depend_on_what_happens_to_the_pictures():
    positions = []
    for effects in ({}, {"exposure": 1.0, "exposure_stops": 0.0}):
        settings = replace(HALVES, augmentation=replace(SETTINGS.augmentation, **effects))
        batches = take(settings, 20)
        positions.append((targets_of(batches), sources_of(batches)))
    assert positions[0] == positions[1]


def test_processes_share_each_sets_photos_out():
    loaders = [take(replace(HALVES, batch_size=1), 30, rank=rank, world=2) for rank in (0, 1)]
    one, two = (
        {n for n, batch in zip(targets_of(batches), batches, strict=True) if is_first(batch)}
        for batches in loaders
    )
    assert one
    assert not one & two


def is_first(batch: PairBatch) -> bool:
    return batch.position.epoch == 0


def test_a_position_in_another_number_of_sets_is_an_error_that_says_so():
    sets = (Position(drawn=1),) * 3
    with pytest.raises(TrainingError, match="made with 3 data sets, now there are 2"):
        take(count=1, state=LoaderState(1, 1, (Position(drawn=3, sets=sets),)))
    with pytest.raises(TrainingError, match="made with 3 data sets, now there are 1"):
        take(SETTINGS, 1, MIXED.sets[0], state=LoaderState(1, 1, (Position(drawn=3, sets=sets),)))


def test_sets_without_a_usable_target_are_an_error_and_no_endless_search():
    rows = [replace(photo_row(n, str(n)), landmarks=LANDMARKS - 25) for n in range(8)]
    useless = MemoryPhotos([rows])
    with pytest.raises(TrainingError, match="cut off by the photo's border"):
        take(photos=MixedPhotos((useless, useless)), count=1)
