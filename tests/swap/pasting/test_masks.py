"""The soft mask of a face in its crop."""

import numpy as np
import pytest

from simswap import geometry
from simswap.swap.pasting.masks import face_mask

SIZE = 128
FRONTAL = geometry.TEMPLATES["simswap_frontal"] * SIZE
TURNED_LEFT = FRONTAL + np.array([(5, 0), (-5, 0), (-11, 0), (3, 0), (-3, 0)])
PROFILE_LEFT = FRONTAL + np.array([(7, 0), (-8, 0), (-16, 0), (7, 0), (-6, 0)])
TURNED_RIGHT, PROFILE_RIGHT = (
    (landmarks * [-1, 1] + [SIZE - 1, 0])[[1, 0, 2, 4, 3]]
    for landmarks in (TURNED_LEFT, PROFILE_LEFT)
)
FFHQ = geometry.TEMPLATES["ffhq"] * SIZE
NONSENSE = np.array([(-300.0, 5), (700, 90), (0, 0), (64, -200), (64, 900)])
POSES = [FRONTAL, TURNED_LEFT, TURNED_RIGHT, PROFILE_LEFT, FFHQ, NONSENSE]


@pytest.mark.parametrize("softness", [0.0, 0.12, 0.5])
@pytest.mark.parametrize("landmarks", POSES)
def test_mask_is_zero_on_the_border_of_the_crop(landmarks, softness):
    mask = face_mask(landmarks, SIZE, softness)
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    assert not border.any()
    assert mask.dtype == np.float32
    assert 0 <= mask.min() <= mask.max() <= 1


@pytest.mark.parametrize("landmarks", [FRONTAL, TURNED_LEFT, TURNED_RIGHT, FFHQ])
def test_mask_keeps_eyes_nose_and_mouth_in_full(landmarks):
    mask = face_mask(landmarks, SIZE, 0.12)
    x, y = np.rint(landmarks[[0, 1, 3, 4]]).astype(int).T
    assert mask[y, x].min() > 0.7


def test_mask_reaches_from_forehead_to_chin():
    mask = face_mask(FRONTAL, SIZE, 0.12)
    middle = mask[:, SIZE // 2]
    eyes, mouth = FRONTAL[0, 1], FRONTAL[3, 1]
    assert middle[int(eyes - 0.6 * (mouth - eyes))] > 0.5
    assert middle[int(mouth + 0.45 * (mouth - eyes))] > 0.5


def test_mask_is_round_not_square():
    mask = face_mask(FRONTAL, SIZE, 0.12)
    rows = np.flatnonzero(mask.max(axis=1) > 0.5)
    widths = (mask > 0.5).sum(axis=1)
    assert widths[rows[0]] < 0.5 * widths.max()
    assert widths[rows[-1]] < 0.5 * widths.max()


def test_mask_fades_over_the_width_asked_for():
    mask = face_mask(FRONTAL, SIZE, 0.12)
    steepest = max(np.abs(np.diff(mask, axis=0)).max(), np.abs(np.diff(mask, axis=1)).max())
    assert steepest < 3 / (0.05 * SIZE)  # the crop's edge is the steepest place
    side = mask[SIZE // 2, : SIZE // 2]
    fading = ((side > 0.01) & (side < 0.99)).sum() / SIZE
    assert 0.06 < fading < 0.18


def test_mask_is_narrower_on_the_side_a_head_turns_to():
    left = face_mask(TURNED_LEFT, SIZE, 0.12)
    frontal = face_mask(FRONTAL, SIZE, 0.12)
    half = SIZE // 2
    assert left[:, :half].sum() < 0.9 * frontal[:, :half].sum()
    assert left[:, half:].sum() > 0.95 * frontal[:, half:].sum()  # the border limits it


def test_mask_of_a_profile_ends_at_its_silhouette():
    mask = face_mask(PROFILE_LEFT, SIZE, 0.08)
    eye, nose, mouth = PROFILE_LEFT[[0, 2, 3]]
    height = mouth[1] - eye[1]
    for (x, y), beyond in ((eye, 0.15), (nose, 0.15), (mouth, 0.25)):  # of profiles in photos
        assert mask[round(y), round(x - beyond * height)] < 0.05
        assert mask[round(y), round(x + 0.2 * height)] > 0.5


def test_mask_follows_a_turning_head_without_a_leap():
    turns = np.linspace(0, 1, 200)[:, None, None]
    poses = FRONTAL + turns * (PROFILE_LEFT - FRONTAL)
    masks = np.stack([face_mask(pose, SIZE, 0.08) for pose in poses])
    assert np.abs(np.diff(masks, axis=0)).max() < 0.1


@pytest.mark.parametrize(
    ("pose", "mirror"), [(TURNED_LEFT, TURNED_RIGHT), (PROFILE_LEFT, PROFILE_RIGHT)]
)
def test_mask_of_a_mirrored_face_is_the_mirrored_mask(pose, mirror):
    left = face_mask(pose, SIZE, 0.12)
    mirrored = face_mask(mirror, SIZE, 0.12)
    np.testing.assert_allclose(mirrored[:, ::-1], left, atol=1e-5)
