"""Pairs for training: the paper's alternation, who may be a target, and determinism."""

import numpy as np
import pytest
import torch

from simswap.geometry import TEMPLATES
from train.data import AlignedFaces, PairSampler, to_tensor
from train.steps import CropToIdentityCrop

MARGIN, SIZE = 2, 16


@pytest.fixture
def faces():
    """Twelve noise photos: persons 0 to 3 with two each, 4 to 7 with one; photo 11 cut off."""
    random = np.random.default_rng(0)
    side = SIZE + 2 * MARGIN
    return AlignedFaces(
        crops=random.integers(0, 256, (12, side, side, 3), np.uint8),
        identity_crops=np.zeros((12, 112, 112, 3), np.uint8),
        identities=np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7]),
        coverage=np.array([1.0] * 11 + [0.5], np.float32),
        margin=MARGIN,
    )


@pytest.fixture
def sampler(faces):
    return PairSampler(faces, SIZE, batch_size=32, seed=0)


def test_batches_alternate_between_same_and_different_identity(sampler):
    assert [sampler.batch(step).same for step in range(4)] == [True, False, True, False]


def test_a_different_identity_batch_never_pairs_a_person_with_themselves(sampler, faces):
    targets = sampler.batch(1).targets
    sources = sampler.batch(1).sources.numpy()
    drawn = np.random.default_rng((0, 1)).choice(np.arange(11), 32)  # the sampler's first draw
    assert len(targets) == 32
    assert not (faces.identities[sources] == faces.identities[drawn]).any()


def test_a_photo_that_its_crop_reaches_out_of_is_never_a_target(sampler):
    assert 11 not in sampler._targets


def test_a_batch_depends_on_seed_and_number_alone(sampler, faces):
    again = PairSampler(faces, SIZE, batch_size=32, seed=0)
    list(zip(range(3), again.batches(), strict=False))  # drawn before: must not matter
    assert torch.equal(sampler.batch(5).targets, again.batch(5).targets)


def test_a_data_set_of_cut_off_faces_is_refused(faces):
    cut = AlignedFaces(
        faces.crops, faces.identity_crops, faces.identities, faces.coverage * 0, MARGIN
    )
    with pytest.raises(ValueError, match="wider photos"):
        PairSampler(cut, SIZE, batch_size=2, seed=0)


def test_resampling_to_the_identity_crop_moves_the_template_onto_the_arcface_template():
    size, points = 128, TEMPLATES["simswap_frontal"] * 128
    ys, xs = np.mgrid[:size, :size]
    for index, (x, y) in enumerate(points):
        dot = np.exp(-((xs + 0.5 - x) ** 2 + (ys + 0.5 - y) ** 2) / 18)
        image = torch.from_numpy(dot).float().expand(1, 3, -1, -1)
        found = CropToIdentityCrop("simswap_frontal")(image)[0, 0]
        weights = found / found.sum()
        place = np.arange(112) + 0.5
        centre = [(weights.sum(0).numpy() * place).sum(), (weights.sum(1).numpy() * place).sum()]
        expected = TEMPLATES["arcface"][index] * 112
        assert np.abs(np.array(centre) - expected).max() < 3.0  # the templates are not similar


def test_to_tensor_keeps_colour_order_and_scales_to_one():
    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[..., 0] = 255
    assert torch.equal(to_tensor(image)[0, :, 0, 0], torch.tensor([1.0, 0.0, 0.0]))
