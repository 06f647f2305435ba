"""Who becomes whom: chosen people and assignments, in films and streams."""

import numpy as np
import pytest

from simswap import Assignment, Identity, OptionError, SwapOptions
from simswap.faces.looks import Looks
from simswap.faces.people import Person
from simswap.faces.runs import Run
from simswap.faces.tracking import LiveFollower
from simswap.swap.casting import StreamCast, cast_of, film_roles
from simswap.types import FaceChoice
from tests.support.media.people_videos import (
    NUM_FRAMES,
    crossing,
    frames_of,
    sizes,
    who_is_at,
)


def unit(*values: float) -> np.ndarray:
    vector = np.zeros(512, np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def person(number: int, first: int, last: int, embedding: np.ndarray) -> Person:
    looks = Looks(embedding.astype(float), 1.0, 0.0)
    best = (first, 100.0, np.array([0.0, 0, 10, 10]))
    return Person.of_run(Run(number, first, last, looks, None, 100.0, best))


ANNA, BERT = Identity(unit(1)), Identity(unit(0, 1))
NEW = Identity(unit(0, 0, 1))
# Bert comes twice, from two sides, and was not joined; there is a stranger, too.
PEOPLE = [
    person(0, 0, 99, ANNA.embedding),
    person(1, 0, 40, unit(0, 1, 0.3)),
    person(2, 50, 99, unit(0, 1, -0.5)),
    person(3, 20, 60, unit(0, 0.9, 0, 0.7)),
]


@pytest.mark.parametrize(
    ("faces", "chosen"), [("all", [0, 1, 2, 3]), ("largest", [0]), ((3, 1), [1, 3]), ((), [])]
)
def test_faces_are_people_of_the_film(faces: FaceChoice, chosen: list[int]):
    roles, notices = film_roles(PEOPLE, NEW, faces)
    assert (list(roles), notices) == (chosen, ())
    assert list(cast_of(roles, NEW).identities.values()) == [NEW] * len(chosen)


def test_a_film_of_nobody_has_no_largest():
    assert film_roles([], NEW, "largest") == ({}, ())


@pytest.mark.parametrize(("source", "faces"), [(NEW, (0, 4)), ([Assignment(NEW, number=4)], "all")])
def test_a_person_not_there_says_how_many_there_are(source, faces):
    with pytest.raises(OptionError, match="no person number 4: the video shows 4"):
        film_roles(PEOPLE, source, faces)


def test_a_reference_person_is_everybody_alike_of_whom_no_two_are_seen_at_once():
    roles, notices = film_roles(PEOPLE, [Assignment(NEW, BERT)], "all")
    assert (roles, notices) == ({1: 0, 2: 0}, ())


def test_numbers_are_served_first_and_others_stay():
    source = [Assignment(NEW, BERT), Assignment(NEW, number=2)]
    assert film_roles(PEOPLE, source, "all")[0] == {1: 0, 2: 1}
    assert film_roles(PEOPLE, source, (2,))[0] == {2: 1}


def test_a_reference_who_is_not_there_is_told():
    roles, notices = film_roles(PEOPLE, [Assignment(NEW, Identity(unit(0, 0, 0, 0, 1)))], "all")
    assert roles == {}
    assert ["reference person 1" in notice for notice in notices] == [True]


def followed(swapper, scene, source, options) -> list[set[str]]:
    """Who becomes somebody else in each frame of a stream."""
    cast, whom = StreamCast(swapper.embed, source, options), []
    follower = LiveFollower(lambda some: swapper.detect_batch(some, options), 3)
    for number, frame in enumerate(frames_of(scene)):
        faces, now = cast.next(frame, follower.faces_in(frame))
        whom.append({who_is_at(scene, number, faces[i].box) for i in now.of_faces(faces)})
    return whom


def test_in_a_stream_the_largest_is_held_while_sizes_change(swapper, identity):
    whom = followed(swapper, sizes, identity, SwapOptions(faces="largest"))
    assert whom == [{"hopper"}] * NUM_FRAMES[sizes]


def test_in_a_stream_assignments_follow_their_people(swapper, identity, grace_hopper):
    hopper = swapper.identity_of(grace_hopper)
    whom = followed(swapper, crossing, [Assignment(identity, hopper)], SwapOptions())
    assert set().union(*whom) == {"hopper"}
    by_number = followed(swapper, crossing, [Assignment(identity, number=0)], SwapOptions())
    assert by_number == whom


@pytest.mark.parametrize("way", ["swap_frames", "swap_live"])
def test_frames_of_a_stream_are_swapped_as_cast(swapper, identity, way):
    frames = frames_of(sizes)[4::3]
    numbered = [Assignment(identity, number=1)]
    for number, result in enumerate(getattr(swapper, way)(frames, numbered)):
        (index,) = result.swapped
        assert result.faces[index].track == 1
        assert who_is_at(sizes, 4 + 3 * number, result.faces[index].box) == "astronaut"
