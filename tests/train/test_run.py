"""Whole trainings in two real processes: what they leave, killed and resumed."""

import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from simswap import FaceSwapper
from simswap.media.photos import read_photo
from tests.support.training.training_here import train_here
from tests.support.training.training_runs import (
    finish_all,
    interrupted,
    metrics,
    start_each,
    start_together,
    wait_for_step,
    write_config,
)

pytestmark = pytest.mark.slow
EXAMPLES = Path("assets/examples")


@pytest.fixture(scope="module")
def whole_run(data, tmp_path_factory) -> Path:
    """The folder of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    run(write_config(folder, data))
    return folder


def run(config: Path, *flags: str) -> str:
    """Train to the end; what the training said."""
    return finish_all(start_each(config, *flags, num_processes=2))


def assert_equal_losses(found: dict, expected: dict) -> None:
    assert found.keys() == expected.keys()
    for step, losses in expected.items():
        assert found[step] == pytest.approx(losses, abs=1e-6), step


def test_a_run_killed_after_step_12_resumes_exactly(whole_run, data, tmp_path):
    config = write_config(tmp_path, data)
    processes = start_each(config, num_processes=2)
    try:
        wait_for_step(processes[0], tmp_path, 12)
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert max(metrics(tmp_path)) < 20  # it really was cut off
    assert "from step 10" in run(config, "--resume")
    assert_equal_losses(metrics(tmp_path), metrics(whole_run))


def of_eight(data: Path, folder: Path) -> Path:
    """The same photos as if they showed eight people, of whom two processes have some each."""
    folder.mkdir()
    for path in data.glob("*.parquet"):
        rows = pq.read_table(path)
        names = [f"{name} {i % 8 // 2}" for i, name in enumerate(rows["identity"].to_pylist())]
        place = rows.schema.get_field_index("identity")
        pq.write_table(rows.set_column(place, "identity", [names]), folder / path.name)
    return folder


def test_two_processes_with_cached_photos_resume_exactly(data, tmp_path):
    data = of_eight(data, tmp_path / "data")
    flags = ("--cache-photos", "--num-steps", "10")
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    whole.mkdir()
    run(write_config(whole, data), *flags)
    interrupted(whole, resumed)
    run(write_config(resumed, data), "--resume", *flags)
    expected = metrics(whole)
    assert_equal_losses(metrics(resumed), {step: expected[step] for step in range(6, 11)})


# A training that tells how many networks are left when its processes part.
LEFT = """
import gc, runpy, torch
from torch.nn.parallel import DistributedDataParallel as Shared
part = torch.distributed.destroy_process_group
def told(*group):
    print("left:", sum(isinstance(each, Shared) for each in gc.get_objects()))
    part(*group)
torch.distributed.destroy_process_group = told
runpy.run_path("train/train.py", run_name="__main__")
"""


def test_processes_part_once_no_network_is_left_that_would_wait_for_their_threads(data, tmp_path):
    """It would wait with the interpreter's lock, for which those may be waiting: for ever."""
    command = ["-c", LEFT, "--config", write_config(tmp_path, data), "--num-steps", "1"]
    said = finish_all(start_together(command, tmp_path, 2))
    assert said.count("left: 0\n") == 2


def test_a_run_of_two_processes_logs_and_saves_once(whole_run):
    lines = (whole_run / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 20
    kept = sorted(path.name for path in (whole_run / "run" / "checkpoints").iterdir())
    assert kept == ["step_00000010", "step_00000015", "step_00000020"]


def test_the_demo_loads_the_runs_bundle_unchanged(whole_run):
    swapper = FaceSwapper.from_pretrained(whole_run / "run" / "bundle")
    target = read_photo(EXAMPLES / "astronaut.jpg").image
    source = read_photo(EXAMPLES / "grace_hopper.jpg").image
    result = swapper.swap_image(target, swapper.identity_of(source))
    assert result.swapped
    assert not np.array_equal(result.image, target)
    assert "20" in (whole_run / "run" / "bundle" / "README.md").read_text()


def test_a_log_that_is_no_screen_has_a_line_for_each_report(data, tmp_path, caplog):
    caplog.set_level("INFO")
    assert train_here(write_config(tmp_path, data), "--num-steps", "2") == 0
    assert re.search(r"Step 2 of 2: .*identity_different \d\.\d+.*images/s", caplog.text)


def test_a_run_leaves_sample_grids(whole_run):
    names = sorted(path.name for path in (whole_run / "run" / "samples").iterdir())
    assert names == ["step_00000010.png", "step_00000020.png"]


def test_a_checkpoint_of_another_architecture_is_refused(whole_run, capsys):
    assert train_here(whole_run / "tiny.toml", "--resume", "--generator.num-blocks", "2") == 1
    assert "was made with generator=" in capsys.readouterr().err
