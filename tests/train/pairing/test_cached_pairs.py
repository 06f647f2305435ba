"""Pairs from photos held on the device: the same crops, pairing and order as streamed ones."""

import itertools
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.media.memory_photos import LANDMARKS, MemoryPhotos, people, photo_row
from tests.train.pairing.test_pairs import SETTINGS, numbers_in
from train.config import PairSettings
from train.data.shards import PhotoRow, decode_photo
from train.errors import TrainingError
from train.pairing.alignment import align_source, align_target
from train.pairing.augmentation import Augmentation
from train.pairing.cache import cache_photos
from train.pairing.cached_pairs import CachedPairLoader
from train.pairing.loader import LoaderState
from train.pairing.pairs import PairBatch

CPU = torch.device("cpu")


def loader_of(photos: MemoryPhotos, settings: PairSettings = SETTINGS, **options):
    return CachedPairLoader(cache_photos(photos, settings, CPU), settings, **options)


def take(loader: CachedPairLoader, count: int) -> list[PairBatch]:
    return list(itertools.islice(loader, count))


def textured(number: int) -> PhotoRow:
    """A photo whose every place looks different."""
    noise = np.random.default_rng(number).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    photo = cv2.resize(noise, (96, 96), interpolation=cv2.INTER_CUBIC)
    content = cv2.imencode(".png", photo)[1].tobytes()
    return PhotoRow(content, f"person {number}", LANDMARKS * 1.5, f"row {number}")


class Fixed:
    """A source of chance that mirrors or does not, and jitters nothing."""

    def __init__(self, mirrored: bool) -> None:
        self.mirrored = mirrored

    def random(self) -> float:
        return float(self.mirrored)

    def uniform(self, low: float, high: float, size) -> np.ndarray:
        return np.zeros(size)


def test_crops_are_those_of_the_streamed_pairs_to_two_grey_levels():
    rows = [textured(number) for number in range(4)]
    settings = replace(SETTINGS, crop_size=64)
    for batch in take(loader_of(MemoryPhotos([rows]), settings), 4):
        for crop in batch.targets.numpy().astype(int):
            expected = [
                align_target(
                    decode_photo(row),
                    row.landmarks,
                    "simswap_frontal",
                    64,
                    Fixed(way),
                    Augmentation(),
                )
                for row in rows
                for way in (False, True)
            ]
            assert min(np.abs(crop - other).mean() for other in expected) < 2


def test_sources_are_cut_as_the_demo_cuts_them():
    rows = [textured(number) for number in range(4)]
    expected = [align_source(decode_photo(row), row.landmarks) for row in rows]
    _, batch = take(loader_of(MemoryPhotos([rows])), 2)
    for crop in batch.sources.numpy():
        assert any(np.array_equal(crop, other) for other in expected)


def test_jitter_moves_and_colours_a_crop_anew_each_time():
    settings = replace(SETTINGS, augmentation=Augmentation(), batch_size=2)
    first, second = take(loader_of(MemoryPhotos([[textured(0), textured(1)]]), settings), 2)
    for crop in first.targets.float():
        assert min((crop - other).abs().mean() for other in second.targets.float()) > 2


def test_every_photo_is_a_target_once_in_an_epoch():
    batches = take(loader_of(people(3, 16, 12)), 12)
    assert sorted(n for batch in batches for n in numbers_in(batch.targets)) == list(range(48))


def test_each_process_holds_other_people_and_together_they_hold_all():
    photos, held = people(3, 16, 12), []
    for rank in range(2):
        options = {"rank": rank, "world": 2}
        cached = cache_photos(photos, SETTINGS, CPU, **options)
        batches = take(CachedPairLoader(cached, SETTINGS, **options), len(cached.targets))
        held.append({n for b in batches for n in numbers_in(b.targets) + numbers_in(b.sources)})
        assert len(cached.targets) == len(held[rank])
    assert {n % 12 for n in held[0]}.isdisjoint(n % 12 for n in held[1])
    assert held[0] | held[1] == set(range(48))


def test_a_share_that_fills_no_batch_is_told():
    with pytest.raises(TrainingError, match=r"share \(one in 50\), only"):
        cache_photos(people(3, 16, 12), SETTINGS, CPU, rank=0, world=50)


def test_a_second_epoch_comes_in_another_order():
    batches = take(loader_of(people(3, 16, 12)), 24)
    numbers = [n for batch in batches for n in numbers_in(batch.targets)]
    assert sorted(numbers[:48]) == sorted(numbers[48:])
    assert numbers[:48] != numbers[48:]


def test_each_step_is_of_one_kind_and_its_pairs_are_of_that_kind():
    batches = take(loader_of(people(3, 16, 12), same_every=3, accumulation=2), 12)
    assert [batch.same for batch in batches] == [i // 2 % 3 == 0 for i in range(12)]
    for batch in batches:
        targets, sources = numbers_in(batch.targets), numbers_in(batch.sources)
        for target, source in zip(targets, sources, strict=True):
            assert (source % 12 == target % 12) == batch.same
            assert source != target  # another photo of the person, not the same one


def test_the_only_photo_of_a_person_is_seen_from_another_view_instead():
    settings = replace(SETTINGS, augmentation=Augmentation())
    rows = [textured(number) for number in range(4)]
    batch = take(loader_of(MemoryPhotos([rows]), settings), 1)[0]
    plain = [align_source(decode_photo(row), row.landmarks).astype(int) for row in rows]
    for crop in batch.sources.numpy().astype(int):
        assert min(np.abs(crop - other).mean() for other in plain) > 2


def test_a_person_with_many_photos_is_not_drawn_as_a_source_more_often():
    rows = [photo_row(n, "many" if n < 60 else f"few {n}") for n in range(80)]
    settings = replace(SETTINGS, photos_per_person=1)
    batches = take(loader_of(MemoryPhotos([rows]), settings, same_every=1000), 101)[1:]
    sources = [number for batch in batches for number in numbers_in(batch.sources)]
    assert np.mean([number < 60 for number in sources]) < 0.15


def test_it_continues_from_its_state_as_if_it_had_never_stopped():
    photos = people(3, 16, 12)
    settings = replace(SETTINGS, augmentation=Augmentation())
    loader = loader_of(photos, settings)
    take(loader, 15)
    state = LoaderState.from_json(json.loads(json.dumps(loader.state.to_json())))
    again = loader_of(photos, settings, state=state)
    for before, after in zip(take(loader, 3), take(again, 3), strict=True):
        assert before.same == after.same
        assert torch.equal(before.targets, after.targets)
        assert torch.equal(before.sources, after.sources)


@pytest.mark.slow
def test_the_number_of_workers_changes_nothing():
    photos = people(3, 16, 12)
    alone, shared = (cache_photos(photos, SETTINGS, CPU, number) for number in (0, 2))
    assert torch.equal(alone.crops, shared.crops)
    assert np.array_equal(alone.people, shared.people)
    assert np.array_equal(alone.targets, shared.targets)


def test_photos_that_cannot_be_used_are_counted():
    rows = [photo_row(number, f"person {number}") for number in range(8)]
    rows[1] = replace(rows[1], image=b"none")
    rows[3] = replace(rows[3], landmarks=None)
    rows[5] = replace(rows[5], landmarks=LANDMARKS - 20)  # its crop reaches out of the photo
    loader = loader_of(MemoryPhotos([rows]))
    assert dict(loader.skipped) == {
        "corrupt": 1,
        "without landmarks": 1,
        "cut off by the photo's border": 1,
    }
    batches = take(loader, 4)
    assert {1, 3, 5}.isdisjoint(n for batch in batches for n in numbers_in(batch.targets))
    assert {1, 3}.isdisjoint(n for batch in batches for n in numbers_in(batch.sources))


def test_a_corrupt_photo_is_named_once(caplog):
    rows = [photo_row(number, f"person {number}") for number in range(8)]
    rows[2], rows[6] = (replace(rows[number], image=b"none") for number in (2, 6))
    loader_of(MemoryPhotos([rows]))
    assert caplog.text.count("A photo is skipped: row 2") == 1
    assert caplog.text.count("A photo is skipped") == 1


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([photo_row(n, "one") for n in range(8)], "8 photos of 1 people can be used"),
        ([photo_row(n, None) for n in range(3)], "Only 3 photos can be targets"),
        (
            [replace(photo_row(n, None), image=b"") for n in range(8)],
            r"passed over: 8 corrupt.*a batch smaller than 4",
        ),
        (
            [replace(photo_row(n, None), landmarks=None) for n in range(8)],
            r"8 without landmarks.*train\.prepare` to find the landmarks",
        ),
    ],
)
def test_photos_that_fill_no_batch_are_an_error_that_says_why(rows, message):
    with pytest.raises(TrainingError, match=message):
        loader_of(MemoryPhotos([rows]))
