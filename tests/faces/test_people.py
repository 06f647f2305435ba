"""Who is who from frame to frame, in scenes of two people."""

from collections import Counter
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from simswap import FaceSwapper, SwapOptions
from simswap.faces import people, runs
from simswap.faces.looks import Looks
from simswap.faces.people import FilmPeople, Person, StreamPeople, joined
from simswap.faces.runs import Run, RunTracker
from simswap.faces.tracking import detect_and_follow
from simswap.types import Face
from tests.support.media.people_videos import (
    NUM_FRAMES,
    Scene,
    cast_of,
    crossing,
    cuts,
    exit_and_return,
    frames_of,
    look_alikes,
    sizes,
    who_is_at,
)

FRAME = np.zeros((64, 64, 3), np.uint8)
GLIMPSE = 2  # frames
SCENES = pytest.mark.parametrize("scene", [crossing, exit_and_return, cuts, sizes, look_alikes])


@pytest.fixture(scope="module")
def faces_of(swapper: FaceSwapper) -> Callable[[Scene], list[list[Face]]]:
    """Faces of a scene's frames, found as in a video."""

    @cache
    def find(scene: Scene) -> list[list[Face]]:
        options = SwapOptions()
        return detect_and_follow(
            lambda some: swapper.detect_batch(some, options), frames_of(scene), 3
        )

    return find


def assert_kept(scene: Scene, faces: list[list[Face]], numbers: list[list[int]]) -> None:
    """Each of the two has one number, but for a glimpse half behind the other, which no one has."""
    found: dict[str, Counter] = {who: Counter() for who in cast_of(scene)}
    for frame, (seen, given) in enumerate(zip(faces, numbers, strict=True)):
        for face, number in zip(seen, given, strict=True):
            found[who_is_at(scene, frame, face.box)][number] += 1
    own, other = found.values()
    assert not set(own) & set(other)
    for count in (own, other):
        assert count.total() - max(count.values()) <= GLIMPSE


@SCENES
def test_in_a_film_everybody_keeps_their_number(swapper, faces_of, scene):
    tracker, film, seen = RunTracker(), FilmPeople(), faces_of(scene)
    given = []
    for number, (frame, faces) in enumerate(zip(frames_of(scene), seen, strict=True)):
        given.append(tracker.update(number, frame, faces, swapper.embed))
    film.add(tracker.finish())
    person_of = {run: i for i, person in enumerate(film.finish()) for run in person.runs}
    numbers = [[person_of[run.number] for run in frame] for frame in given]
    assert_kept(scene, seen, numbers)


@SCENES
def test_in_a_stream_everybody_keeps_their_number(swapper, faces_of, scene):
    stream, seen = StreamPeople(swapper.embed), faces_of(scene)
    given = [
        [face.track for face in stream.numbered(frame, faces)]
        for frame, faces in zip(frames_of(scene), seen, strict=True)
    ]
    assert_kept(scene, seen, given)


def test_few_faces_are_embedded_while_nothing_is_in_doubt(swapper, faces_of):
    asked = []

    def embed(frame, faces):
        asked.extend(faces)
        return swapper.embed(frame, faces)

    tracker = RunTracker()
    for number, (frame, faces) in enumerate(zip(frames_of(sizes), faces_of(sizes), strict=True)):
        tracker.update(number, frame, faces, embed)
    assert len(tracker.finish()) == 2
    assert len(asked) <= 8  # of 24


def unit(*values: float) -> np.ndarray:
    vector = np.zeros(512)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def person(number: int, first: int, last: int, embedding: np.ndarray, vague: float = 0) -> Person:
    looks = Looks(embedding, 1.0, vague)
    best = (first, 100.0, np.array([0.0, 0, 10, 10]))
    return Person.of_run(Run(number, first, last, looks, None, 100.0, best))


def test_nobody_is_in_two_places_at_once():
    one, other = unit(1), unit(1, 0.1)
    twins = [person(0, 0, 9, one), person(1, 9, 20, other), person(2, 21, 30, other)]
    assert sorted(sorted(one.runs) for one in joined(twins)) == [[0], [1, 2]]


def test_vague_faces_are_not_joined_because_all_vague_faces_are_alike():
    alike = unit(1), unit(1, 0.9)  # a cosine of 0.74
    clear = [person(0, 0, 9, alike[0]), person(1, 10, 20, alike[1])]
    vague = [person(0, 0, 9, alike[0], 0.9), person(1, 10, 20, alike[1], 0.9)]
    assert (len(joined(clear)), len(joined(vague))) == (1, 2)


def test_people_are_numbered_by_face_area_over_the_film():
    film, tracker = FilmPeople(), RunTracker()
    box = np.array([0, 0, 20, 20], np.float32)
    far, near = (Face(box * k + 1, np.zeros((5, 2), np.float32), 0.9) for k in (1, 1.5))
    embeddings = {20.0: unit(1), 30.0: unit(0, 1)}

    def embed(frame, faces):
        return np.stack([embeddings[round(float(face.box[2] - face.box[0]))] for face in faces])

    for number in range(8):  # the larger face is there for two frames only
        tracker.update(number, FRAME, [near] if number < 2 else [far], embed)
    film.add(tracker.finish())
    tracks = [one.as_track(number) for number, one in enumerate(film.finish())]
    assert [(one.num_frames, one.area, one.first, one.last) for one in tracks] == [
        (6, 2400, 2, 7),
        (2, 1800, 0, 1),
    ]


def crowd(number: int, count: int) -> tuple[list[Face], Callable]:
    """Faces that nobody has seen before, in places where none was."""
    rng = np.random.default_rng(number)

    def embed(frame, faces):
        vectors = rng.standard_normal((len(faces), 512))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    corners = rng.uniform(0, 2000, (count, 2)).astype(np.float32)
    boxes = np.concatenate([corners, corners + 20], axis=1)
    return [Face(box, np.zeros((5, 2), np.float32), 0.9) for box in boxes], embed


def test_however_many_come_only_some_are_kept_in_mind(monkeypatch):
    monkeypatch.setattr(people, "MAX_PEOPLE", 12)
    monkeypatch.setattr(people, "MAX_OPEN", 10)
    tracker, film = RunTracker(), FilmPeople()
    for number in range(12):
        faces, embed = crowd(number, 8)
        tracker.update(number, FRAME, faces, embed)
        film.add(tracker.taken())
        assert len(film._people) <= 12 + 10 + 8
    film.add(tracker.finish())
    assert len(film.finish()) == 12
    stream = StreamPeople(crowd(0, 0)[1])
    for number in range(12):
        stream.numbered(FRAME, crowd(number, 8)[0])
    assert len(stream._known) <= 12


def test_faces_beyond_the_limits_belong_to_nobody(monkeypatch):
    monkeypatch.setattr(runs, "MAX_FACES", 5)
    monkeypatch.setattr(runs, "MAX_RUNS", 7)
    tracker = RunTracker()
    for number, expected in ((0, 5), (1, 2), (2, 0)):
        faces, embed = crowd(number, 8)
        found = tracker.update(number, FRAME, faces, embed)
        assert [run is not None for run in found] == [i < expected for i in range(8)]
    assert tracker.num_left_out == 3 * 8 - 7


def test_in_a_stream_the_foremost_passes_on_with_a_clear_lead_only():
    def embed(frame, faces):
        return np.stack([unit(1) if face.box[0] < 100 else unit(0, 1) for face in faces])

    def face(left: float, side: float) -> Face:
        box = np.array([left, 0, left + side, side], np.float32)
        return Face(box, np.zeros((5, 2), np.float32), 0.9)

    stream, foremost = StreamPeople(embed), []
    for number in range(40):
        side = 40 + (4 if number % 2 else -4) if number < 20 else 60
        stream.numbered(FRAME, [face(0, 40), face(200, side)])
        foremost.append(stream.foremost)
    assert foremost[:20] == [0] * 20
    assert foremost[-1] == 1
    assert foremost == sorted(foremost)


def test_every_scene_shows_both(faces_of):
    for scene in NUM_FRAMES:
        seen = {who_is_at(scene, i, f.box) for i, fs in enumerate(faces_of(scene)) for f in fs}
        assert len(seen) == 2
