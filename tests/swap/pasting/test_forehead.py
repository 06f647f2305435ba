"""A swapped face's forehead: spots go, the target's lines stay, and nothing else changes."""

import cv2
import numpy as np
import pytest

from simswap import geometry
from simswap.swap.pasting.forehead import SHARE, keep_forehead
from simswap.swap.pasting.masks import face_mask

SIZE = 128
LANDMARKS = geometry.TEMPLATES["simswap_frontal"] * SIZE
MASK = face_mask(LANDMARKS, SIZE, 0.08)
EYES, MOUTH = LANDMARKS[:2].mean(0), LANDMARKS[3:].mean(0)
HEIGHT = float(MOUTH[1] - EYES[1])
SPOT = (int(EYES[0]), int(EYES[1] - 0.85 * HEIGHT))  # (x, y), on the forehead
SKIN = (0.7, 0.55, 0.45)


def face(spots: float = 0.0, skin: tuple[float, ...] = SKIN) -> np.ndarray:
    """[S, S, 3] float32: skin, with two spots on the forehead that are darker by so much."""
    crop = np.full((SIZE, SIZE, 3), skin, np.float32)
    for beside in (-8, 8):
        darker = tuple(value - spots for value in skin)
        cv2.circle(crop, (SPOT[0] + beside, SPOT[1]), 3, darker, -1)
    return crop


def as_bytes(crop: np.ndarray) -> np.ndarray:
    return np.rint(crop * 255).astype(np.uint8)


def spots_in(crop: np.ndarray) -> float:
    """How much darker they are than the skin between them."""
    x, y = SPOT
    return float(crop[y, x].mean() - (crop[y, x - 8].mean() + crop[y, x + 8].mean()) / 2)


def test_spots_go_that_the_target_does_not_have():
    spotted = face(0.2)
    cleared = keep_forehead(spotted, as_bytes(face()), MASK, LANDMARKS)
    assert cleared.dtype == np.float32
    assert spots_in(cleared) < (1.1 - SHARE) * spots_in(spotted)


def test_the_targets_lines_come():
    lined = keep_forehead(face(), as_bytes(face(0.2)), MASK, LANDMARKS)
    assert 0.5 * SHARE < spots_in(lined) / 0.2 <= 1


def test_the_skin_keeps_its_tone():
    crop = face()
    kept = keep_forehead(crop, as_bytes(face(skin=(0.4, 0.3, 0.25))), MASK, LANDMARKS)
    assert np.allclose(kept, crop, atol=1e-3)


def test_nothing_from_the_brows_downwards_or_outside_of_the_face_changes():
    random = np.random.default_rng(5)
    crop = random.random((SIZE, SIZE, 3), np.float32)
    target = random.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    changed = np.abs(keep_forehead(crop, target, MASK, LANDMARKS) - crop).max(axis=2) > 1e-6
    assert changed.any()
    assert not changed[int(EYES[1] - 0.55 * HEIGHT) :].any()
    assert not changed[MASK == 0].any()


@pytest.mark.parametrize("factor", [0.0, 1e-3, 1e6, -1.0])
def test_landmarks_that_lie_anywhere_make_no_error(factor):
    crop = face(0.2)
    assert np.isfinite(keep_forehead(crop, as_bytes(face()), MASK, LANDMARKS * factor)).all()
