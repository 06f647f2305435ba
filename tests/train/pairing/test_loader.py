"""The loader of one process: kinds by step, workers, exact continuation, errors as sentences."""

import itertools
import json

import pytest
import torch

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.media.memory_photos import MemoryPhotos, people, photo_row
from tests.support.training.shard_sources import write_parquet
from train.config import PairSettings
from train.data.shards import open_photos
from train.errors import TrainingError
from train.pairing.loader import LoaderState, PairLoader
from train.pairing.pairs import Position

SETTINGS = PairSettings(crop_size=32, batch_size=2, block_rows=16, mix_shards=2)


def take(loader: PairLoader, count: int) -> list:
    return list(itertools.islice(loader, count))


def test_kinds_alternate_by_optimiser_step():
    loader = PairLoader(people(2, 16, 4), SETTINGS, accumulation=2)
    assert [batch.same for batch in take(loader, 6)] == [True, True, False, False, True, True]


@pytest.mark.parametrize("num_workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_one_step_in_so_many_is_of_one_person_each(num_workers):
    loader = PairLoader(people(4, 16, 4), SETTINGS, same_every=3, num_workers=num_workers)
    assert [batch.same for batch in take(loader, 7)] == [i % 3 == 0 for i in range(7)]


def test_processes_see_different_targets():
    photos = people(2, 16, 4)
    one, two = (PairLoader(photos, SETTINGS, rank=rank, world=2) for rank in (0, 1))
    first = torch.cat([batch.targets for batch in take(one, 8)]).flatten(1)
    second = torch.cat([batch.targets for batch in take(two, 8)]).flatten(1)
    assert not (first[:, None] == second[None]).all(-1).any()


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_loader_continues_from_its_state_as_if_it_had_never_stopped(num_workers):
    photos = people(4, 16, 4)
    loader = PairLoader(photos, SETTINGS, num_workers=num_workers)
    items = iter(loader)
    [next(items) for _ in range(5)]  # an odd number: the other worker's turn comes next
    state = LoaderState.from_json(json.loads(json.dumps(loader.state.to_json())))
    expected = [next(items) for _ in range(4)]
    again = PairLoader(photos, SETTINGS, num_workers=num_workers, state=state)
    for before, after in zip(expected, take(again, 4), strict=True):
        assert before.same == after.same
        assert torch.equal(before.targets, after.targets)
        assert torch.equal(before.sources, after.sources)


def test_another_number_of_processes_goes_on_with_the_next_epoch(caplog):
    state = LoaderState(2, 7, (Position(epoch=3, group=1),))
    loader = PairLoader(people(2, 16, 4), SETTINGS, state=state)
    assert loader.state.positions == (Position(epoch=4),)
    assert "exact resume needs the same numbers" in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("num_workers", [0, 1])
def test_an_error_in_the_data_arrives_as_one_sentence(num_workers):
    photos = MemoryPhotos([[photo_row(0, "a")]])
    with pytest.raises(TrainingError, match="fewer than a batch") as error:
        take(PairLoader(photos, SETTINGS, num_workers=num_workers), 1)
    assert "Traceback" not in str(error.value)


def test_a_corrupt_photo_is_named_once_and_counted(caplog):
    rows = [photo_row(number, f"person {number % 4}") for number in range(16)]
    for number in (3, 7):
        rows[number] = type(rows[number])(b"none", "x", rows[number].landmarks, f"row {number}")
    loader = PairLoader(MemoryPhotos([rows]), SETTINGS)
    take(loader, 7)
    assert loader.skipped["corrupt"] >= 1
    assert caplog.text.count("A photo is skipped") == 1


@pytest.mark.parametrize("place", [0.0, 17.5])
def test_rows_whose_landmarks_coincide_are_passed_over_and_counted(tmp_path, place):
    rows = [photo_row(number, f"person {number % 4}") for number in range(16)]
    records = [
        {"image": row.image, "identity": row.identity, "landmarks": row.landmarks.tolist()}
        for row in rows
    ]
    records[3]["landmarks"] = [[place, place]] * 5
    write_parquet(tmp_path / "a.parquet", records)
    loader = PairLoader(open_photos(str(tmp_path)), SETTINGS)
    take(loader, 9)
    assert loader.skipped["without landmarks"] >= 1
