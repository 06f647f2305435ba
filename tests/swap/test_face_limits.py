"""Pictures of very many faces cost no more than those of a large group; memory may run out."""

import tracemalloc

import cv2
import numpy as np
import pytest
import torch

from simswap import SwapOptions
from simswap.errors import MediaError
from simswap.faces import detection, nms
from simswap.faces.nms import Candidates, suppress_doubles, to_faces
from simswap.memory import naming_memory
from simswap.swap.selection import MAX_FACES, choose_faces, left_out
from simswap.types import Face

FACE = Face(np.zeros(4, np.float32), np.zeros((5, 2), np.float32), 0.9)


@pytest.fixture(scope="module")
def crowd(astronaut) -> np.ndarray:
    """A hundred faces, ten in a row."""
    head = cv2.resize(astronaut[:260, 100:360], (64, 64), interpolation=cv2.INTER_AREA)
    return np.tile(head, (10, 10, 1))


def test_of_a_crowd_the_largest_faces_get_a_second_look(swapper, crowd, monkeypatch):
    looked_at, look_again = [], detection.look_again

    def counted(detector, frames, found, unclear):
        looked_at.extend(len(numbers) for numbers in unclear)
        return look_again(detector, frames, found, unclear)

    monkeypatch.setattr(detection, "look_again", counted)
    assert len(swapper.detect(crowd)) > MAX_FACES
    assert looked_at == [detection.MAX_LOOKS]


def test_no_more_faces_come_out_than_are_worth_listing(swapper, crowd, monkeypatch):
    monkeypatch.setattr(nms, "MAX_FOUND", 70)
    faces = swapper.detect(crowd)
    assert len(faces) == 70


def test_a_low_threshold_cannot_make_every_cell_a_face(swapper, crowd, monkeypatch):
    monkeypatch.setattr(nms, "MAX_CANDIDATES", 30)
    assert len(swapper.detect(crowd, min_score=0.0001)) <= 60


def test_of_a_crowd_the_largest_faces_are_swapped_and_the_result_says_so(
    swapper, crowd, identity, monkeypatch
):
    monkeypatch.setattr("simswap.swap.selection.MAX_FACES", 3)
    result = swapper.swap_image(crowd, identity)
    assert result.swapped == (0, 1, 2)
    assert result.notices[0] == f"Of {len(result.faces)} faces found the 3 largest are swapped."


@pytest.mark.parametrize("faces", ["all", tuple(range(100))])
def test_as_many_faces_are_chosen_as_are_swapped_at_most(faces):
    options = SwapOptions(faces=faces)
    assert choose_faces([FACE] * 100, options) == tuple(range(MAX_FACES))
    assert left_out([FACE] * 100, options) == ("Of 100 faces found the 64 largest are swapped.",)


@pytest.mark.parametrize("faces", ["largest", (5,), (99, 120)])
def test_a_few_of_many_faces_are_chosen_without_a_notice(faces):
    assert left_out([FACE] * 100, SwapOptions(faces=faces)) == ()


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("could not create a primitive"),
        RuntimeError("std::bad_alloc"),
        cv2.error("OpenCV: (-4:Insufficient memory) Failed to allocate 9 bytes"),
    ],
)
def test_out_of_memory_is_a_sentence(error):
    with pytest.raises(MediaError, match="not enough memory"), naming_memory():
        raise error


def test_other_failures_of_a_library_stay_what_they_are():
    with pytest.raises(RuntimeError, match="shapes"), naming_memory():
        raise RuntimeError("shapes do not fit")


def test_landmarks_stay_with_their_box():
    boxes, rolled = np.array([[10.0, 10, 30, 50]]), np.zeros(1, bool)
    landmarks = np.array([[[15, 20], [25, 20], [-1e9, 30], [1e9, 1e9], [21, 71.0]]])
    (face,) = to_faces(Candidates(np.ones(1), boxes, landmarks, rolled, rolled), (60, 80, 3))
    assert face.landmarks.tolist() == [[15, 20], [25, 20], [0, 30], [40, 70], [21, 70]]


def test_memory_for_candidates_grows_with_their_number_alone():
    at = np.random.default_rng(0).uniform(0, 1e5, (4000, 2))  # hardly any two overlap
    boxes, rolled = np.concatenate([at, at + 30], axis=1), np.zeros(len(at), bool)
    seen = Candidates(np.linspace(0, 1, len(at)), boxes, np.zeros((len(at), 5, 2)), rolled, rolled)
    tracemalloc.start()
    kept = suppress_doubles(seen)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept.scores[-1] < kept.scores[0] == 1
    assert most < 4e6
