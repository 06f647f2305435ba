import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs the train extra")

from simswap.models.parser import CLASSES, INPUT_SIZE
from train.checks.parser import f1
from train.distill.occluders import KINDS
from train.distill.painting import GLASSES, HAIR, OCCLUDER, Scene
from train.distill.parsed_photos import IGNORED, STORED_SIZE, ParsedPhotos, load_parsed_photos
from train.errors import TrainingError

LABELS = {"glasses": GLASSES, "strands": HAIR, "hair": HAIR}  # others: an occluder


@pytest.fixture
def photos() -> ParsedPhotos:
    """Faces as flat as can be: a disc of skin before hair before nothing."""
    rows, columns = np.mgrid[:STORED_SIZE, :STORED_SIZE] - STORED_SIZE / 2
    distance = np.hypot(rows, columns)
    labels = np.where(distance < 55, 1, np.where(distance < 75, HAIR, 0)).astype(np.uint8)
    colours = np.array([[60, 90, 130], [210, 160, 130], [0] * 3, [0] * 3, [0] * 3, [70, 40, 20]])
    return ParsedPhotos(np.stack([colours[labels]] * 2).astype(np.uint8), np.stack([labels] * 2))


@pytest.mark.parametrize("kind", list(KINDS))
def test_what_is_drawn_is_labelled_and_what_is_labelled_is_drawn(photos, kind: str):
    crop, labels = photos.plain(0)
    before, known = crop.copy(), labels.copy()
    scene = Scene(np.random.default_rng(3), crop, labels, *photos.plain(1))
    KINDS[kind](scene)
    changed = labels != known
    assert set(np.unique(labels[changed])) == {LABELS.get(kind, OCCLUDER)}
    assert (crop != before).any(-1)[changed].mean() > 0.9


def test_varied_photos_have_one_size_and_known_classes(photos):
    random = np.random.default_rng(0)
    for _ in range(12):
        crop, labels = photos.varied(0, random)
        assert crop.shape == (INPUT_SIZE, INPUT_SIZE, 3)
        assert set(np.unique(labels)) <= {*range(len(CLASSES)), IGNORED}


def test_a_folder_without_such_photos_is_named(shared_data, tmp_path):
    (tmp_path / "masks").symlink_to(shared_data / "masks")
    with pytest.raises(TrainingError, match="Name the folder above both"):
        load_parsed_photos(tmp_path, held_out=False)


def test_f1_counts_the_pixels_that_are_known():
    truth = np.array([[[1, 1, 2, IGNORED]]], np.uint8)
    assert f1(np.array([[[1, 2, 2, 1]]], np.uint8), truth, [1]) == pytest.approx(2 / 3)
    assert f1(truth, truth, [1, 2]) == 1
