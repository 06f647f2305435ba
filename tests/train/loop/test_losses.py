"""Each loss against its formula in plain torch."""

import pytest
import torch

from train.loop.losses import (
    colour_loss,
    edge_loss,
    feature_matching_loss,
    gradient_penalty,
    hinge_discriminator_loss,
    hinge_generator_loss,
    identity_loss,
    low_frequency_loss,
    reconstruction_loss,
    restraint_loss,
)


@pytest.fixture
def random():
    return torch.Generator().manual_seed(0)


def test_identity_loss_is_one_minus_the_mean_cosine(random):
    a, b = torch.randn(4, 8, generator=random), torch.randn(4, 8, generator=random)
    cosines = [(x @ y / (x.norm() * y.norm())).item() for x, y in zip(a, b, strict=True)]
    assert identity_loss(a, b).item() == pytest.approx(1 - sum(cosines) / 4, abs=1e-6)


def test_identity_loss_ignores_the_length_of_embeddings(random):
    a, b = torch.randn(4, 8, generator=random), torch.randn(4, 8, generator=random)
    assert identity_loss(3 * a, b).item() == pytest.approx(identity_loss(a, b).item(), abs=1e-6)


def test_identity_loss_with_an_exponent_pulls_more_where_likeness_is_missing():
    wanted = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    swapped = torch.tensor([[3.0, 4.0], [4.0, 3.0]], requires_grad=True)  # cosines 0.6 and 0.8
    loss = identity_loss(swapped, wanted, exponent=2)
    assert loss.item() == pytest.approx((0.4**2 + 0.2**2) / 2)
    even, uneven = (
        torch.autograd.grad(identity_loss(swapped, wanted, exponent), swapped)[0].norm(dim=1)
        for exponent in (1, 2)
    )
    assert uneven[0] / uneven[1] == pytest.approx(2 * even[0] / even[1])


def test_identity_loss_with_a_fractional_exponent_is_finite_for_equal_embeddings(random):
    same = torch.randn(64, 512, generator=random)
    assert identity_loss(same, same, exponent=1.5).item() == pytest.approx(0, abs=1e-6)


def test_reconstruction_loss_of_a_constant_offset_is_that_offset():
    image = torch.zeros(1, 3, 4, 4)
    assert reconstruction_loss(image + 0.25, image).item() == pytest.approx(0.25)


def test_restraint_loss_prefers_shading_to_strokes():
    target = torch.zeros(1, 3, 8, 8)
    stroke = target.clone()
    stroke[..., 0] = 0.8  # one column; the shading has as much in all eight
    assert restraint_loss(stroke, target) == pytest.approx(8 * restraint_loss(target + 0.1, target))


def test_colour_loss_ignores_light_and_dark(random):
    target = torch.rand(1, 3, 8, 8, generator=random)
    darker = target - torch.rand(1, 1, 8, 8, generator=random)
    assert colour_loss(darker, target).item() == pytest.approx(0, abs=1e-6)


def test_colour_loss_sees_a_fringe_as_bright_as_what_it_replaces():
    target = torch.full((1, 3, 4, 4), 0.5)
    fringe = target + torch.tensor([0.587, -0.299, 0.0]).view(3, 1, 1)  # no luma in it
    assert colour_loss(fringe, target).item() == pytest.approx((0.587 + 0.299) / 3)


def test_low_frequency_loss_ignores_detail_within_a_cell(random):
    target = torch.rand(1, 3, 8, 8, generator=random)
    shuffled = target.flip(-1)  # the one cell keeps its mean
    assert low_frequency_loss(shuffled, target, cell=8).item() == pytest.approx(0, abs=1e-6)


def test_low_frequency_loss_of_a_colour_cast_is_its_size():
    target = torch.zeros(1, 3, 8, 8)
    cast = target + torch.tensor([0.3, 0.0, 0.0]).view(3, 1, 1)
    assert low_frequency_loss(cast, target, cell=4).item() == pytest.approx(0.1)


def test_edge_loss_is_known_of_a_slope_and_leaves_an_even_change(random):
    target = torch.rand(2, 3, 8, 8, generator=random)
    slope = torch.arange(8.0)
    assert edge_loss(target + 0.3, target).item() == pytest.approx(0, abs=1e-9)
    assert edge_loss(target + 0.1 * slope, target).item() == pytest.approx(0.01, rel=1e-4)
    assert edge_loss(target + 0.1 * slope[:, None], target).item() == pytest.approx(0.01, rel=1e-4)


def test_edge_loss_prefers_coarse_changes_to_fine_ones_of_one_size():
    target, places = torch.zeros(1, 3, 16, 16), torch.arange(16)
    fine, coarse = (0.1 * (places // width % 2).expand(1, 3, 16, 16) for width in (1, 4))
    assert edge_loss(fine, target) == pytest.approx(5 * edge_loss(coarse, target))


@pytest.mark.parametrize("layers", [(1, 2), (0, 1, 2), (0,)], ids=["weak", "full", "inverse"])
def test_feature_matching_is_the_papers_sum_over_layers_and_discriminators(random, layers):
    swapped, target = (
        [[torch.randn(2, 3, side, side, generator=random) for side in (8, 4, 2)] for _ in range(2)]
        for _ in range(2)
    )
    expected = 0.0
    for ours, theirs in zip(swapped, target, strict=True):
        for layer in layers:
            count = ours[layer].numel()  # N_i of the paper
            expected += float((ours[layer] - theirs[layer]).abs().sum()) / count
    loss = feature_matching_loss(swapped, target, layers)
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_feature_matching_sends_no_gradient_into_the_target(random):
    ours = torch.randn(1, 2, 2, 2, generator=random, requires_grad=True)
    theirs = torch.randn(1, 2, 2, 2, generator=random, requires_grad=True)
    feature_matching_loss([[ours]], [[theirs]], layers=(0,)).backward()
    assert ours.grad is not None
    assert theirs.grad is None


def test_hinge_discriminator_loss_is_zero_beyond_the_margins():
    assert hinge_discriminator_loss([torch.full((1, 1), 1.5)], [torch.full((1, 1), -1.5)]) == 0


def test_hinge_discriminator_loss_grows_linearly_within_the_margins():
    loss = hinge_discriminator_loss([torch.tensor([0.5])], [torch.tensor([0.25])])
    assert loss.item() == pytest.approx(0.5 + 1.25)


def test_hinge_generator_loss_is_minus_the_mean_over_scales():
    loss = hinge_generator_loss([torch.tensor([2.0, 4.0]), torch.tensor([1.0])])
    assert loss.item() == pytest.approx(-2.0)


def test_gradient_penalty_of_a_linear_judge_is_known(random):
    weight = torch.randn(1, 3, 4, 4, generator=random)

    def judge(images):
        return (images * weight).sum(dim=(1, 2, 3), keepdim=True), []

    real, fake = torch.rand(2, 2, 3, 4, 4, generator=random)
    penalty = gradient_penalty(judge, real, fake, torch.rand(2, 1, 1, 1, generator=random))
    assert penalty.item() == pytest.approx((weight.norm().item() - 1) ** 2, rel=1e-5)


def test_gradient_penalty_trains_the_judge_and_not_the_fake(random):
    judge = torch.nn.Conv2d(3, 1, 4)
    fake = torch.rand(2, 3, 4, 4, generator=random, requires_grad=True)
    real, shares = torch.rand(2, 3, 4, 4, generator=random), torch.full((2, 1, 1, 1), 0.5)
    gradient_penalty(lambda images: (judge(images), []), real, fake, shares).backward()
    assert judge.weight.grad.abs().max() > 0
    assert fake.grad is None
