from dataclasses import replace

import numpy as np
import pytest

from simswap.faces.tracking import LiveFollower, detect_and_follow, follow
from simswap.types import Face, SwapOptions
from tests.support.media.face_videos import NUM_FRAMES, face_frame

GREY = np.full((192, 240, 3), 127, np.uint8)


def test_a_face_is_followed_to_where_it_moved(frames, true_faces, error):
    for number in range(len(frames) - 1):
        ahead = follow(true_faces[number], frames[number], frames[number + 1])
        assert error(ahead, true_faces[number + 1]) < 0.3
        assert np.abs(ahead.box - true_faces[number + 1].box).max() < 3


@pytest.mark.parametrize("other", [GREY, np.full((96, 120, 3), 127, np.uint8)])
def test_a_face_that_is_gone_is_lost(frames, true_faces, other):
    assert follow(true_faces[0], frames[0], other) is None


def test_a_cut_to_another_scene_loses_the_face(frames, true_faces):
    noise = np.random.default_rng(0).integers(0, 256, frames[0].shape, np.uint8)
    assert follow(true_faces[0], frames[0], noise) is None


def test_a_face_outside_the_frame_is_lost(frames, true_faces):
    outside = Face(true_faces[0].box + 1000, true_faces[0].landmarks + 1000, 1.0)
    assert follow(outside, frames[0], frames[1]) is None


@pytest.mark.parametrize(
    ("every", "detected"), [(1, range(12)), (3, (1, 4, 7, 10)), (5, (2, 7, 11))]
)
def test_only_the_middle_of_each_group_is_detected(frames, true_faces, every, detected, error):
    asked = []

    def detect(some: list[np.ndarray]) -> list[list[Face]]:
        numbers = [next(i for i, frame in enumerate(frames) if frame is one) for one in some]
        asked.extend(numbers)
        return [[true_faces[number]] for number in numbers]

    found = detect_and_follow(detect, frames, every)
    assert sorted(asked) == list(detected)
    assert [len(faces) for faces in found] == [1] * len(frames)
    assert max(error(faces[0], true) for faces, true in zip(found, true_faces, strict=True)) < 0.6


def test_a_frame_into_which_a_face_cannot_be_followed_is_detected(swapper, frames):
    row = [GREY, frames[0], GREY]
    found = detect_and_follow(lambda some: swapper.detect_batch(some, SwapOptions()), row, 3)
    assert [len(faces) for faces in found] == [0, 1, 0]


def test_following_real_detections_is_as_near_as_detecting_each_frame(swapper, astronaut, error):
    frames = [face_frame(astronaut, number) for number in range(NUM_FRAMES - 10)]

    def detect(some: list[np.ndarray]) -> list[list[Face]]:
        return swapper.detect_batch(some, SwapOptions())

    each = detect_and_follow(detect, frames, 1)
    followed = detect_and_follow(detect, frames, 3)
    assert all(len(faces) == 1 for faces in (*each, *followed))
    apart = [error(one[0], other[0]) for one, other in zip(each, followed, strict=True)]
    side = max(each[0][0].box[2:] - each[0][0].box[:2])
    assert np.median(apart) < 0.02 * side


def test_live_faces_are_detected_now_and_then_and_followed_in_between(frames, true_faces, error):
    detected = []

    def detect(batch):
        number = next(i for i, frame in enumerate(frames) if frame is batch[0])
        detected.append(number)
        return [[true_faces[number]]]

    follower = LiveFollower(detect, every=4)
    for frame, true in zip(frames, true_faces, strict=True):
        (face,) = follower.faces_in(frame)
        assert error(face, true) < 0.9
    assert detected == [0, 4, 8]


def test_a_live_face_jumps_half_as_far_as_it_is_detected_to(frames, true_faces, error):
    shaken = [
        replace(face, landmarks=face.landmarks + (2 if number % 2 else -2))
        for number, face in enumerate(true_faces)
    ]
    follower = LiveFollower(lambda _: [[next(detected)]], every=1)
    detected = iter(shaken)
    away = [
        error(follower.faces_in(frame)[0], true)
        for frame, true in zip(frames, true_faces, strict=True)
    ]
    assert np.mean(away[1:]) < 0.5 * error(shaken[0], true_faces[0])


def test_a_live_stream_without_a_face_is_detected_in_every_frame(frames, true_faces):
    answers = iter([[], [], [true_faces[0]], []])
    follower = LiveFollower(lambda _: [next(answers)], every=10)
    found = [len(follower.faces_in(frame)) for frame in (GREY, GREY, frames[0], GREY)]
    assert found == [0, 0, 1, 0]
