"""Crops that training reads: where landmarks land, what jitter does, what lies outside a photo."""

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip("datasets", reason="needs the train extra")

from simswap.geometry import TEMPLATES
from simswap.runtime.pixels import network_input
from train.pairing.alignment import align_source, align_target, coverage
from train.pairing.augmentation import Augmentation

LANDMARKS = TEMPLATES["arcface"] * 80 + 60
STILL = Augmentation(shift=0, scale=0, roll=0, gain=0, channel_gain=0)


def dotted(points: np.ndarray) -> np.ndarray:
    """A dark photo with a bright dot at each point."""
    photo = np.zeros((200, 200, 3), np.uint8)
    for x, y in points:
        cv2.circle(photo, (round(x * 16), round(y * 16)), 2 * 16, (255, 255, 255), -1, shift=4)
    return photo


def brightness_at(crop: np.ndarray, points: np.ndarray) -> np.ndarray:
    places = np.rint(points).astype(int)
    return crop[places[:, 1], places[:, 0], 0]


def test_a_source_crop_has_its_landmarks_on_the_arcface_template():
    crop = align_source(dotted(LANDMARKS), LANDMARKS)
    assert brightness_at(crop, TEMPLATES["arcface"] * 112).min() > 200


@pytest.mark.parametrize("seed", range(4))  # mirrored and not
def test_a_target_crop_has_its_landmarks_near_the_template(seed):
    random = np.random.default_rng(seed)
    crop = align_target(dotted(LANDMARKS), LANDMARKS, "arcface", 96, random, STILL)
    assert brightness_at(crop, TEMPLATES["arcface"] * 96).min() > 100


def test_jitter_moves_landmarks_no_further_than_it_says():
    augmentation = Augmentation(shift=0.03, scale=0.04, roll=3, gain=0, channel_gain=0)
    point = TEMPLATES["arcface"][2] * 96  # the nose
    for seed in range(20):
        random = np.random.default_rng(seed)
        photo = dotted(LANDMARKS[2:3])
        crop = align_target(photo, LANDMARKS, "arcface", 96, random, augmentation)[..., 0].astype(
            float
        )
        place = np.array([(crop.sum(0) * np.arange(96)).sum(), (crop.sum(1) * np.arange(96)).sum()])
        assert np.abs(place / crop.sum() - point).max() < 0.05 * 96


def test_colour_jitter_stays_within_its_gains():
    photo = np.full((200, 200, 3), 100, np.uint8)
    augmentation = Augmentation(gain=0.1, channel_gain=0.1)
    for seed in range(20):
        random = np.random.default_rng(seed)
        crop = align_target(photo, LANDMARKS, "arcface", 32, random, augmentation)
        assert crop.min() >= 80
        assert crop.max() <= 122


def test_coverage_of_a_face_in_the_middle_is_whole():
    assert coverage((200, 200, 3), LANDMARKS, "arcface") == 1


def test_coverage_of_a_face_at_the_border_is_what_lies_inside():
    half_outside = LANDMARKS - [LANDMARKS[:, 0].mean(), 0]  # the crop's centre on the left border
    assert coverage((200, 200, 3), half_outside, "arcface") == pytest.approx(0.5, abs=0.06)


def test_network_input_keeps_colour_order_and_scales_to_one():
    image = torch.zeros(1, 2, 2, 3, dtype=torch.uint8)
    image[..., 0] = 255
    assert torch.equal(network_input(image)[0, :, 0, 0], torch.tensor([1.0, 0.0, 0.0]))
