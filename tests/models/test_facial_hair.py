"""Facial hair: an embedding moves by what the target has of it, and the source has not."""

import pytest
import torch
from torch.nn import functional as F

from simswap.models.facial_hair import FacialHair, FacialHairConfig

SIZE = 16


@pytest.fixture
def hair() -> FacialHair:
    """Told by the first number, and moved along it and the second."""
    module = FacialHair(FacialHairConfig(SIZE))
    module.readout[0] = 1
    module.direction[:2] = torch.tensor([0.8, 0.1])
    module.bare.fill_(0.3)
    module.sure.fill_(0.7)
    return module


def face(shows: float, seed: int = 0) -> torch.Tensor:
    """[1, SIZE] unit norm, with so much in its first number."""
    rest = torch.randn(1, SIZE - 1, generator=torch.Generator().manual_seed(seed))
    rest = F.normalize(rest, dim=1) * (1 - shows**2) ** 0.5
    return torch.cat([torch.tensor([[shows]]), rest], dim=1)


@pytest.mark.parametrize(("shows", "expected"), [(-0.5, 0), (0.3, 0), (0.5, 0.5), (0.7, 1), (1, 1)])
def test_readings_between_bare_and_sure_are_a_share(hair, shows, expected):
    assert hair.shows(face(shows)).item() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("shows", [(0.1, 0.2), (0.8, 0.9)])
def test_faces_that_are_alike_in_it_leave_an_embedding_as_it_is(hair, shows):
    source, target = face(shows[0], 1), face(shows[1], 2)
    torch.testing.assert_close(hair(source, target), source)


@pytest.mark.parametrize(("own", "others", "sign"), [(0.1, 0.8, 1), (0.8, 0.1, -1)])
def test_an_embedding_moves_towards_the_targets_along_the_direction(hair, own, others, sign):
    source, target = face(own, 1), face(others, 2)
    expected = F.normalize(source + sign * hair.direction, dim=1)
    torch.testing.assert_close(hair(source, target), expected)
    assert torch.linalg.vector_norm(hair(source, target)).item() == pytest.approx(1)


def test_levels_that_are_one_make_no_nan(hair):
    hair.sure.copy_(hair.bare)
    sources = torch.cat([face(0.3), face(0.1), face(0.9)])
    assert hair(sources, sources.flip(0)).isfinite().all()


@pytest.mark.parametrize("size", [0, 2.5, 10**6])
def test_a_size_that_is_none_is_refused(size):
    with pytest.raises(ValueError, match="embedding_size"):
        FacialHairConfig(size)
