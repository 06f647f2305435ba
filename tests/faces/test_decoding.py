"""What the detector's maps are taken to say."""

import math

import numpy as np
import pytest
import torch

from simswap.faces.decoding import decode, decode_upright
from simswap.faces.nms import Candidates
from simswap.models.detector import (
    STRIDES,
    DetectorConfig,
    DetectorMaps,
    FaceDetector,
    LevelMaps,
)

SIDE = 64
NUM_CELLS = sum((SIDE // stride) ** 2 for stride in STRIDES)


def blank_maps(confidence: float = -9.0) -> tuple[LevelMaps, ...]:
    """Maps of one 64 px image: no face, boxes of one stride, landmarks on their cell."""
    sizes = [SIDE // stride for stride in STRIDES]
    return tuple(
        LevelMaps(
            torch.full((1, 2, n, n), confidence), torch.zeros(1, 4, n, n), torch.zeros(1, 10, n, n)
        )
        for n in sizes
    )


def maps_of(images: torch.Tensor) -> DetectorMaps:
    """What a small seeded detector says."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        detector = FaceDetector(DetectorConfig(channels=(4,) * 6)).eval()
    return detector(images)


def decode_one(maps: tuple[LevelMaps, ...]) -> Candidates:
    (found,) = decode_upright(maps)
    best = [found.scores.argmax()]
    return found.select(best)


def test_decoding_gives_one_detection_per_cell():
    (found,) = decode(maps_of(torch.rand(1, 3, SIDE, SIDE)))
    assert found.scores.shape == found.is_rolled.shape == (NUM_CELLS,)
    assert found.boxes.shape == (NUM_CELLS, 4)
    assert found.landmarks.shape == (NUM_CELLS, 5, 2)


def test_decoding_from_a_score_on_leaves_out_the_cells_below():
    maps = maps_of(torch.rand(2, 3, SIDE, SIDE))
    for some, all_cells in zip(decode(maps, 0.5), decode(maps), strict=True):
        enough = all_cells.scores >= 0.5
        assert 0 < enough.sum() < NUM_CELLS
        for values, expected in zip(some, all_cells, strict=True):
            np.testing.assert_array_equal(values, expected[enough])


def test_the_score_is_the_geometric_mean_of_both_probabilities():
    maps = blank_maps()
    maps[0].confidence[0, :, 2, 3] = torch.tensor([2.0, -1.0])
    expected = math.sqrt(1 / (1 + math.exp(-2)) * 1 / (1 + math.exp(1)))
    assert decode_one(maps).scores.item() == pytest.approx(expected)


@pytest.mark.parametrize(("level", "stride"), list(enumerate(STRIDES)))
def test_offsets_and_sizes_are_in_strides_from_the_cell(level: int, stride: int):
    maps = blank_maps()
    row, column = 1, 0
    maps[level].confidence[0, :, row, column] = 5.0
    maps[level].boxes[0, :, row, column] = torch.tensor([0.5, -0.25, math.log(2), math.log(3)])
    maps[level].landmarks[0, 8:, row, column] = torch.tensor([1.5, 0.5])  # right mouth corner
    found = decode_one(maps)
    x, y = (column + 0.5) * stride, (row - 0.25) * stride
    expected = np.array([[x - stride, y - 1.5 * stride, x + stride, y + 1.5 * stride]])
    np.testing.assert_allclose(found.boxes, expected, rtol=1e-6)
    last = [(column + 1.5) * stride, (row + 0.5) * stride]
    np.testing.assert_allclose(found.landmarks[0, 4], last, rtol=1e-6)


@pytest.mark.parametrize(("upright", "rolled", "is_rolled"), [(5.0, -2.0, False), (0.0, 4.0, True)])
def test_the_surer_branch_tells_whether_a_head_is_rolled(upright, rolled, is_rolled):
    (found,) = decode(DetectorMaps(blank_maps(upright), blank_maps(rolled)))
    assert (found.is_rolled == is_rolled).all()
    score = 1 / (1 + math.exp(-max(upright, rolled)))
    np.testing.assert_allclose(found.scores, np.full(NUM_CELLS, score), rtol=1e-5)


def test_each_image_of_a_batch_is_read_by_itself():
    images = torch.rand(3, 3, 64, 64)
    together, (alone,) = decode(maps_of(images)), decode(maps_of(images[1:2]))
    np.testing.assert_allclose(together[1].boxes, alone.boxes, rtol=1e-4, atol=1e-3)
