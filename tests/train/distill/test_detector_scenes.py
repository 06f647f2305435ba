import numpy as np
import pytest
import torch

pytest.importorskip("pyarrow", reason="needs the train extra")

from simswap.models.detector import STRIDES, LevelMaps
from train.distill.scenes import CANVAS_SIZE, PhotoStore, SceneBatch, SceneMaker, turn_targets

STRIDE = STRIDES[0]
CELLS = CANVAS_SIZE // STRIDE


@pytest.fixture
def scenes() -> SceneMaker:
    random = np.random.RandomState(0)
    photos = [random.randint(0, 256, (60, 50, 3)).astype(np.uint8) for _ in range(3)]
    return SceneMaker(PhotoStore(photos, [np.array([25.0, 30.0])] * 3), seed=1)


def face_maps(row: int, column: int) -> tuple[LevelMaps, ...]:
    """A face 2 x 3 cells large, its box centred on one cell of the finest stride."""
    confidence = torch.full((1, 2, CELLS, CELLS), -9.0)
    confidence[0, :, row, column] = 9.0
    boxes = torch.zeros(1, 4, CELLS, CELLS)
    boxes[0, 2], boxes[0, 3] = np.log(2), np.log(3)
    return (LevelMaps(confidence, boxes, None),)


def turned_scene(transform: list[list[float]], roll: float) -> SceneBatch:
    blank = torch.zeros(1, 3, CANVAS_SIZE, CANVAS_SIZE)
    part = torch.zeros(1, CANVAS_SIZE, CANVAS_SIZE, dtype=torch.int64)
    return SceneBatch(blank, blank, part, torch.tensor([[transform]]), torch.tensor([[roll]]))


def test_an_upright_head_is_no_target(monkeypatch):
    monkeypatch.setattr("train.distill.scenes.STRIDES", (STRIDE,))
    (target,) = turn_targets(face_maps(10, 20), turned_scene([[1.0, 0, 0], [0, 1, 0]], 0.0))
    assert target.confidence.max() == 0
    assert target.weight.max() == 0


def test_a_target_turns_with_its_scene(monkeypatch):
    monkeypatch.setattr("train.distill.scenes.STRIDES", (STRIDE,))
    # A quarter clockwise about cell (20, 20): x' = 40 - y, y' = x, in cells.
    quarter = [[0.0, -1, 40 * STRIDE], [1, 0, 0]]
    (target,) = turn_targets(face_maps(12, 25), turned_scene(quarter, 90.0))
    best = int(target.confidence.prod(dim=1).argmax())
    assert divmod(best, CELLS) == (25, 28)
    x, y, log_width, log_height = target.boxes[0, :, 25, 28]
    torch.testing.assert_close(torch.stack([x, y]), torch.zeros(2), atol=1e-4, rtol=0)
    torch.testing.assert_close(log_width.exp(), torch.tensor(3.0))
    torch.testing.assert_close(log_height.exp(), torch.tensor(2.0))


def test_rolled_pixels_come_from_where_their_transform_says(scenes):
    batch = scenes.batch(6)
    for scene in range(6):
        y, x = np.meshgrid(*[np.arange(8, CANVAS_SIZE - 8, 13)] * 2, indexing="ij")
        part = batch.part[scene, y, x]
        transform = batch.transforms[scene, part]
        points = torch.tensor(np.stack([x, y], axis=-1)).float()
        linear, shift = transform[..., :2], transform[..., 2]
        origin = (linear.transpose(-1, -2) @ (points - shift)[..., None])[..., 0]
        grid = origin[None] * 2 / (CANVAS_SIZE - 1) - 1
        expected = torch.nn.functional.grid_sample(
            batch.upright[scene : scene + 1], grid, align_corners=True
        )
        error = (batch.rolled[scene][:, y, x] - expected[0]).abs()
        assert error.median() < 0.02


def test_equal_seeds_give_equal_scenes(scenes):
    again = SceneMaker(scenes.photos, seed=1)
    for one, other in zip(scenes.batch(2), again.batch(2), strict=True):
        assert torch.equal(one, other)
