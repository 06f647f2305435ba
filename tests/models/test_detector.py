import math

import pytest
import torch

from simswap.models.detector import (
    STRIDES,
    Detections,
    DetectorConfig,
    DetectorMaps,
    FaceDetector,
    LevelMaps,
    decode,
    decode_upright,
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


def decode_one(maps: tuple[LevelMaps, ...]) -> Detections:
    (found,) = decode_upright(maps)
    best = found.scores.argmax(dim=0, keepdim=True)
    return Detections(*(values[best] for values in found))


def make_detector() -> FaceDetector:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FaceDetector(DetectorConfig(channels=(4,) * 6)).eval()


def test_the_default_detector_has_at_most_300_thousand_parameters():
    assert sum(p.numel() for p in FaceDetector(DetectorConfig()).parameters()) <= 300_000


def test_maps_have_one_cell_per_stride():
    maps = make_detector()(torch.rand(2, 3, 64, 96))
    for branch in maps:
        for stride, level in zip(STRIDES, branch, strict=True):
            assert level.confidence.shape == (2, 2, 64 // stride, 96 // stride)
            assert level.boxes.shape == (2, 4, 64 // stride, 96 // stride)


def test_decoding_gives_one_detection_per_cell():
    (found,) = decode(make_detector()(torch.rand(1, 3, SIDE, SIDE)))
    assert found.scores.shape == found.is_rolled.shape == (NUM_CELLS,)
    assert found.boxes.shape == (NUM_CELLS, 4)
    assert found.landmarks.shape == (NUM_CELLS, 5, 2)


def test_decoding_from_a_score_on_leaves_out_the_cells_below():
    maps = make_detector()(torch.rand(2, 3, SIDE, SIDE))
    for some, all_cells in zip(decode(maps, 0.5), decode(maps), strict=True):
        enough = all_cells.scores >= 0.5
        assert 0 < enough.sum() < NUM_CELLS
        for values, expected in zip(some, all_cells, strict=True):
            torch.testing.assert_close(values, expected[enough], rtol=0, atol=0)


def test_the_score_is_the_geometric_mean_of_both_probabilities():
    maps = blank_maps()
    maps[0].confidence[0, :, 2, 3] = torch.tensor([2.0, -1.0])
    expected = math.sqrt(1 / (1 + math.exp(-2)) * 1 / (1 + math.exp(1)))
    assert float(decode_one(maps).scores) == pytest.approx(expected)


@pytest.mark.parametrize(("level", "stride"), list(enumerate(STRIDES)))
def test_offsets_and_sizes_are_in_strides_from_the_cell(level: int, stride: int):
    maps = blank_maps()
    row, column = 1, 0
    maps[level].confidence[0, :, row, column] = 5.0
    maps[level].boxes[0, :, row, column] = torch.tensor([0.5, -0.25, math.log(2), math.log(3)])
    maps[level].landmarks[0, 8:, row, column] = torch.tensor([1.5, 0.5])  # right mouth corner
    found = decode_one(maps)
    x, y = (column + 0.5) * stride, (row - 0.25) * stride
    expected = torch.tensor([[x - stride, y - 1.5 * stride, x + stride, y + 1.5 * stride]])
    torch.testing.assert_close(found.boxes, expected)
    last = torch.tensor([(column + 1.5) * stride, (row + 0.5) * stride])
    torch.testing.assert_close(found.landmarks[0, 4], last)


@pytest.mark.parametrize(("upright", "rolled", "is_rolled"), [(5.0, -2.0, False), (0.0, 4.0, True)])
def test_the_surer_branch_tells_whether_a_head_is_rolled(upright, rolled, is_rolled):
    (found,) = decode(DetectorMaps(blank_maps(upright), blank_maps(rolled)))
    assert (found.is_rolled == is_rolled).all()
    score = torch.tensor(max(upright, rolled)).sigmoid()
    torch.testing.assert_close(found.scores, score.expand(NUM_CELLS))


def test_the_input_is_not_changed():
    images = torch.rand(1, 3, 32, 32)
    before = images.clone()
    make_detector()(images)
    assert torch.equal(images, before)


def test_each_image_of_a_batch_is_read_by_itself():
    detector, images = make_detector(), torch.rand(3, 3, 64, 64)
    together, (alone,) = decode(detector(images)), decode(detector(images[1:2]))
    torch.testing.assert_close(together[1].boxes, alone.boxes, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 64, 48)])
def test_another_shape_is_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="multiples of 32"):
        make_detector()(torch.zeros(shape))


@pytest.mark.parametrize("channels", [(8, 8, 8), (8, 8, 8, 8, 8, 9), (0, 8, 8, 8, 8, 8)])
def test_impossible_widths_are_refused(channels: tuple[int, ...]):
    with pytest.raises(ValueError, match="channels="):
        DetectorConfig(channels)
