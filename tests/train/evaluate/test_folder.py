"""Evaluation folders made of prepared photos."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.media.memory_photos import LANDMARKS, photo_row
from tests.support.training.shard_sources import write_parquet
from train.data.rows import decode_photo
from train.errors import TrainingError
from train.evaluate.folder import main, make_folder
from train.evaluate.pairs import load_pairs

ROWS = [photo_row(number, f"person {number % 4}") for number in range(12)]


def test_pairs_of_two_people_each_are_read_as_they_were_drawn(tmp_path):
    broken = replace(ROWS[5], image=b"none")
    make_folder([*ROWS[:5], broken, *ROWS[6:], photo_row(13, None)], tmp_path / "eval", 20)
    pairs = load_pairs(tmp_path / "eval")
    assert len(pairs) == 20
    photos = {decode_photo(row).tobytes(): row.identity for row in ROWS if row is not ROWS[5]}
    for pair in pairs:
        source, target = photos[pair.read_source().tobytes()], photos[pair.read_target().tobytes()]
        assert source == pair.source_identity != target
        np.testing.assert_allclose(pair.target_landmarks, LANDMARKS, atol=0.01)


def test_the_same_seed_draws_the_same_pairs(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        make_folder(ROWS, tmp_path / name, 9, seed)
    a, b, c = ((tmp_path / name / "pairs.csv").read_text() for name in "abc")
    assert a == b != c


def test_the_command_says_what_lacks(tmp_path):
    row = {"image": ROWS[0].image, "identity": "a", "landmarks": LANDMARKS.tolist()}
    write_parquet(tmp_path / "a.parquet", [row])
    with pytest.raises(TrainingError, match=r"1 of 1 photos .* 1 people; pairs need two"):
        main(["--data", str(tmp_path), "--output", str(tmp_path / "eval")])


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(TrainingError, match="is there already"):
        make_folder(ROWS, tmp_path, 3)
