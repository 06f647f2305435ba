"""What may happen to training photos: each effect, how often, and that it can be switched off."""

import cv2
import numpy as np
import pytest

from train.errors import TrainingError
from train.pairing.augmentation import CHANCES, EFFECTS, Augmentation, vary_picture


@pytest.fixture
def crop():
    """A smooth colourful picture, neither dark nor bright."""
    noise = np.random.default_rng(0).integers(60, 190, (8, 8, 3), dtype=np.uint8)
    return cv2.resize(noise, (64, 64), interpolation=cv2.INTER_CUBIC)


def varied(crop: np.ndarray, seed: int = 1, **settings: float) -> np.ndarray:
    return vary_picture(crop, np.random.default_rng(seed), Augmentation(**settings))


def fineness(picture: np.ndarray) -> float:
    return float(np.abs(np.diff(picture.astype(float), axis=0)).mean())


def test_the_defaults_leave_a_picture_as_it_is(crop):
    assert varied(crop) is crop
    assert not Augmentation().changes_pictures


@pytest.mark.parametrize("name", CHANCES)
def test_each_effect_changes_a_picture_when_its_chance_is_one(crop, name):
    made = varied(crop, **{name: 1.0})
    assert made.dtype == np.uint8
    assert made.shape == crop.shape
    assert not np.array_equal(made, crop)


@pytest.mark.parametrize("name", CHANCES)
def test_an_effect_happens_as_often_as_its_chance_says(crop, name):
    changed = [not np.array_equal(varied(crop, seed, **{name: 0.3}), crop) for seed in range(300)]
    assert 0.22 < np.mean(changed) < 0.38


def test_the_same_chance_gives_the_same_picture(crop):
    everything = dict.fromkeys(EFFECTS, 0.7)
    assert np.array_equal(varied(crop, 3, **everything), varied(crop, 3, **everything))


def test_switching_an_effect_on_leaves_the_draws_of_the_others_as_they_were(crop):
    exposed = varied(crop, 2, exposure=1.0)
    grey = varied(crop, 2, exposure=1.0, grey=1.0)
    luma = cv2.cvtColor(exposed, cv2.COLOR_RGB2GRAY)
    assert np.abs(grey[..., 0].astype(int) - luma).max() <= 1


def test_a_share_of_nought_spares_the_picture(crop):
    all_on = Augmentation(**dict.fromkeys(EFFECTS, 1.0))
    assert vary_picture(crop, np.random.default_rng(0), all_on, 0.0) is crop


def test_grey_takes_the_colour_away(crop):
    made = varied(crop, grey=1.0)
    assert (made == made[..., :1]).all()


@pytest.mark.parametrize("seed", range(10))
def test_exposure_stays_within_its_stops(crop, seed):
    ratio = varied(crop, seed, exposure=1.0, exposure_stops=0.5).mean() / crop.mean()
    assert 2 ** (-0.51 / 2.2) < ratio < 2 ** (0.51 / 2.2)


@pytest.mark.parametrize("seed", range(10))
def test_contrast_keeps_the_mean_and_changes_the_spread_within_its_range(crop, seed):
    made = varied(crop, seed, contrast=1.0, contrast_range=0.3)
    assert abs(made.mean() - crop.mean()) < 1
    assert 0.69 < made.std() / crop.std() < 1.31


@pytest.mark.parametrize("seed", range(10))
def test_white_balance_moves_red_against_blue_and_leaves_green(crop, seed):
    made = varied(crop, seed, white_balance=1.0).astype(float)
    gains = made.mean((0, 1)) / crop.mean((0, 1))
    assert gains[1] == pytest.approx(1, abs=0.01)
    assert gains[0] * gains[2] == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("seed", range(10))
def test_low_light_is_darker_by_at_least_half_of_its_stops(crop, seed):
    made = varied(crop, seed, low_light=1.0, low_light_stops=2.0)
    assert made.mean() < crop.mean() * 2 ** (-0.95 / 2.2)


def test_blur_softens_and_noise_roughens(crop):
    sharp = np.random.default_rng(0).integers(0, 256, crop.shape, dtype=np.uint8)
    assert fineness(varied(sharp, blur=1.0)) < fineness(sharp)
    assert fineness(varied(crop, noise=1.0)) > fineness(crop)


def test_a_jpeg_keeps_the_colours_in_their_order(crop):
    made = varied(crop, jpeg=1.0).astype(float)
    assert np.abs(made.mean((0, 1)) - crop.mean((0, 1))).max() < 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"grey": 1.5}, "augmentation.grey=1.5 must lie in"),
        ({"mirror": -0.5}, "augmentation.mirror=-0.5 must lie in"),
        ({"blur_sigma": -1}, "augmentation.blur_sigma=-1 must be at least 0"),
        ({"contrast_range": 1.0}, "augmentation.contrast_range=1.0 must be below 1"),
        ({"jpeg_quality": 0}, "augmentation.jpeg_quality=0 must lie in"),
    ],
)
def test_a_setting_that_does_not_fit_is_named(settings, message):
    with pytest.raises(TrainingError, match=message):
        Augmentation(**settings)
