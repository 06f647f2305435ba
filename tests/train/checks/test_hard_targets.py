"""Grey, dark, close and covered targets, made from plain ones and swapped."""

import logging

import pytest

pytest.importorskip("accelerate", reason="needs the train extra")

from tests.train.evaluate.test_evaluate import make_evaluation_data
from train.checks.hard_targets import main


@pytest.fixture(scope="module")
def report(swapper, tmp_path_factory):
    data = make_evaluation_data(swapper, tmp_path_factory.mktemp("data"))
    sheet = data / "sheet.png"
    records = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append(record.getMessage().strip())
    logger = logging.getLogger("train.checks.hard_targets")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    main(["--data", str(data), "--pairs", "1", "--sheet", str(sheet)])
    logger.removeHandler(handler)
    figures = dict(line.split(": ", 1) for line in records if ": median" in line)
    lost = {line for line in records if "without a face" in line}
    return figures, lost, sheet


def least_and_most(figures: dict[str, str], name: str) -> tuple[float, float]:
    least, most = figures[name].split(", ")[1].split(" to ")
    return float(least), float(most)


def test_every_kind_of_target_has_its_face_found(report):
    kinds = ("plain", "grey", "dark", "close", "covered")
    assert report[1] == {f"{kind}: 0 targets without a face found" for kind in kinds}


def test_a_grey_target_stays_grey(report):
    assert least_and_most(report[0], "colour") == (0, 0)


def test_a_hand_that_is_drawn_before_the_face_stays(report):
    assert least_and_most(report[0], "hand unchanged")[0] > 0.5


def test_targets_and_results_are_drawn(report):
    assert report[2].stat().st_size > 0
