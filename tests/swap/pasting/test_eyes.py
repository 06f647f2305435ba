"""A swapped face's eyes: no paler than the target's, and nothing else is touched."""

import cv2
import numpy as np
import pytest

from simswap import geometry
from simswap.swap.pasting.eyes import MOST_GAIN, match_eyes
from simswap.swap.pasting.masks import face_mask
from simswap.watermark.embedding import LUMA

SIZE = 128
LANDMARKS = geometry.TEMPLATES["simswap_frontal"] * SIZE
MASK = face_mask(LANDMARKS, SIZE, 0.08)


def face(contrast: float) -> np.ndarray:
    """[S, S, 3] float32: skin, and eyes with pupils that are darker by so much, whites lighter."""
    crop = np.full((SIZE, SIZE, 3), (0.7, 0.55, 0.45), np.float32)
    for eye in np.round(LANDMARKS[:2]).astype(int).tolist():
        cv2.circle(crop, eye, 6, (0.7 + contrast / 3, 0.55 + contrast / 3, 0.45 + contrast / 3), -1)
        cv2.circle(crop, eye, 3, (0.7 - contrast, 0.55 - contrast, 0.45 - contrast), -1)
    return crop


def as_bytes(crop: np.ndarray) -> np.ndarray:
    return np.rint(crop * 255).astype(np.uint8)


def in_eyes(crop: np.ndarray) -> float:
    """How much lightness varies there."""
    x, y = np.round(LANDMARKS[0]).astype(int)
    return float((crop[y - 5 : y + 6, x - 8 : x + 9] @ LUMA).std())


@pytest.mark.parametrize("share", [0.6, 0.8])
def test_pale_eyes_come_closer_to_the_targets_contrast(share):
    pale, target = face(0.4 * share), face(0.4)
    matched = match_eyes(pale, as_bytes(target), MASK, LANDMARKS)
    assert matched.dtype == np.float32
    half = (in_eyes(pale) + in_eyes(target)) / 2
    assert 0.97 * half < in_eyes(matched) < in_eyes(target)


def test_pupils_get_darker_and_whites_hardly_lighter():
    pale = face(0.2)
    change = match_eyes(pale, as_bytes(face(0.4)), MASK, LANDMARKS) - pale
    assert 0 < 2 * change.max() < -change.min()


def test_it_is_raised_within_bounds():
    pale = face(0.05)
    matched = match_eyes(pale, as_bytes(face(0.45)), MASK, LANDMARKS)
    assert 1.2 < in_eyes(matched) / in_eyes(pale) < MOST_GAIN + 0.01


@pytest.mark.parametrize("contrast", [0.0, 0.1, 0.3])
def test_eyes_stay_where_the_targets_are_closed_or_as_pale(contrast):
    crop = face(0.3)
    assert match_eyes(crop, as_bytes(face(contrast)), MASK, LANDMARKS) is crop


def test_nothing_else_changes():
    crop, target = face(0.2), as_bytes(face(0.4))
    random = np.random.default_rng(3)
    crop += random.normal(0, 0.02, crop.shape).astype(np.float32)
    changed = np.abs(match_eyes(crop, target, MASK, LANDMARKS) - crop).max(axis=2) > 1e-3
    near = np.zeros((SIZE, SIZE), np.uint8)
    for eye in np.round(LANDMARKS[:2]).astype(int).tolist():
        cv2.circle(near, eye, 18, 1, -1)
    assert changed.any()
    assert not changed[near == 0].any()
    assert np.array_equal(match_eyes(crop, target, np.zeros_like(MASK), LANDMARKS), crop)


@pytest.mark.parametrize("factor", [0.0, 1e-3, 1e6])
def test_landmarks_that_lie_anywhere_make_no_error(factor):
    crop = face(0.2)
    matched = match_eyes(crop, as_bytes(face(0.4)), MASK, LANDMARKS * factor)
    assert np.isfinite(matched).all()
