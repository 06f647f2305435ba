"""Alignment by the best of several poses."""

import numpy as np
import pytest

from simswap import geometry
from simswap.weights.bundle import Alignment

POSES = geometry.POSE_TEMPLATES["simswap_224"]
TURN = np.array([[1.6, -0.5, 40.0], [0.5, 1.6, 25.0]])  # some place in a frame


@pytest.mark.parametrize("pose", range(5))
def test_a_face_in_one_of_the_poses_lands_on_that_pose(pose):
    landmarks = geometry.apply(TURN, POSES[pose] * 112)
    transform = geometry.frame_to_crop_transform(landmarks, "simswap_224", 224)
    landed = geometry.apply(transform, landmarks)
    np.testing.assert_allclose(landed, POSES[pose] * 224, atol=1e-9)


def test_the_pose_with_the_smallest_sum_of_distances_is_taken():
    random = np.random.default_rng(0)
    for _ in range(50):
        landmarks = POSES[random.integers(5)] * 200 + random.normal(0, 12, (5, 2))
        fits = [geometry.similarity_transform(landmarks, pose * 112) for pose in POSES]
        misses = [
            sum(np.hypot(*(geometry.apply(fit, landmarks) - pose * 112).T))
            for fit, pose in zip(fits, POSES, strict=True)
        ]
        found = geometry.frame_to_crop_transform(landmarks, "simswap_224", 112)
        np.testing.assert_allclose(found, fits[int(np.argmin(misses))])


def test_the_frontal_pose_is_the_single_template():
    single = geometry.TEMPLATES["simswap_frontal"]
    np.testing.assert_array_equal(geometry.frontal_template("simswap_224"), single)
    np.testing.assert_array_equal(geometry.frontal_template("simswap_frontal"), single)


def test_left_and_right_poses_mirror_each_other():
    swapped = POSES[::-1][:, [1, 0, 2, 4, 3]]
    mirrored = np.stack([112 - swapped[..., 0] * 112, swapped[..., 1] * 112], axis=-1)
    distances = np.linalg.norm(mirrored - POSES * 112, axis=-1)
    assert distances.max() < 1.0  # px on 112; the published numbers are not exact mirrors


def test_an_alignment_takes_the_template_by_name():
    assert Alignment("simswap_224", 224, "simswap_224").crop_template == "simswap_224"
