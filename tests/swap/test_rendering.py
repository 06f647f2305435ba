from dataclasses import replace

import numpy as np
import pytest
import torch

from simswap import Face, SwapOptions, geometry
from simswap.swap import rendering
from simswap.swap.rendering import AlignedFace, align_face, paste_faces

SIZE = 32


def a_face(left: float, top: float, width: float) -> Face:
    landmarks = geometry.TEMPLATES["simswap_frontal"] * width + [left, top]
    box = np.array([left, top, left + width, top + width], np.float32)
    return Face(box, landmarks.astype(np.float32), 0.9)


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (120, 160, 3), np.uint8)


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    rows = np.random.default_rng(2).standard_normal((20, 512)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def align(frame: np.ndarray, face: Face) -> AlignedFace:
    return align_face(frame, face, "simswap_frontal", SIZE)


def test_aligned_landmarks_lie_on_the_template(frame):
    aligned = align(frame, a_face(40, 30, 60))
    assert aligned.crop.shape == (SIZE, SIZE, 3)
    expected = geometry.TEMPLATES["simswap_frontal"] * SIZE
    np.testing.assert_allclose(aligned.landmarks, expected, atol=1e-4)


def test_embeddings_have_unit_length_and_tell_crops_apart(tiny_swapper, frame):
    faces = [a_face(20, 10, 60), a_face(80, 40, 50)]
    embedded = tiny_swapper.embed(frame, faces)
    np.testing.assert_allclose(np.linalg.norm(embedded, axis=1), 1, atol=1e-5)
    assert not np.allclose(embedded[0], embedded[1])


def test_a_crowd_larger_than_a_batch_gives_what_single_faces_give(tiny_swapper, frame, embeddings):
    aligned = [align(frame, a_face(5 * i, 2 * i, 40 + i)) for i in range(rendering.FACE_BATCH + 4)]
    crowd = rendering.generate(tiny_swapper.running.generator, aligned, embeddings)
    for number in (0, rendering.FACE_BATCH - 1, rendering.FACE_BATCH, len(aligned) - 1):
        alone = rendering.generate(
            tiny_swapper.running.generator, [aligned[number]], embeddings[number : number + 1]
        )
        np.testing.assert_allclose(crowd[number], alone[0], atol=1e-5)


@pytest.mark.parametrize("once_more", [0.0, 0.4, 1.0])
def test_a_face_goes_on_towards_what_it_is_when_swapped_twice(
    tiny_swapper, frame, embeddings, once_more
):
    generator, faces = tiny_swapper.running.generator, [align(frame, a_face(9, 9, 70))]
    first = rendering.generate(generator, faces, embeddings[:1])
    again = [replace(faces[0], crop=np.rint(first[0] * 255).astype(np.uint8))]
    second = rendering.generate(generator, again, embeddings[:1])
    gone_on = rendering.generate(generator, faces, embeddings[:1], once_more)
    assert not np.allclose(first, second, atol=1e-3)
    np.testing.assert_allclose(gone_on, first + once_more * (second - first), atol=1e-5)


@pytest.mark.parametrize(
    ("side", "kind", "number"),
    [(112, "cpu", 16), (128, "cpu", 16), (224, "cpu", 5), (1024, "cpu", 1), (512, "cuda", 16)],
)
def test_of_large_crops_few_are_computed_at_once_on_a_cpu(side, kind, number):
    assert rendering.batch_size(side, torch.device(kind)) == number


def test_generated_crops_are_rgb_pixels_last(tiny_swapper, frame, embeddings):
    crops = rendering.generate(
        tiny_swapper.running.generator, [align(frame, a_face(9, 9, 70))], embeddings[:1]
    )
    assert crops.shape == (1, SIZE, SIZE, 3)
    assert crops.dtype == np.float32
    assert 0 <= crops.min() <= crops.max() <= 1


def test_the_larger_of_two_overlapping_faces_lies_on_top(frame):
    frame = np.full_like(frame, 128)  # without fine detail, which would be pasted too
    large, small = align(frame, a_face(30, 20, 90)), align(frame, a_face(50, 50, 40))
    white, black = np.ones((SIZE, SIZE, 3), np.float32), np.zeros((SIZE, SIZE, 3), np.float32)
    options = SwapOptions(match_colour=False, match_light=False)
    pasted, _ = paste_faces(frame, [large, small], [black, white], options)
    assert (pasted[70, 70] == 255).all()


def test_colour_match_follows_the_option(frame):
    frame = np.full_like(frame, 128)
    face = align(frame, a_face(30, 20, 90))
    black = np.zeros((SIZE, SIZE, 3), np.float32)
    plain, matched = (
        paste_faces(frame, [face], [black], SwapOptions(match_colour=match, match_light=False))[0]
        for match in (False, True)
    )
    assert plain[70, 75].max() == 0
    assert matched[70, 75].min() > 0
