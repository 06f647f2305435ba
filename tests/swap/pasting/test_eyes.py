"""A swapped face's eyes: no paler than the target's, with its looks, and nothing else changes."""

import cv2
import numpy as np
import pytest

from simswap import geometry
from simswap.swap.pasting.eyes import MOST_GAIN, keep_gaze, match_eyes
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


def looking_aside(crop: np.ndarray, by: int) -> np.ndarray:
    """The same with pupils moved by so many pixels."""
    for eye in np.round(LANDMARKS[:2]).astype(int).tolist():
        cv2.circle(crop, eye, 6, (0.8, 0.65, 0.55), -1)
        cv2.circle(crop, (eye[0] + by, eye[1]), 3, (0.3, 0.15, 0.05), -1)
    return crop


def test_eyes_look_more_where_the_targets_do():
    ahead, target = looking_aside(face(0.4), 0), looking_aside(face(0.4), 2)
    kept = keep_gaze(ahead, as_bytes(target), MASK, LANDMARKS)
    assert kept.dtype == np.float32
    x, y = np.round(LANDMARKS[0]).astype(int)

    def far_from_it(crop: np.ndarray) -> float:
        return float(np.abs(crop - target)[y - 3 : y + 4, x - 5 : x + 6].mean())

    assert far_from_it(kept) < 0.9 * far_from_it(ahead)


def test_of_the_same_eyes_none_is_kept():
    crop = as_bytes(face(0.3))
    same = keep_gaze(crop.astype(np.float32) / 255, crop, MASK, LANDMARKS)
    assert np.array_equal(as_bytes(same), crop)


@pytest.mark.parametrize("change", [match_eyes, keep_gaze])
def test_nothing_else_changes(change):
    crop, target = face(0.2), as_bytes(face(0.4))
    random = np.random.default_rng(3)
    crop += random.normal(0, 0.02, crop.shape).astype(np.float32)
    changed = np.abs(change(crop, target, MASK, LANDMARKS) - crop).max(axis=2) > 1e-3
    near = np.zeros((SIZE, SIZE), np.uint8)
    for eye in np.round(LANDMARKS[:2]).astype(int).tolist():
        cv2.circle(near, eye, 18, 1, -1)
    assert changed.any()
    assert not changed[near == 0].any()
    crop = np.clip(crop, 0, 1)
    assert np.array_equal(change(crop, target, np.zeros_like(MASK), LANDMARKS), crop)


@pytest.mark.parametrize("change", [match_eyes, keep_gaze])
@pytest.mark.parametrize("factor", [0.0, 1e-3, 1e6])
def test_landmarks_that_lie_anywhere_make_no_error(change, factor):
    crop = face(0.2)
    changed = change(crop, as_bytes(face(0.4)), MASK, LANDMARKS * factor)
    assert np.isfinite(changed).all()
