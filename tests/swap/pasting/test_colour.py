"""A swapped face in its target's colours, place by place."""

import cv2
import numpy as np
import pytest

from simswap import geometry
from simswap.swap.pasting.colour import match_colour
from simswap.swap.pasting.masks import face_mask
from simswap.watermark.embedding import LUMA

SIZE = 128
LANDMARKS = geometry.TEMPLATES["simswap_frontal"] * SIZE
MASK = face_mask(LANDMARKS, SIZE, 0.12)
SKIN = np.array([0.8, 0.6, 0.5], np.float32)
HAIR = np.array([0.15, 0.14, 0.14], np.float32)
BROW = np.s_[52:60, 40:90]


def random_crop(low: float = 0.2, high: float = 0.7) -> np.ndarray:
    return np.random.default_rng(5).uniform(low, high, (SIZE, SIZE, 3)).astype(np.float32)


def masked_mean(crop: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return (crop * mask[..., None]).sum((0, 1)) / mask.sum()


def skin_with(colour: np.ndarray) -> np.ndarray:
    """Skin, with something else where a brow is; of soft edges, as in photos."""
    crop = np.tile(SKIN, (SIZE, SIZE, 1))
    crop[BROW] = colour
    return cv2.GaussianBlur(crop, (0, 0), 1)


def saturation(crop: np.ndarray) -> np.ndarray:
    """Red above blue as a share of luma: 0.45 of skin here, 0.07 of hair."""
    return (crop[..., 0] - crop[..., 2]) / (crop @ LUMA)


def left_of(cast: np.ndarray, target: np.ndarray, place: np.ndarray) -> float:
    """What share of a cast's mean over a place remains once it is matched."""
    before, after = (
        np.abs(masked_mean(crop, place) - masked_mean(target, place)).max()
        for crop in (cast, match_colour(cast, target, MASK, LANDMARKS))
    )
    return after / before


def test_colour_match_brings_a_small_cast_to_the_targets_colour():
    target = random_crop()
    cast = target + np.array([0.04, -0.02, 0.03], np.float32)
    assert left_of(cast, target, MASK) < 0.1


def test_colour_match_leaves_a_crop_that_already_matches():
    crop = random_crop()
    np.testing.assert_allclose(match_colour(crop, crop, MASK, LANDMARKS), crop, atol=1 / 255)


def test_colour_match_is_bounded_against_a_target_of_another_colour():
    crop = random_crop()
    red = np.zeros((SIZE, SIZE, 3), np.uint8)
    red[..., 0] = 255
    before, after = (
        picture[..., 1:] - picture[..., :1]
        for picture in (crop, match_colour(crop, red, MASK, LANDMARKS))
    )
    assert np.abs(after - before).mean() < 0.3  # of the 1 between red and grey


def test_colour_match_removes_a_cast_on_one_side_of_the_face():
    target = random_crop()
    one_sided = MASK * (np.arange(SIZE) < SIZE // 2)
    cast = target + one_sided[..., None] * np.array([0.04, -0.02, 0.03], np.float32)
    assert left_of(cast, target, one_sided) < 0.3


def test_colour_match_keeps_the_new_faces_fine_features():
    target = random_crop()
    line = np.zeros((SIZE, SIZE, 1), np.float32)
    line[SIZE // 2 - 1 : SIZE // 2 + 1] = -0.2
    matched = match_colour(np.clip(target + line, 0, 1), target, MASK, LANDMARKS)
    middle = np.s_[SIZE // 2 - 1 : SIZE // 2 + 1, SIZE // 3 : -SIZE // 3]
    assert (matched - target)[middle].mean() < -0.12


def test_colour_match_without_a_mask_changes_nothing():
    crop = random_crop()
    matched = match_colour(crop, crop[::-1], np.zeros((SIZE, SIZE), np.float32), LANDMARKS)
    np.testing.assert_array_equal(matched, crop)


def test_skin_in_the_place_of_a_brow_has_the_colour_of_skin():
    matched = match_colour(skin_with(SKIN), skin_with(HAIR), MASK, LANDMARKS)
    np.testing.assert_allclose(saturation(matched)[BROW], saturation(SKIN), atol=0.03)


def test_a_brow_in_the_place_of_skin_has_the_colour_of_the_targets_hair():
    target = skin_with(SKIN)
    target[20:30] = HAIR
    swapped = target.copy()
    swapped[BROW] = HAIR * np.array([1.3, 1.0, 0.7], np.float32)
    matched = match_colour(swapped, target, MASK, LANDMARKS)
    assert saturation(matched)[54:58, 45:85].max() < 0.6 * saturation(swapped)[56, 65]


def test_a_shadow_on_skin_keeps_the_hue_of_skin():
    matched = match_colour(skin_with(SKIN * 0.6), skin_with(SKIN), MASK, LANDMARKS)
    hues = matched[BROW] / matched[BROW].sum(-1, keepdims=True)
    np.testing.assert_allclose(hues, np.broadcast_to(SKIN / SKIN.sum(), hues.shape), atol=0.02)


def test_the_white_of_an_eye_that_has_moved_stays_white():
    x, y = LANDMARKS[0].astype(int)
    target, swapped = skin_with(SKIN), skin_with(SKIN)
    white = SKIN.mean()  # no lighter than skin
    target[y - 2 : y + 3, x - 5 : x + 6] = white
    swapped[y - 1 : y + 4, x - 7 : x + 4] = white
    matched = match_colour(swapped, target, MASK, LANDMARKS)
    assert saturation(matched)[y : y + 3, x - 5 : x + 2].max() < 0.3 * saturation(SKIN)


@pytest.mark.parametrize("patch", [(0.05, -0.08, 0.12), (0.08, 0.08, -0.2), (-0.1, 0.05, 0.02)])
def test_a_patch_of_a_colour_that_the_target_has_nowhere_goes(patch):
    target = skin_with(HAIR)
    tinted = target.copy()
    tinted[90:100, 40:90] += np.array(patch, np.float32)
    matched = match_colour(tinted, target, MASK, LANDMARKS)[90:100, 40:90]
    colour = matched - (matched @ LUMA)[..., None]
    assert np.abs(colour - (SKIN - SKIN @ LUMA)).max() < 0.08
