import pytest
import torch

from simswap.models.detector import (
    STRIDES,
    DetectorConfig,
    FaceDetector,
)


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


def test_the_input_is_not_changed():
    images = torch.rand(1, 3, 32, 32)
    before = images.clone()
    make_detector()(images)
    assert torch.equal(images, before)


@pytest.mark.parametrize("shape", [(3, 64, 64), (1, 1, 64, 64), (1, 3, 64, 48)])
def test_another_shape_is_refused(shape: tuple[int, ...]):
    with pytest.raises(ValueError, match="multiples of 32"):
        make_detector()(torch.zeros(shape))


@pytest.mark.parametrize("channels", [(8, 8, 8), (8, 8, 8, 8, 8, 9), (0, 8, 8, 8, 8, 8)])
def test_impossible_widths_are_refused(channels: tuple[int, ...]):
    with pytest.raises(ValueError, match="channels="):
        DetectorConfig(channels)
