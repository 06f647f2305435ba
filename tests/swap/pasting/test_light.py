"""A swapped face in its target's light: contrast, black and white, colour."""

import cv2
import numpy as np
import pytest

from simswap import geometry
from simswap.swap.pasting.light import light_wanted, match_light
from simswap.swap.pasting.masks import face_mask
from simswap.watermark.embedding import LUMA

SIZE = 128
MASK = face_mask(geometry.TEMPLATES["simswap_frontal"] * SIZE, SIZE, 0.08)


def picture(seed: int, low: float, high: float, colour: float = 0.0) -> np.ndarray:
    """[S, S, 3] float32 with detail of every size, luma from about low to high."""
    random = np.random.default_rng(seed)
    layers = [cv2.GaussianBlur(random.normal(size=(SIZE, SIZE)), (0, 0), s) for s in (1, 4, 16)]
    luma = sum(layer / layer.std() for layer in layers)
    luma = low + (high - low) * (luma - luma.min()) / np.ptp(luma)
    tint = cv2.GaussianBlur(random.normal(size=(SIZE, SIZE, 3)), (0, 0), 6)
    tint -= (tint @ LUMA)[..., None]
    return np.clip(luma[..., None] + colour * tint / tint.std(), 0, 1).astype(np.float32)


def as_bytes(crop: np.ndarray) -> np.ndarray:
    return np.rint(crop * 255).astype(np.uint8)


def contrast(crop: np.ndarray) -> float:
    return float((crop @ LUMA)[MASK > 0.5].std())


def test_a_grey_targets_result_has_no_colour_at_all():
    target = as_bytes(picture(1, 0.1, 0.9))
    matched = match_light(picture(2, 0.1, 0.9, colour=0.05), target, MASK)
    assert np.ptp(as_bytes(matched), axis=-1).max() == 0


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.2), (0.1, 0.9), (0.4, 0.6)])
def test_contrast_stays_within_a_quarter_of_the_targets(low: float, high: float):
    target = picture(1, low, high)
    for swapped in (picture(2, 0.0, 0.9), picture(3, low, high)):
        ratio = contrast(match_light(swapped, as_bytes(target), MASK)) / contrast(target)
        assert 0.8 <= ratio <= 1.25


def test_a_dark_targets_result_goes_little_beyond_its_white():
    target = picture(1, 0.02, 0.2)
    matched = match_light(picture(2, 0.0, 1.0), as_bytes(target), MASK) @ LUMA
    assert matched.max() <= 0.2 + 0.2 * 0.18


def test_a_face_in_the_targets_own_light_stays_as_it_is():
    target = picture(1, 0.1, 0.9, colour=0.03)
    swapped = np.clip(target + 0.01 * (picture(2, 0, 1) - 0.5), 0, 1)
    matched = match_light(swapped, as_bytes(target), MASK)
    inside = MASK > 0.5
    low, high = np.percentile((target @ LUMA)[inside], (1, 99))
    held = inside & (swapped @ LUMA > low) & (swapped @ LUMA < high)
    np.testing.assert_allclose(matched[held], swapped[held], atol=1e-5)


def test_without_a_mask_nothing_is_matched():
    swapped = picture(2, 0, 1)
    nowhere = np.zeros((SIZE, SIZE), np.float32)
    assert match_light(swapped, as_bytes(picture(1, 0, 0.2)), nowhere) is swapped


def test_only_a_dark_face_is_shown_in_more_light_and_the_darker_the_more():
    wanted = [light_wanted(as_bytes(picture(1, 0.0, high))) for high in (0.9, 0.7, 0.3, 0.1, 0.0)]
    assert wanted[:2] == [1, 1]
    assert 1 < wanted[2] < wanted[3] < wanted[4] <= 8
