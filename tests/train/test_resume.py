"""Where a run goes on, where it begins anew, and that runs do not mix in one folder."""

import json
import logging
import shutil

import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.training.training_here import train_here
from tests.support.training.training_runs import metrics, write_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def old_run(data, tmp_path_factory):
    """The folder of a run with checkpoints of steps 5 and 10."""
    folder = tmp_path_factory.mktemp("old")
    assert train_here(write_config(folder, data), "--num-steps", "10") == 0
    return folder


@pytest.fixture
def config(old_run, data, tmp_path):
    """For a run in a copy of that folder."""
    shutil.copytree(old_run, tmp_path, dirs_exist_ok=True)
    return write_config(tmp_path, data)


def kept(folder) -> list[str]:
    return sorted(path.name for path in (folder / "run" / "checkpoints").iterdir())


def test_a_new_run_in_an_old_ones_folder_is_refused(config, tmp_path, capsys):
    assert train_here(config, "--num-steps", "6") == 1
    assert "holds a run of 10 steps" in capsys.readouterr().err
    assert kept(tmp_path) == ["step_00000005", "step_00000010"]


def test_resuming_where_no_checkpoint_is_yet_begins_anew(data, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").write_text('{"step": 3, "loss/identity": 9.0}\n')
    assert train_here(write_config(tmp_path, data), "--resume", "--num-steps", "1") == 0
    assert "the run begins anew" in caplog.text
    assert list(metrics(tmp_path)) == [1]  # nothing of what was cut off before its checkpoint


def test_resuming_from_an_older_checkpoint_leaves_the_newer_course(config, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    older = str(tmp_path / "run" / "checkpoints" / "step_00000005")
    flags = ("--num-steps", "6", "--learning-rate", "1e-5", "--weights.colour", "2")
    assert train_here(config, "--resume", older, *flags) == 0
    assert kept(tmp_path) == ["abandoned_step_00000010", "step_00000005", "step_00000006"]
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert "Changed since step 5: learning_rate 0.0004 -> 1e-05" in caplog.text
    assert "Changed since step 5: weights.colour 0.0 -> 2.0" in caplog.text
