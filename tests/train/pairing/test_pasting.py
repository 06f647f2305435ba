"""Targets with somebody else's lower face: what is pasted, what stays, and who is taken."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.media.memory_photos import MemoryPhotos
from tests.train.pairing.test_mixed_pairs import HALVES, MIXED, take
from tests.train.pairing.test_pairs import SETTINGS
from train.data.rows import PhotoRow
from train.pairing.loader import PairLoader
from train.pairing.pasting import beard_of, fits, paste_lower_face

LANDMARKS = np.array([(75, 80), (125, 80), (100, 108), (80, 135), (120, 135)], float)
CHIN, UPPER_LIP, CHEEK, LIPS, EYE = (100, 157), (100, 121), (68, 108), (100, 135), (75, 80)


def face(beard: bool, colour: tuple[int, int, int] = (200, 150, 120)) -> np.ndarray:
    """Flat skin, with or without a dark lower face."""
    photo = np.full((220, 200, 3), colour, np.uint8)
    if beard:
        cv2.ellipse(photo, (100, 140), (40, 34), 0, 0, 360, (40, 30, 25), -1)
        cv2.ellipse(photo, LIPS, (18, 7), 0, 0, 360, (180, 60, 60), -1)
    return photo


def at(photo: np.ndarray, place: tuple[int, int]) -> np.ndarray:
    return photo[place[1], place[0]].astype(int)


def test_a_beard_is_told_by_its_darkness_against_the_cheeks():
    assert beard_of(face(beard=False), LANDMARKS) == pytest.approx(1, abs=0.02)
    assert beard_of(face(beard=True), LANDMARKS) < 0.6


def test_the_others_beard_is_pasted_and_lips_cheeks_and_eyes_stay():
    target, other = face(beard=False), face(beard=True)
    made = paste_lower_face(target, LANDMARKS, other, LANDMARKS)
    for place in (CHIN, UPPER_LIP):
        assert np.abs(at(made, place) - at(other, place)).max() < 25
    for place in (LIPS, CHEEK, EYE):
        assert np.abs(at(made, place) - at(target, place)).max() < 25


def test_a_beard_goes_where_the_other_has_none():
    target = face(beard=True)
    made = paste_lower_face(target, LANDMARKS, face(beard=False), LANDMARKS)
    assert at(made, UPPER_LIP).min() > 100
    assert np.abs(at(made, LIPS) - at(target, LIPS)).max() < 25


def test_what_is_pasted_is_brought_into_the_targets_light():
    target, other = face(False, (200, 150, 120)), face(False, (150, 120, 100))
    made = paste_lower_face(target, LANDMARKS, other, LANDMARKS)
    assert np.abs(made.astype(int) - target).max() <= 4


def test_faces_in_too_different_light_are_refused():
    dark = face(False, (60, 40, 30))
    assert paste_lower_face(face(False), LANDMARKS, dark, LANDMARKS) is None


def test_the_others_landmarks_come_to_lie_on_the_targets():
    moved = np.array([[1, 0, 30], [0, 1, -20]], float)
    other = cv2.warpAffine(face(True), moved, (260, 260), borderMode=cv2.BORDER_REPLICATE)
    made = paste_lower_face(face(False), LANDMARKS, other, np.add(LANDMARKS, (30, -20)))
    straight = paste_lower_face(face(False), LANDMARKS, face(True), LANDMARKS)
    assert np.abs(made.astype(int) - straight).mean() < 1


def test_a_face_fits_itself_moved_and_scaled_but_no_profile():
    assert fits(LANDMARKS, LANDMARKS * 1.7 + 40)
    profile = LANDMARKS.copy()
    profile[2, 0] += 25  # the nose reaches past an eye
    assert not fits(LANDMARKS, profile)


def rows_of(count: int) -> MemoryPhotos:
    """People of two photos each, every other one bearded."""
    rows = []
    for number in range(count):
        content = cv2.imencode(".png", face(beard=number % 4 < 2)[..., ::-1])[1].tobytes()
        rows.append(PhotoRow(content, f"person {number // 2}", LANDMARKS, f"row {number}"))
    return MemoryPhotos([rows])


def test_so_many_inputs_at_a_same_identity_batchs_end_are_pasted_and_their_truth_is_not():
    settings = replace(SETTINGS, pasted=0.5, crop_size=64)
    batch = take(settings, 1, rows_of(32))[0]
    changed = (batch.inputs != batch.targets).flatten(1).any(1).tolist()
    assert batch.same
    assert changed == [False, False, True, True]


def test_batches_of_two_people_have_no_inputs_of_their_own():
    settings = replace(SETTINGS, pasted=0.5, crop_size=64)
    assert take(settings, 2, rows_of(32))[1].inputs is None


def test_an_input_is_cut_and_coloured_as_its_truth():
    settings = replace(HALVES, pasted=1.0, crop_size=64)
    varied = replace(settings.augmentation, exposure=1.0, roll=10.0, gain=0.15)
    batch = take(replace(settings, augmentation=varied), 1, rows_of(32), same_every=1)
    upper = np.s_[:, :28]  # above the nose's tip nothing is pasted
    apart = batch[0].inputs[upper].int() - batch[0].targets[upper].int()
    assert apart.abs().max() <= 2


def test_pasting_changes_neither_targets_nor_sources():
    plain, pasted = (take(replace(HALVES, pasted=share), 6) for share in (0.0, 0.5))
    for before, after in zip(plain, pasted, strict=True):
        assert before.targets.equal(after.targets)
        assert before.sources.equal(after.sources)


def test_the_same_position_pastes_the_same():
    settings = replace(HALVES, pasted=0.5)
    whole = take(settings, 9)
    loader = PairLoader(MIXED, settings)
    items = iter(loader)
    [next(items) for _ in range(4)]
    rest = take(settings, 5, state=loader.state)
    for before, after in zip(whole[4:], rest, strict=True):
        assert (before.inputs is None) == (after.inputs is None)
        if before.inputs is not None:
            assert before.inputs.equal(after.inputs)
