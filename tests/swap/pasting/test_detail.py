"""A large face keeps the fine detail that the generator's crop cannot hold."""

import cv2
import numpy as np
import pytest

from simswap import geometry
from simswap.swap.pasting.detail import with_detail
from simswap.swap.rendering import AlignedFace, align_face, fit_crop, paste_faces
from simswap.types import Face, SwapOptions

SIZE, SIDE = 128, 320


def large_face() -> np.ndarray:
    """Skin with pores: [320, 320, 3] uint8, soft shading and noise of single pixels."""
    random = np.random.default_rng(4)
    shading = cv2.GaussianBlur(random.normal(size=(SIDE, SIDE, 1)), (0, 0), 20)
    pores = random.normal(size=(SIDE, SIDE, 1))
    picture = 120 + 25 * shading[..., None] / shading.std() + 8 * pores
    return np.repeat(picture, 3, axis=2).clip(0, 255).astype(np.uint8)


TARGET = large_face()
GIVEN = cv2.resize(TARGET, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
KEPT = GIVEN.astype(np.float32) / 255


def fineness(picture: np.ndarray) -> float:
    return float((picture - cv2.GaussianBlur(picture, (0, 0), 1.5)).std())


def test_a_swap_that_changed_nothing_shows_the_target_itself():
    np.testing.assert_allclose(with_detail(KEPT, GIVEN, TARGET), TARGET / 255, atol=1e-5)


def test_another_light_keeps_the_detail():
    brighter = with_detail(KEPT + 0.1, GIVEN, TARGET)
    np.testing.assert_allclose(brighter, TARGET / 255 + 0.1, atol=1e-5)


def test_where_the_swap_drew_something_else_the_targets_detail_is_left_out():
    swapped = KEPT.copy()
    swapped[40:90:6, 20:60] = 0  # strokes on the left, nothing on the right
    result = with_detail(swapped, GIVEN, TARGET)
    plain = cv2.resize(swapped, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    left, right = (slice(110, 215), slice(60, 140)), (slice(110, 215), slice(220, 300))
    assert fineness(result[left] - plain[left]) < 0.3 * fineness(TARGET[left] / 255)
    assert fineness(result[right]) == pytest.approx(fineness(TARGET[right] / 255), rel=0.02)


def a_face(scale: float) -> tuple[np.ndarray, AlignedFace]:
    """A frame, and a face in it whose crop of 128 px covers 128 * scale."""
    frame = cv2.resize(TARGET, None, fx=2.5 * scale / 2, fy=2.5 * scale / 2)
    landmarks = geometry.TEMPLATES["simswap_frontal"] * SIZE * scale + 4
    face = Face(np.zeros(4, np.float32), landmarks.astype(np.float32), 1.0)
    return frame, align_face(frame, face, "simswap_frontal", SIZE)


@pytest.mark.parametrize(("scale", "side"), [(1.0, 128), (1.2, 128), (1.5, 192), (6.0, 512)])
def test_crops_are_enlarged_to_the_size_of_the_face_and_no_further(scale, side):
    frame, face = a_face(scale)
    kept = face.crop.astype(np.float32) / 255
    enlarged, fitted = fit_crop(frame, face, kept, SwapOptions())
    assert len(fitted.swapped) == len(fitted.mask) == len(enlarged.crop) == side
    in_frame = [
        geometry.apply(geometry.invert(one.frame_to_crop), one.landmarks)
        for one in (face, enlarged)
    ]
    np.testing.assert_allclose(*in_frame, atol=1e-6)


def test_an_unchanged_large_face_is_pasted_back_as_sharp_as_it_was():
    frame, face = a_face(2.0)
    kept = face.crop.astype(np.float32) / 255
    pasted, _ = paste_faces(
        frame, [face], [kept], SwapOptions(match_colour=False, match_light=False)
    )
    inside = slice(90, 180), slice(90, 180)
    sharpness = fineness(frame[inside].astype(np.float32))
    assert fineness(pasted[inside].astype(np.float32)) > 0.9 * sharpness
    assert np.abs(pasted.astype(int) - frame)[inside].mean() < 1.5
