"""Runs that a scheduler or a person stops, by signals as launchers and schedulers send them."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip("datasets", reason="needs the train extra")

from tests.support.examples import ROOT
from tests.support.training.training_runs import (
    SETTINGS,
    TRAININGS,
    finish,
    metrics,
    our_launcher,
    start,
    start_each,
    wait_for_step,
    write_config,
)
from tests.support.warm_python import start_warm
from train.loop.stopping import STOPPED

pytestmark = pytest.mark.slow
FLAGS = ("--num-steps", "100000", "--save-every", "1000")


def assert_saved(folder, output: str) -> None:
    """The last step that was made has a checkpoint, and the log says so."""
    stopped = re.search(r"Stopped at step (\d+)", output)
    assert stopped, output
    assert int(stopped[1]) == max(metrics(folder))
    kept = [path.name for path in (folder / "run" / "checkpoints").iterdir()]
    assert kept == [f"step_{int(stopped[1]):08d}"]


def test_a_signal_to_a_run_and_its_workers_ends_it_with_a_checkpoint(data, tmp_path):
    process = start(write_config(tmp_path, data), *FLAGS, "--num-workers", "1")
    wait_for_step(process, tmp_path, 2)
    seen = max(metrics(tmp_path))
    os.killpg(process.pid, signal.SIGTERM)
    output = finish(process)
    assert process.returncode == STOPPED, output
    assert_saved(tmp_path, output)
    assert max(metrics(tmp_path)) <= seen + 2  # one was under way, and may have been logged since


def test_a_signal_to_our_launcher_is_passed_on_and_told_by_its_exit_code(tmp_path):
    script = tmp_path / "trainer.py"
    script.write_text(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('told', flush=True)))\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, *our_launcher(1), str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "told\n"
    assert process.returncode == STOPPED


@pytest.mark.parametrize(("code", "told"), [(3, 1), (STOPPED, STOPPED)])
def test_our_launcher_tells_how_a_process_ended_by_its_exit_code(tmp_path, code, told):
    script = tmp_path / "trainer.py"
    script.write_text(f"raise SystemExit({code})")
    command = [*our_launcher(1), script]
    process = start_warm(command, tmp_path / "output.txt", variables=SETTINGS, server=TRAININGS)
    assert f"exitcode  : {code}" in finish(process)
    assert process.returncode == told


def test_a_signal_to_one_of_two_processes_ends_both_with_a_checkpoint(data, tmp_path):
    first, second = start_each(write_config(tmp_path, data), *FLAGS, num_processes=2)
    wait_for_step(first, tmp_path, 1)
    second.send_signal(signal.SIGINT)
    finish(second)
    assert_saved(tmp_path, first.said())  # by now: a launcher ends all once one has ended
    finish(first)
    assert (first.returncode, second.returncode) == (STOPPED, STOPPED)


def test_a_run_survives_the_end_of_accelerate_launch_for_a_checkpoint(data, tmp_path):
    launcher = ("-m", "accelerate.commands.accelerate_cli", "launch", "--cpu")
    config = str(write_config(tmp_path, data))
    with subprocess.Popen(  # the trainer knows it by its command line
        [sys.executable, *launcher, "train/train.py", "--config", config, *FLAGS],
        cwd=ROOT,
        env={**os.environ, **SETTINGS},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        wait_for_step(process, tmp_path, 1)
        process.send_signal(signal.SIGTERM)  # it dies of it, and says nothing to the trainer
        assert_saved(tmp_path, process.communicate(timeout=240)[0])


def test_a_signal_before_the_first_step_ends_a_run_at_once(data, tmp_path):
    process = start(write_config(tmp_path, data), *FLAGS)
    while "Mixed precision" not in process.said():
        assert process.poll() is None, process.said()
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert "Traceback" not in finish(process)
    assert process.returncode == STOPPED
    assert not metrics(tmp_path)
