"""Evaluation from a folder of photos to table, JSON and contact sheet, with a judge made here."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap import FaceSwapper
from simswap.weights.bundle import load_bundle, save_bundle
from tests.support.examples import read_example
from tests.train.evaluate.test_judges import save_judge
from train.errors import TrainingError
from train.evaluate.__main__ import main
from train.evaluate.evaluation import evaluate_swapper
from train.evaluate.figures import figures_of
from train.evaluate.judge_files import IDENTITY_FILE, find_judges
from train.evaluate.judges import Judges, load_judges
from train.evaluate.measurements import (
    measure_methods,
    measure_pairs,
    merge_measurements,
    paste_mask,
)
from train.evaluate.methods import results_method
from train.evaluate.pairs import Pair, find_evaluation_folder, load_pairs

PHOTOS = ("astronaut.jpg", "grace_hopper.jpg")
COLUMNS = ["identity", "file", *(f"{axis}{i}" for i in range(5) for axis in "xy")]


def write_table(path: Path, columns: list[str], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def make_evaluation_data(swapper: FaceSwapper, parent: Path) -> Path:
    """An evaluation folder: two people, each the other's target, and a photo without a face."""
    folder = parent / "eval"
    (folder / "photos").mkdir(parents=True)
    rows = []
    for name in PHOTOS:
        photo = np.array(Image.fromarray(read_example(name)).resize((256, 256)))
        Image.fromarray(photo).save(folder / "photos" / name, quality=95)
        landmarks = swapper.detect(photo)[0].landmarks
        rows.append([Path(name).stem, name, *landmarks.flatten()])
    Image.new("RGB", (200, 200), "grey").save(folder / "photos" / "grey.png")
    rows.append(["nobody", "grey.png", 70, 80, 130, 80, 100, 110, 75, 140, 125, 140])
    write_table(folder / "photos.csv", COLUMNS, rows)
    pair_columns = ["source_identity", "source_file", "target_identity", "target_file"]
    pairs = [
        ["astronaut", PHOTOS[0], "grace_hopper", PHOTOS[1]],
        ["grace_hopper", PHOTOS[1], "astronaut", PHOTOS[0]],
    ]
    write_table(folder / "pairs.csv", pair_columns, pairs)
    faceless = ["astronaut", PHOTOS[0], "nobody", "grey.png"]
    write_table(folder / "faceless.csv", pair_columns, [faceless])
    save_judge(parent / "models" / IDENTITY_FILE)
    return parent


@pytest.fixture(scope="module")
def data(swapper: FaceSwapper, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_evaluation_data(swapper, tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def pairs(data: Path) -> list[Pair]:
    return load_pairs(data / "eval")


@pytest.fixture(scope="module")
def judges(data: Path) -> Judges:
    return load_judges(find_judges(data / "models"))


def test_the_evaluation_folder_is_found_from_itself_and_from_above(data):
    assert find_evaluation_folder(data) == find_evaluation_folder(data / "eval")


def test_a_folder_without_photos_csv_is_an_error_that_names_it(tmp_path):
    with pytest.raises(TrainingError, match=r"No photos\.csv"):
        find_evaluation_folder(tmp_path)


def test_a_limit_takes_the_first_pairs(data):
    assert [pair.source_identity for pair in load_pairs(data / "eval", limit=1)] == ["astronaut"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source_file,target_file\n", "lacks the columns source_identity"),
        ("source_identity,source_file,target_file\n", "holds no pair"),
        ("source_identity,source_file,target_file\na,none.jpg,none.jpg\n", "line 2: none.jpg"),
    ],
)
def test_a_list_of_pairs_that_is_wrong_is_told(data, tmp_path, text, message):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(TrainingError, match=message):
        load_pairs(data / "eval", path)


def test_landmarks_that_are_no_numbers_are_told_by_line(data, tmp_path):
    write_table(tmp_path / "photos.csv", COLUMNS, [["a", "a.jpg", *"123456789", "x"]])
    with pytest.raises(TrainingError, match="line 2: a landmark is not a number"):
        load_pairs(tmp_path, data / "eval" / "pairs.csv")


@pytest.mark.slow
def test_shards_measured_apart_give_the_same_figures(swapper, pairs, judges):
    parts = [measure_pairs(swapper, pairs[rank::2], judges) for rank in (1, 0)]
    whole = evaluate_swapper(swapper, pairs, judges, full=False)
    assert figures_of(merge_measurements(parts)).scalars() == whole.swapped.scalars()


@pytest.mark.slow
def test_the_anchors_are_the_ends_of_the_scale(swapper, pairs, judges):
    figures = evaluate_swapper(swapper, pairs, judges).figures
    assert list(figures) == ["swapped", "no swap", "source pasted"]
    assert figures["no swap"].target_cosine == pytest.approx(1, abs=1e-5)
    assert figures["no swap"].self_l1 == 0
    assert figures["source pasted"].target_cosine < 0.999
    assert 0 < figures["source pasted"].self_l1 < figures["swapped"].self_l1


def test_a_target_without_a_face_is_counted_and_stays_untouched(swapper, data, judges):
    faceless = load_pairs(data / "eval", data / "eval" / "faceless.csv")
    swapped = evaluate_swapper(swapper, faceless, judges, full=False).swapped
    assert swapped.missed == 1
    assert swapped.target_cosine == pytest.approx(1, abs=1e-5)


def test_the_mask_of_the_self_swap_covers_the_face_only(swapper, pairs):
    landmarks = pairs[0].target_landmarks
    mask = paste_mask(swapper, pairs[0].read_target().shape, landmarks)
    x, y = landmarks[2].astype(int)
    assert mask[y, x] == 1
    assert mask[0].max() == mask[-1].max() == 0
    assert 0.01 < mask.mean() < 0.5


@pytest.mark.slow
def test_the_command_writes_table_json_and_sheet(data, tmp_path, capsys):
    json_file, sheet = tmp_path / "figures.json", tmp_path / "sheet.png"
    outputs = ["--json", str(json_file), "--contact-sheet", str(sheet)]
    assert main(["--data", str(data), "--device", "cpu", *outputs]) == 0
    shown = capsys.readouterr()
    assert "| source pasted |" in shown.out
    assert "Pose error left out" in shown.out
    assert "2 of 2 pairs judged" in shown.err
    stored = json.loads(json_file.read_text())
    assert stored["figures"]["swapped"]["num_pairs"] == 2
    assert stored["figures"]["swapped"]["pose_error"] is None
    assert [pair["number"] for pair in stored["pairs"]] == [0, 1]
    assert np.array(Image.open(sheet)).ndim == 3


def test_the_command_refuses_a_judge_that_was_a_teacher(data, tmp_path, capsys):
    judge = save_judge(tmp_path / "edgeface_xs.pt")  # the bundled model's config names it
    assert main(["--data", str(data), "--judge", str(judge)]) == 1
    assert "was a teacher" in capsys.readouterr().err


@pytest.mark.slow
def test_the_command_tells_when_no_teachers_are_known(data, tmp_path, capsys):
    bundle = load_bundle()
    object.__setattr__(bundle.config, "training", {})
    save_bundle(bundle, tmp_path / "model", "# Model\n")
    arguments = ["--model", str(tmp_path / "model"), "--data", str(data / "eval"), "--limit", "1"]
    assert main(arguments) == 0
    assert "names no teachers" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], "No photos.csv"),
        (["--data", "nowhere", "--json", "nowhere/a.json"], "cannot be written"),
        (["--data", "nowhere", "--contact-sheet", "nowhere/a.png"], "does not exist"),
    ],
)
def test_the_command_tells_a_mistake_in_one_sentence_before_it_starts(arguments, message, capsys):
    assert main(arguments) == 1
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == ""


def test_the_command_refuses_a_limit_below_one():
    with pytest.raises(SystemExit) as error:
        main(["--data", "nowhere", "--limit", "0"])
    assert error.value.code == 2


def other_system(folder: Path, pairs: list[Pair], count: int) -> Path:
    """Results of a system that leaves the targets as they are, of the first pairs."""
    folder.mkdir()
    for pair in pairs[:count]:
        Image.fromarray(pair.read_target()).save(folder / f"{pair.number:04}.png")
    return folder


@pytest.mark.slow
def test_results_of_another_system_are_judged_alike(swapper, pairs, judges, tmp_path):
    others = {"theirs": results_method(other_system(tmp_path / "theirs", pairs, 1))}
    figures = evaluate_swapper(swapper, pairs, judges, others=others).figures
    assert figures["theirs"].target_cosine == figures["no swap"].target_cosine
    assert figures["theirs"].missed == 0.5  # the second result is not there
    assert np.isnan(figures["theirs"].self_l1)  # it was not asked to


def test_results_of_another_size_are_refused(swapper, pairs, judges, tmp_path):
    folder = other_system(tmp_path / "theirs", pairs, 0)
    Image.new("RGB", (64, 48)).save(folder / "0.png")
    with pytest.raises(TrainingError, match=r"0\.png has 64 x 48 pixels, its target 256 x 256"):
        measure_methods(swapper, {"theirs": results_method(folder)}, pairs, judges)


def test_a_folder_without_results_is_refused(tmp_path):
    with pytest.raises(TrainingError, match="holds no results"):
        results_method(tmp_path)
