import numpy as np
import pytest

from simswap import SwapOptions
from simswap.__main__ import parse
from simswap.cli.options import swap_options
from simswap.swap import visible_label


@pytest.mark.parametrize("shade", [0, 128, 255])
def test_the_label_stands_out_on_any_shade(shade):
    frame = np.full((480, 640, 3), shade, np.uint8)
    labelled = visible_label.with_label(frame)
    assert np.ptp(labelled) >= 255 - 10
    assert (frame == shade).all()


@pytest.mark.parametrize("size", [(40, 30), (250, 250), (1080, 1920), (1920, 1080)])
def test_the_label_keeps_to_its_corner(size):
    labelled = visible_label.with_label(np.zeros((*size, 3), np.uint8))
    rows, columns = np.nonzero(labelled.any(axis=2))
    assert len(rows) > 0
    assert rows.min() > size[0] * 0.6
    assert columns.min() > size[1] * 0.35


def test_the_label_follows_the_option(swapper, astronaut, grace_hopper):
    identity = swapper.identity_of(grace_hopper)
    plain, labelled = (
        swapper.swap_image(astronaut, identity, SwapOptions(label=label)).image
        for label in (False, True)
    )
    assert np.array_equal(labelled, visible_label.with_label(plain))


def test_the_shell_labels_when_asked():
    words = ["image", "--source", "a.jpg", "--target", "b.jpg", "--output", "c.png"]
    assert swap_options(parse([*words, "--label"])).label
    assert not swap_options(parse(words)).label
