"""The stopwatch of training steps runs on real ones."""

import re

import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.training.training_runs import write_config
from train.speed import main


@pytest.mark.slow
def test_it_tells_speed_waiting_memory_and_the_costliest_operations(data, tmp_path, capsys):
    assert main(["--config", str(write_config(tmp_path, data))]) == 0
    report = capsys.readouterr().out
    assert "images/s" in report
    assert "waiting for data" in report
    assert len(report.splitlines()) == 8  # three lines, and the five costliest
    assert "ms of a core load a pair" in report
    assert float(re.search(r"^(\S+) TFLOP/s$", report, re.MULTILINE)[1]) > 0
    assert "%  aten::" in report


def test_a_mistake_ends_in_one_sentence(capsys):
    assert main(["--config", "nothing-of-the-kind"]) == 1
    assert capsys.readouterr().err.startswith("train.speed: No preset")
