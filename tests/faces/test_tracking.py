import numpy as np
import pytest

from simswap.faces.tracking import LiveFollower, detect_and_follow, follow, steadied
from simswap.geometry import apply, invert
from simswap.types import Face, SwapOptions
from tests.support.media.face_videos import NUM_FRAMES, face_frame, face_to_frame

GREY = np.full((192, 240, 3), 127, np.uint8)
NOISE = 1.5  # px


@pytest.fixture(scope="module")
def frames(astronaut) -> list[np.ndarray]:
    return [face_frame(astronaut, number) for number in range(12)]


@pytest.fixture(scope="module")
def true_faces(swapper, frames) -> list[Face]:
    """The first frame's face, moved as the picture was moved."""
    (first,) = swapper.detect(frames[0])
    portrait = apply(invert(face_to_frame(0)), first.landmarks)
    middle = apply(invert(face_to_frame(0)), (first.box[:2] + first.box[2:]) / 2)
    half = (first.box[2:] - first.box[:2]) / 2
    faces = []
    for number in range(len(frames)):
        centre = apply(face_to_frame(number), middle)
        box = np.concatenate([centre - half, centre + half]).astype(np.float32)
        landmarks = apply(face_to_frame(number), portrait).astype(np.float32)
        faces.append(Face(box, landmarks, first.score))
    return faces


def error(face: Face, true: Face) -> float:
    """Root mean square over the landmarks, in pixels."""
    return float(np.sqrt(((face.landmarks - true.landmarks) ** 2).sum(axis=1).mean()))


def test_a_face_is_followed_to_where_it_moved(frames, true_faces):
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
def test_only_the_middle_of_each_group_is_detected(frames, true_faces, every, detected):
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


def test_following_real_detections_is_as_near_as_detecting_each_frame(swapper, astronaut):
    frames = [face_frame(astronaut, number) for number in range(NUM_FRAMES - 10)]

    def detect(some: list[np.ndarray]) -> list[list[Face]]:
        return swapper.detect_batch(some, SwapOptions())

    each = detect_and_follow(detect, frames, 1)
    followed = detect_and_follow(detect, frames, 3)
    assert all(len(faces) == 1 for faces in (*each, *followed))
    apart = [error(one[0], other[0]) for one, other in zip(each, followed, strict=True)]
    side = max(each[0][0].box[2:] - each[0][0].box[:2])
    assert np.median(apart) < 0.02 * side


def test_steadying_halves_the_jitter_of_landmarks_and_lags_behind_no_motion(frames, true_faces):
    noise = np.random.default_rng(0).normal(0, NOISE, (len(frames), 5, 2)).astype(np.float32)
    shaky = [
        [Face(face.box, face.landmarks + off, face.score)]
        for face, off in zip(true_faces, noise, strict=True)
    ]
    calm = steadied(frames, shaky)
    before = np.mean([error(*pair) for pair in zip([f for (f,) in shaky], true_faces, strict=True)])
    after = np.mean([error(*pair) for pair in zip([f for (f,) in calm], true_faces, strict=True)])
    assert after < 0.65 * before  # three readings instead of one: 1 / sqrt(3)
    exact = steadied(frames, [[face] for face in true_faces])
    assert max(error(f, true) for (f,), true in zip(exact, true_faces, strict=True)) < 0.3


def test_steadying_leaves_a_lone_frame_and_its_order_alone(frames, true_faces):
    faces = [[true_faces[0], Face(true_faces[0].box + 50, true_faces[0].landmarks + 50, 0.5)]]
    (kept,) = steadied(frames[:1], faces)
    for face, before in zip(kept, faces[0], strict=True):
        np.testing.assert_array_equal(face.landmarks, before.landmarks)
    assert steadied([GREY], [[]]) == [[]]


def test_faces_of_another_scene_steady_nothing(frames, true_faces):
    row, faces = [frames[0], GREY], [[true_faces[0]], []]
    kept = steadied(row, faces)
    np.testing.assert_array_equal(kept[0][0].landmarks, true_faces[0].landmarks)
    assert kept[1] == []


def test_live_faces_are_detected_now_and_then_and_followed_in_between(frames, true_faces):
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


def test_a_live_stream_without_a_face_is_detected_in_every_frame(frames, true_faces):
    answers = iter([[], [], [true_faces[0]], []])
    follower = LiveFollower(lambda _: [next(answers)], every=10)
    found = [len(follower.faces_in(frame)) for frame in (GREY, GREY, frames[0], GREY)]
    assert found == [0, 0, 1, 0]
