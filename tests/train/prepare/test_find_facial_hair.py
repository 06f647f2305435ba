"""Finding what facial hair is in embeddings, without any label."""

import cv2
import numpy as np
import pytest

pytest.importorskip("accelerate", reason="needs the train extra")
pytest.importorskip("datasets", reason="needs the train extra")

from simswap.weights.bundle import load_bundle
from tests.support.training.shard_sources import write_parquet
from tests.support.training.training_runs import save_small_bundle
from tests.train.prepare.test_find_glasses import faces, record, varied  # noqa: F401
from train.errors import TrainingError
from train.prepare.facial_hair import MOST_PHOTOS, darkness, few_of_each, find_facial_hair, main

SIZE = 64


def with_beard(crop: np.ndarray) -> np.ndarray:
    """Dark lip and chin, drawn where those of an identity crop are."""
    drawn = crop.copy()
    cv2.rectangle(drawn, (46, 81), (66, 88), (30, 25, 20), -1)
    cv2.rectangle(drawn, (44, 103), (68, 111), (30, 25, 20), -1)
    return drawn


def test_a_beard_is_darker_than_the_cheeks(faces):  # noqa: F811
    bare, bearded = darkness(np.stack(faces)), darkness(np.stack(list(map(with_beard, faces))))
    assert (bearded > bare + 0.5).all()
    dim = [(crop * 0.4).astype(np.uint8) for crop in faces]
    assert darkness(np.stack(dim)) == pytest.approx(bare, abs=0.15)


def test_of_each_person_few_photos_count():
    people = np.array(["many"] * 100 + ["two"] * 2 + [f"one {n}" for n in range(5)])
    chosen = people[few_of_each(people)]
    names, counts = np.unique(chosen, return_counts=True)
    assert dict(zip(names, counts, strict=True))["many"] == MOST_PHOTOS
    assert counts.sum() == MOST_PHOTOS + 2 + 5


def test_the_direction_is_that_of_beards_and_not_of_who_wears_them():
    random = np.random.default_rng(4)
    count = 4000
    is_man = np.arange(count) % 2 == 0
    has_beard = is_man & (random.random(count) < 0.15)
    embeddings = random.normal(0, 1 / SIZE**0.5, (count, SIZE))
    embeddings[:, 0] += np.where(is_man, 0.5, -0.5)
    embeddings[:, 1] += 0.5 * has_beard
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    dark = random.normal(0, 0.3, count) + 0.6 * has_beard  # shadows are dark as well
    hair, with_hair, without = find_facial_hair(embeddings.astype(np.float32), dark)
    direction = hair.direction.numpy() / np.linalg.norm(hair.direction.numpy())
    assert direction[1] > 0.9
    assert direction[0] < 0.1  # a mean of all without would be half women
    assert has_beard[with_hair].mean() > 0.9
    assert has_beard[without].mean() < 0.02
    assert hair.bare < hair.sure


@pytest.mark.slow
def test_the_command_writes_a_model_that_knows_drawn_beards(faces, tmp_path):  # noqa: F811
    crops = [varied(faces[n % 2], n) for n in range(600)]
    crops = [with_beard(crop) if n % 12 < 2 else crop for n, crop in enumerate(crops)]
    records = [record(crop, f"person {n % 150}") for n, crop in enumerate(crops)]
    write_parquet(tmp_path / "data" / "train-00000.parquet", records)
    small, output, sheet = (
        save_small_bundle(tmp_path / "small"),
        tmp_path / "out",
        tmp_path / "a.png",
    )
    files = ("--data", tmp_path / "data", "--model", small, "--output", output, "--sheet", sheet)
    output.mkdir()  # as of a bundle that was there
    main(list(map(str, files)))
    bundle = load_bundle(output)
    assert bundle.name == load_bundle(small).name
    assert bundle.facial_hair.direction.norm() > 0
    assert cv2.imread(str(sheet)).shape[1] == 24 * 112


def test_the_command_refuses_a_set_that_is_too_small(faces, tmp_path):  # noqa: F811
    records = [record(faces[0], f"person {n % 10}") for n in range(510)]
    write_parquet(tmp_path / "data" / "a.parquet", records)
    small = save_small_bundle(tmp_path / "small")
    files = ("--data", tmp_path / "data", "--model", small, "--output", tmp_path / "out")
    with pytest.raises(TrainingError, match="80 photos, at most 8 a person, are too few"):
        main(list(map(str, files)))
    assert not (tmp_path / "out").exists()


def test_the_command_refuses_a_sheet_that_it_cannot_write_before_it_reads_photos(tmp_path):
    (tmp_path / "file").touch()
    files = ("--output", tmp_path / "out", "--sheet", tmp_path / "file" / "sheet.png")
    with pytest.raises(TrainingError, match=r"file cannot be made .*Choose another"):
        main(["--data", str(tmp_path / "nowhere"), *map(str, files)])
