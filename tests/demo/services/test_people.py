"""Several people in one photo: each face gets the one who was chosen for it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap.errors import OptionError
from tests.support.examples import EXAMPLES

pytestmark = pytest.mark.slow

photos = pytest.importorskip("simswap.demo.services.photos")
choices = pytest.importorskip("simswap.demo.choices")


@pytest.fixture
def people(tmp_path: Path, monkeypatch) -> list["photos.Person"]:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    names = ("astronaut.jpg", "grace_hopper.jpg")
    return [photos.Person([str(shutil.copy(EXAMPLES / name, tmp_path))]) for name in names]


@pytest.fixture
def target(tmp_path: Path) -> str:
    return str(shutil.copy(EXAMPLES / "two_portraits.jpg", tmp_path))


def resembled(swapper, people, path: str) -> list[int]:
    """Of each face, from left to right: the person whom it resembles most."""
    image = np.array(Image.open(path).convert("RGB"))
    faces = swapper.detect(image)
    own = swapper.embed(image, [faces[number] for number in photos.left_to_right(faces)])
    read = [np.array(Image.open(person.photos[0]).convert("RGB")) for person in people]
    given = np.stack([swapper.identity_of(photo).embedding for photo in read])
    return (own @ given.T).argmax(axis=1).tolist()


@pytest.mark.parametrize("turned", [False, True])
def test_each_face_gets_its_own_person(swapper, people, target, turned):
    image = np.array(Image.open(target).convert("RGB"))
    left, right = photos.left_to_right(swapper.detect(image))
    who = {left: int(turned), right: int(not turned)}
    path, summary, _ = photos.swap_and_locate(people, target, choices.Choices(), who)
    assert resembled(swapper, people, path) == [int(turned), int(not turned)]
    assert len(summary["swapped"]) == 2


def test_without_a_choice_people_are_taken_in_turn(swapper, people, target):
    path, _, _ = photos.swap_and_locate(people[::-1], target, choices.Choices())
    assert resembled(swapper, people, path) == [1, 0]


def test_photos_of_all_people_together_are_limited(people, target):
    many = [photos.Person(person.photos * 5) for person in people]
    with pytest.raises(OptionError, match="10 source photos are too many"):
        photos.swap_and_locate(many, target, choices.Choices())
