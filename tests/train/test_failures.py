"""What goes wrong in a training ends in one sentence, before the first step where it can."""

import logging
import resource
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.media.memory_photos import LANDMARKS, photo_row
from tests.support.training.shard_sources import write_parquet
from tests.support.training.training_here import train_here
from tests.support.training.training_runs import (
    finish,
    finish_all,
    metrics,
    start,
    start_each,
    write_config,
)
from tests.support.warm_python import WarmProcess
from tests.train.evaluate.test_judges import save_judge

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkpoint(data, tmp_path_factory):
    """The folder of a run that came to its end at step 5, with a checkpoint."""
    folder = tmp_path_factory.mktemp("finished")
    assert train_here(write_config(folder, data), "--num-steps", "5") == 0
    return folder


def rows(count: int, num_people: int = 4) -> list[dict]:
    """Photos with landmarks."""
    return [
        {
            "image": {"bytes": photo_row(number, None).image, "path": None},
            "identity": f"person {number % num_people}",
            "landmarks": LANDMARKS.tolist(),
        }
        for number in range(count)
    ]


def without(column: str, records: list[dict]) -> list[dict]:
    return [{name: row[name] for name in row if name != column} for row in records]


@pytest.fixture(scope="module")
def checkpoint_of_two(checkpoint, data, tmp_path_factory):
    """The same run, which two processes took over and brought to step 10; and what they said."""
    folder = copy_of(checkpoint, tmp_path_factory.mktemp("two") / "copy")
    config = write_config(folder, data)
    return folder, finish_all(start_each(config, "--resume", "--num-steps", "10", num_processes=2))


def copy_of(run: Path, folder: Path) -> Path:
    """A run that a test may spoil."""
    shutil.copytree(run, folder, dirs_exist_ok=True)
    return folder


def steps_kept(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "run" / "checkpoints").iterdir())


@pytest.fixture
def train(tmp_path, capsys, monkeypatch):
    """Run the command in this process; its exit code, and the sentences with which it ends."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])

    def run(data: Path, *flags: str, extra: str = "") -> tuple[int, list[str]]:
        code = train_here(write_config(tmp_path, data, extra), *flags)
        said = capsys.readouterr().err.splitlines()
        return code, [line for line in said if line.startswith("train: ")]

    return run


@pytest.fixture
def refusal(train, tmp_path):
    """The sentence with which the command ends before the first step."""

    def run(data: Path, *flags: str, extra: str = "") -> str:
        code, said = train(data, *flags, extra=extra)
        assert (code, len(said)) == (1, 1)
        assert not (tmp_path / "run" / "metrics.jsonl").exists()
        return said[0]

    return run


@pytest.mark.parametrize(
    ("records", "message"),
    [
        (without("image", rows(8)), "no column 'image'"),
        (without("landmarks", rows(8)), "python -m train.prepare"),
        (rows(8, num_people=1), "only one person"),
        (rows(1), "fewer than a batch of 2"),
    ],
    ids=["no image column", "no landmarks", "one person", "fewer rows than a batch"],
)
def test_photos_that_cannot_be_trained_on_are_told(tmp_path, refusal, records, message):
    write_parquet(tmp_path / "data" / "train.parquet", records)
    assert message in refusal(tmp_path / "data")


def test_a_data_folder_that_does_not_exist_is_told(tmp_path, refusal):
    assert "There is no folder" in refusal(tmp_path / "nowhere")


def test_an_empty_shard_is_named(tmp_path, refusal):
    shard = tmp_path / "data" / "train-0.parquet"
    write_parquet(shard, rows(8))
    pq.write_table(pq.read_table(shard).slice(0, 0), shard.with_name("train-1.parquet"))
    assert "train-1.parquet is empty" in refusal(tmp_path / "data")


def test_a_shard_that_is_cut_off_is_named(tmp_path, refusal):
    shard = tmp_path / "data" / "train-0.parquet"
    write_parquet(shard, rows(8))
    shard.write_bytes(shard.read_bytes()[:-100])
    assert "train-0.parquet cannot be read" in refusal(tmp_path / "data")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--resume", "nowhere"), "nowhere is no checkpoint"),
        (("--teachers", "nowhere.pt"), "teacher nowhere.pt is neither"),
        (("--identity-model", "nowhere"), "nowhere is neither a model folder"),
        (("--push-to-hub",), "--hub-model-id"),
        (("--eval-data", "assets/examples", "--judge", "x.pt"), "No photos.csv"),
        (("--log-with", "wandb"), "wandb"),
        (("--log-with", "paper"), "log_with='paper' is none of"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_setting_that_cannot_be_met_is_told(data, refusal, flags, message):
    assert message in refusal(data, *flags)


def test_an_output_that_is_a_file_is_told(data, tmp_path, refusal):
    (tmp_path / "taken").touch()
    said = refusal(data, "--output", str(tmp_path / "taken"))
    assert "taken cannot be written to" in said
    assert "--output" in said


def test_pushing_without_a_token_is_told(data, tmp_path, refusal, monkeypatch):
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "none"))
    said = refusal(data, "--push-to-hub", "--hub-model-id", "user/tiny")
    assert "no Hugging Face token" in said


def test_a_judge_that_is_a_teacher_is_refused(data, tmp_path, refusal):
    folder, judge = tmp_path / "eval", save_judge(tmp_path / "models" / "recogniser.pt")
    folder.mkdir()
    columns = [f"{axis}{i}" for i in range(5) for axis in "xy"]
    landmarks = ",".join(map(str, np.arange(10)))
    (folder / "photos.csv").write_text(f"file,{','.join(columns)}\na.png,{landmarks}\n")
    (folder / "photos").mkdir()
    (folder / "photos" / "a.png").write_bytes(photo_row(0, None).image)
    (folder / "pairs.csv").write_text(
        "source_identity,source_file,target_identity,target_file\na,a.png,a,a.png\n"
    )
    flags = ("--eval-data", str(folder), "--judge", str(judge), "--teachers", str(judge))
    assert "was a teacher" in refusal(data, *flags)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("model.safetensors", 100),
        ("optimizer.bin", 100),
        ("optimizer_1.bin", 0),
        ("ema.safetensors", 0),
        ("random_states_0.pkl", 100),
        ("data_0.json", 10),
        ("run.json", 10),
    ],
)
def test_a_damaged_checkpoint_is_told(checkpoint, data, tmp_path, refusal, name, size):
    damaged = tmp_path / "step_00000005"
    damaged.mkdir()
    for path in (checkpoint / "run" / "checkpoints" / damaged.name).iterdir():
        content = path.read_bytes()
        (damaged / path.name).write_bytes(content[:size] if path.name == name else content)
    said = refusal(data, "--resume", str(damaged))
    assert "step_00000005 is damaged" in said
    assert "older" in said


def test_a_data_set_that_the_hub_does_not_have_is_told(tmp_path):
    process = start(write_config(tmp_path, Path("user/absent")))
    output = finish(process)
    assert process.returncode == 1
    assert "train: " in output
    assert "user/absent" in output
    assert "Traceback" not in output


def on_a_full_disk(process: WarmProcess) -> WarmProcess:
    """Let no file grow beyond 8 kB: what a checkpoint needs, logs and settings do not."""
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (8192, 8192))  # children inherit it
    return process


def test_a_full_disk_leaves_the_previous_checkpoint(checkpoint_of_two, data, tmp_path):
    folder = copy_of(checkpoint_of_two[0], tmp_path)
    (folder / "run" / "metrics.jsonl").unlink()
    config = write_config(folder, data)
    flags = ("--resume", "--sample-every", "100")
    processes = start_each(config, *flags, num_processes=2)
    limited = [on_a_full_disk(process) for process in processes]  # both, before either ends
    output = "".join(finish(process) for process in limited)
    assert [process.returncode for process in processes] == [1, 1]
    assert "The checkpoint of step 15 could not be written" in output
    assert "step 10 is whole" in output
    assert 'train/train.py", line' not in output
    assert steps_kept(folder) == ["step_00000005", "step_00000010"]


def test_two_processes_go_on_where_one_stopped(checkpoint_of_two):
    folder, output = checkpoint_of_two
    assert "made with 1 data streams, now there are 2" in output
    assert max(metrics(folder)) == 10


def test_one_process_goes_on_where_two_stopped(checkpoint_of_two, data, tmp_path, train, caplog):
    folder = copy_of(checkpoint_of_two[0], tmp_path)
    assert train(data, "--resume", "--num-steps", "12") == (0, [])
    assert "made with 2 data streams, now there are 1" in caplog.text
    assert max(metrics(folder)) == 12


def test_a_loss_that_breaks_stops_the_run_and_the_last_checkpoint_goes_on(
    checkpoint, data, tmp_path, train
):
    folder = copy_of(checkpoint, tmp_path)
    code, (said,) = train(data, "--resume", "--learning-rate", "1e30")
    assert code == 1
    assert "became nan at step 7" in said
    assert "The loss " in said
    assert steps_kept(folder) == ["step_00000005"]
    assert train(data, "--resume", "--num-steps", "10") == (0, [])
    assert steps_kept(folder) == ["step_00000005", "step_00000010"]


def test_weights_that_broke_are_not_saved(checkpoint, data, tmp_path, train):
    folder = copy_of(checkpoint, tmp_path)
    flags = ("--resume", "--save-every", "1", "--weights.identity.start", "inf")
    code, (said,) = train(data, *flags)
    assert code == 1
    assert "generator are no longer finite after step 6" in said
    assert steps_kept(folder) == ["step_00000005"]


def test_a_disk_too_full_for_logs_stops_all_processes(data, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.jsonl").symlink_to("/dev/full")  # the first process's alone
    processes = start_each(write_config(tmp_path, data), num_processes=2)
    said, _ = [finish(process) for process in processes]  # the other lost its partner
    assert [process.returncode for process in processes] == [1, 1]
    assert "train: The disk of " in said
    assert "Traceback" not in said
