"""Pairs for training: the paper's alternation, every row once, exact continuation, bad data."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.media.memory_photos import LANDMARKS, MemoryPhotos, people, photo_row
from train.config import PairSettings
from train.errors import TrainingError
from train.pairing.augmentation import Augmentation
from train.pairing.pairs import Block, PairBatch, PairStream, Position

STILL = Augmentation(shift=0, scale=0, roll=0, gain=0, channel_gain=0)
SETTINGS = PairSettings(
    crop_template="simswap_frontal",
    crop_size=32,
    batch_size=4,
    block_rows=16,
    mix_shards=2,
    photos_per_person=60,
    min_coverage=0.97,
    seed=0,
    augmentation=STILL,
)


def numbers_in(crops) -> list[int]:
    """Which photos the crops show, by their colours."""
    centres = crops[:, 16, 16].numpy().astype(int)
    return [int((red - 40) // 10 + 16 * ((green - 40) // 10)) for red, green, _ in centres]


def take(stream: PairStream, count: int) -> list[PairBatch]:
    return list(itertools.islice(iter_all(stream), count))


def targets_of(batches: list[PairBatch]) -> list[int]:
    return [number for batch in batches for number in numbers_in(batch.targets)]


def test_every_row_is_a_target_once_in_an_epoch():
    stream = PairStream(people(3, 16, 12), SETTINGS)
    assert sorted(targets_of(take(stream, 12))) == list(range(48))


def test_a_second_epoch_comes_in_another_order():
    stream = PairStream(people(3, 16, 12), SETTINGS)
    targets = targets_of(take(stream, 24))
    assert sorted(targets[48:]) == list(range(48))
    assert targets[48:] != targets[:48]


@pytest.mark.parametrize("num_streams", [2, 3, 4])
@pytest.mark.parametrize("num_shards", [1, 2, 4])
def test_streams_share_an_epochs_rows_out_without_one_twice(num_streams, num_shards):
    photos = people(num_shards, 48 // num_shards, 12)
    settings = replace(SETTINGS, batch_size=1)
    seen = []
    for stream in range(num_streams):
        one = PairStream(photos, settings, stream, num_streams)
        epoch = itertools.takewhile(lambda batch: batch.position.epoch == 0, iter_all(one))
        seen += targets_of(list(epoch))
    assert sorted(seen) == list(range(48))


def iter_all(stream: PairStream):
    return stream.batches(Position(), itertools.cycle([True, False]))


def test_a_same_identity_batch_shows_one_person_on_both_sides():
    batch = take(PairStream(people(2, 16, 4), SETTINGS), 1)[0]
    assert batch.same
    for target, source in zip(numbers_in(batch.targets), numbers_in(batch.sources), strict=True):
        assert source % 4 == target % 4
        assert source != target  # another photo, where there is one


def test_a_different_identity_batch_never_pairs_a_person_with_themselves():
    batches = take(PairStream(people(2, 16, 4), SETTINGS), 8)[1::2]
    for batch in batches:
        assert not batch.same
        for target, source in zip(
            numbers_in(batch.targets), numbers_in(batch.sources), strict=True
        ):
            assert source % 4 != target % 4


def test_an_unlabelled_photo_is_its_own_identity():
    photos = MemoryPhotos([[photo_row(number, None) for number in range(16)]])
    same, different = take(PairStream(photos, SETTINGS), 2)
    assert numbers_in(same.targets) == numbers_in(same.sources)
    pairs = zip(numbers_in(different.targets), numbers_in(different.sources), strict=True)
    assert all(target != source for target, source in pairs)


@pytest.mark.parametrize("done", [1, 3, 5, 11, 12, 14])
def test_a_stream_continues_from_a_position_as_if_it_had_never_stopped(done):
    settings = replace(SETTINGS, augmentation=Augmentation())
    photos = people(3, 16, 12)
    whole = take(PairStream(photos, settings), 20)
    kinds = (number % 2 == 0 for number in itertools.count(done))
    rest = PairStream(photos, settings).batches(whole[done - 1].position, kinds)
    for expected, found in zip(whole[done:], rest, strict=False):
        assert found.same == expected.same
        assert np.array_equal(found.targets, expected.targets)
        assert np.array_equal(found.sources, expected.sources)
        assert found.position == expected.position


def test_another_seed_gives_another_order():
    photos = people(3, 16, 12)
    other = PairStream(photos, replace(SETTINGS, seed=1))
    assert targets_of(take(other, 12)) != targets_of(take(PairStream(photos, SETTINGS), 12))


def test_a_person_with_many_photos_is_not_drawn_as_a_source_more_often():
    rows = [photo_row(number, "famous" if number < 90 else str(number)) for number in range(100)]
    block = Block(rows, key=(0,))
    random = np.random.default_rng(0)
    drawn = [block.other_person(99, random, cap=1) for _ in range(2000)]
    share = np.mean([number < 90 for number in drawn])
    assert 0.05 < share < 0.15  # 1 of 10 people


def test_a_corrupt_photo_is_skipped_counted_and_named():
    photos = people(1, 16, 8)
    photos.shards[0][5] = replace(photos.shards[0][5], image=b"no photo")
    batches = take(PairStream(photos, SETTINGS), 6)
    assert 5 not in targets_of(batches)
    assert sum(batch.skipped["corrupt"] for batch in batches) >= 1
    assert any("row 5" in batch.notice for batch in batches)


def test_a_photo_that_its_crop_reaches_out_of_is_never_a_target():
    photos = people(1, 16, 8)
    photos.shards[0][5] = replace(photos.shards[0][5], landmarks=LANDMARKS - 25)
    batches = take(PairStream(photos, SETTINGS), 6)
    assert 5 not in targets_of(batches)
    assert sum(batch.skipped["cut off by the photo's border"] for batch in batches) >= 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([photo_row(0, "a"), photo_row(1, "b")], "Only 2 of .* fewer than a batch of 4"),
        ([photo_row(i, "a") for i in range(8)], "only one person in the block"),
        ([replace(photo_row(i, str(i)), landmarks=None) for i in range(8)], "train.prepare"),
        ([replace(photo_row(i, str(i)), image=b"") for i in range(8)], "8 corrupt"),
    ],
)
def test_an_epoch_that_fills_no_batch_is_an_error_that_says_why(rows, message):
    with pytest.raises(TrainingError, match=message):
        take(PairStream(MemoryPhotos([rows]), SETTINGS), 1)
