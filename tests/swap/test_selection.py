import numpy as np
import pytest

from simswap import Assignment, Face, Identity, OptionError, SwapOptions
from simswap.faces.looks import SAME_PERSON_COSINE
from simswap.models.facial_hair import FacialHair, FacialHairConfig
from simswap.swap.selection import (
    check_face_numbers,
    choose_faces,
    for_target,
    match_people,
)

FACES = [Face(np.array([0, 0, s, s]), np.zeros((5, 2)), 0.9) for s in (90, 60, 30)]


def unit(*values: float) -> np.ndarray:
    vector = np.zeros(512, np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


ANNA, BERT = Identity(unit(1)), Identity(unit(0, 1))
NEW_ANNA, NEW_BERT = Identity(unit(0, 0, 1)), Identity(unit(0, 0, 0, 1))
BOTH = [Assignment(NEW_ANNA, ANNA), Assignment(NEW_BERT, BERT)]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [("all", (0, 1, 2)), ("largest", (0,)), ((1,), (1,)), ((2, 0, 2), (0, 2)), ((1, 9), (1,))],
)
def test_choice_picks_faces_in_order_and_skips_numbers_not_there(choice, expected):
    assert choose_faces(FACES, SwapOptions(faces=choice)) == expected


def test_largest_of_no_faces_is_none():
    assert choose_faces([], SwapOptions(faces="largest")) == ()


def test_a_face_number_not_there_says_how_many_there_are():
    with pytest.raises(OptionError, match="no face number 3: the photo shows 3"):
        check_face_numbers((0, 3), len(FACES))


def test_an_empty_choice_is_refused():
    with pytest.raises(OptionError, match="picks no face"):
        check_face_numbers((), len(FACES))


def test_each_reference_finds_its_person_whatever_the_order():
    embeddings = np.stack([unit(0.1, 1), unit(0, 0, 0, 0, 1), unit(1, 0.1)])
    found, notices = match_people(embeddings, range(3), BOTH)
    assert found == {0: 1, 2: 0}
    assert notices == ()


def test_the_best_pair_is_served_first():
    embeddings = np.stack([unit(0.8, 0.6), unit(0.95, 0.3)])  # both look like Anna, the second more
    found, _ = match_people(embeddings, range(2), BOTH)
    assert found == {1: 0, 0: 1}


def test_a_reference_goes_to_one_face_only():
    embeddings = np.stack([unit(1, 0.2), unit(1, 0.1)])
    found, _ = match_people(embeddings, range(2), BOTH[:1])
    assert found == {1: 0}


def test_a_numbered_face_is_served_before_references():
    embeddings = np.stack([unit(1), unit(0, 1)])
    numbered = Assignment(NEW_BERT, number=7)
    found, notices = match_people(embeddings, [4, 7], [*BOTH, numbered])
    assert found == {7: 2, 4: 0}
    assert ["reference person 2" in notice for notice in notices] == [True]


@pytest.mark.parametrize("whom", [{}, {"reference": ANNA, "number": 0}, {"number": -1}])
def test_an_assignment_says_in_one_way_whom_it_means(whom):
    with pytest.raises(OptionError, match="Assignment"):
        Assignment(NEW_ANNA, **whom)


def test_a_stranger_gets_no_identity_and_the_reference_a_notice():
    stranger = unit(SAME_PERSON_COSINE - 0.05, 0, 0, 0, 0.97)[None]
    found, notices = match_people(stranger, [0], BOTH[:1])
    assert found == {}
    assert len(notices) == 1
    assert "reference person 1" in notices[0]
    assert "0.25" in notices[0]


def test_guidance_moves_an_identity_away_from_the_target():
    pushed = for_target(NEW_ANNA, ANNA.embedding, 0.5).embedding
    assert pushed @ ANNA.embedding < NEW_ANNA.embedding @ ANNA.embedding


@pytest.mark.parametrize(
    ("target", "length"), [(unit(1), 0), (unit(0.5, 0.75**0.5), 0.5**0.5), (unit(0, 1), 1)]
)
def test_a_guided_identity_is_as_long_as_there_is_to_go(target, length):
    pushed = for_target(ANNA, target, 0.5).embedding
    assert np.linalg.norm(pushed) == pytest.approx(length, abs=1e-6)


def test_without_guidance_an_identity_stays_as_it_is():
    assert for_target(ANNA, unit(0.5, 0.75**0.5), 0.0) is ANNA


def test_a_face_keeps_its_facial_hair_where_the_model_knows_it():
    hair = FacialHair(FacialHairConfig())
    hair.readout[0] = 1
    hair.direction[2] = 0.5
    found = for_target(BERT, ANNA.embedding, 0.0, hair=hair).embedding
    assert found == pytest.approx(unit(0, 1, 0.5), abs=1e-6)
    assert for_target(BERT, NEW_ANNA.embedding, 0.0, hair=hair).embedding == pytest.approx(
        unit(0, 1)
    )


@pytest.mark.parametrize("guidance", [0.0, 0.5, 1.0])
def test_likeness_goes_from_the_targets_own_identity_to_the_sources(guidance):
    target = unit(0.5, 0.75**0.5)
    ways = [for_target(ANNA, target, guidance, likeness).embedding for likeness in (0.25, 0.75, 1)]
    cosines = [way @ target / np.linalg.norm(way) for way in ways]
    assert cosines == sorted(cosines, reverse=True)
    np.testing.assert_array_equal(for_target(ANNA, target, guidance, 1.5).embedding, ways[-1])


def test_without_likeness_a_guided_generator_has_nowhere_to_go_and_others_get_the_target():
    target = unit(0.5, 0.75**0.5)
    assert np.linalg.norm(for_target(ANNA, target, 0.5, 0.0).embedding) == 0
    assert for_target(ANNA, target, 0.0, 0.0).embedding == pytest.approx(target)


def test_the_usual_likeness_changes_no_bit():
    target = unit(0.5, 0.75**0.5)
    usual = for_target(ANNA, target, 1.0).embedding
    np.testing.assert_array_equal(for_target(ANNA, target, 1.0, 1.0).embedding, usual)
