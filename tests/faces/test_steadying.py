from collections.abc import Sequence

import numpy as np

from simswap.faces.steadying import FoundFaces, links_between, neighbours, steadied
from simswap.types import Face

GREY = np.full((192, 240, 3), 127, np.uint8)
NOISE = 1.5  # px


def row_of(frames: Sequence[np.ndarray], faces: Sequence[list[Face]]) -> list[FoundFaces]:
    """Frames in a row with their faces, linked."""
    links = [[None] * len(faces[0])]
    for i in range(1, len(frames)):
        links.append(links_between(frames[i - 1], faces[i - 1], frames[i], faces[i]))
    return [FoundFaces(*pair) for pair in zip(faces, links, strict=True)]


def shaken(faces: Sequence[Face]) -> list[list[Face]]:
    noise = np.random.default_rng(0).normal(0, NOISE, (len(faces), 5, 2)).astype(np.float32)
    return [
        [Face(face.box, face.landmarks + off, face.score)]
        for face, off in zip(faces, noise, strict=True)
    ]


def test_steadying_halves_the_jitter_of_landmarks(frames, true_faces, error):
    shaky = shaken(true_faces)
    row = row_of(frames, shaky)
    calm = [steadied(row, i)[0] for i in range(len(row))]
    before = np.mean([error(one, true) for (one,), true in zip(shaky, true_faces, strict=True)])
    after = np.mean([error(*pair) for pair in zip(calm, true_faces, strict=True)])
    assert after < 0.55 * before  # in the middle of the row sqrt(44) / 16 = 0.41


def test_steadying_lags_behind_no_motion(frames, true_faces, error):
    row = row_of(frames, [[face] for face in true_faces])
    for i, true in enumerate(true_faces):
        assert error(steadied(row, i)[0], true) < 0.4


def test_steadying_keeps_boxes_scores_and_order(frames, true_faces):
    second = Face(true_faces[0].box + 50, true_faces[0].landmarks + 50, 0.5)
    row = row_of(frames[:1], [[true_faces[0], second]])
    for face, before in zip(steadied(row, 0), row[0].faces, strict=True):
        np.testing.assert_allclose(face.landmarks, before.landmarks, atol=1e-4)
        np.testing.assert_array_equal(face.box, before.box)
        assert face.score == before.score


def test_a_track_ends_where_the_face_is_gone_and_at_a_cut(frames, true_faces):
    noise = np.random.default_rng(0).integers(0, 256, frames[0].shape, np.uint8)
    for scene, faces in ((GREY, []), (noise, [true_faces[1]])):
        row = row_of([frames[0], scene, frames[2]], [[true_faces[0]], faces, [true_faces[2]]])
        assert [list(neighbours(row, i, 0, 2)) for i in (0, 2)] == [[], []]


def test_the_same_face_is_found_in_frames_before_and_after(frames, true_faces):
    away = Face(true_faces[0].box + 900, true_faces[0].landmarks + 900, 0.5)
    faces = [[one, away] if i % 2 else [away, one] for i, one in enumerate(true_faces)]
    row = row_of(frames, faces)
    found = {(one.frame, one.face) for one in neighbours(row, 5, 1 - 5 % 2, 3)}
    assert found == {(i, 0 if i % 2 else 1) for i in (2, 3, 4, 6, 7, 8)}
