"""Real trainings in processes of their own, small enough for a test."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import torch

from simswap.models.graph import INPUT, Layer
from simswap.models.identity import IdentityConfig, build_identity_network
from simswap.weights.bundle import load_bundle, save_bundle

ROOT = Path(__file__).parents[3]
TINY = """
data = "{data}"
output = "{output}"
name = "simswap-tiny"
identity_model = "{small}"
teachers = ["{small}"]
crop_size = 32
num_steps = 20
batch_size = 2
block_rows = 32
mixed_precision = "no"
discriminator_from = 4
log_with = "none"
log_every = 1
sample_every = 10
save_every = 5
num_threads = 1

[generator]
channels = [4, 8]
num_blocks = 1
embedding_scale = 22.6

[discriminator]
width = 4
"""


def write_config(folder: Path, data: Path | str, extra: str = "") -> Path:
    """A config file for a run in `folder`/run; `extra` lines come first."""
    path = folder / "tiny.toml"
    small = save_small_bundle(folder / "small")
    path.write_text(extra + TINY.format(data=data, output=folder / "run", small=small))
    return path


def save_small_bundle(folder: Path) -> Path:
    """The bundled model with a seeded identity network that costs next to nothing."""
    layers = (
        Layer("mean_pool", (INPUT,), "means", {"output_size": 8}),
        Layer("flatten", ("means",), "vector"),
        Layer("linear", ("vector",), "embedding", {"in_features": 192, "out_features": 512}),
    )
    bundle, identity = load_bundle(), IdentityConfig("graph", layers=layers)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = build_identity_network(identity).eval()
    config = replace(bundle.config, identity=identity)
    save_bundle(replace(bundle, config=config, identity_network=network), folder, "# Small\n")
    return folder


def start(
    config: Path, *flags: str, num_processes: int = 1, launcher: Sequence[str] = ()
) -> subprocess.Popen:
    """A training that has just begun; its output is kept for a failing test to show.

    launcher: Python's arguments before the script; none: ours, for more than one process.
    """
    if num_processes > 1:
        launcher = our_launcher(num_processes)
    command = [sys.executable, *launcher, "train/train.py", "--config", str(config), *flags]
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_DATASETS_OFFLINE": "1",
        "TQDM_DISABLE": "1",
        "GLOO_SOCKET_IFNAME": "lo",  # the host's name need not resolve
    }
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def our_launcher(num_processes: int) -> list[str]:
    """Python's arguments that start so many processes."""
    address = ["--master_addr=127.0.0.1", f"--master_port={_free_port()}"]
    return ["-m", "train.launch", f"--nproc_per_node={num_processes}", *address]


def interrupted(whole: Path, folder: Path) -> Path:
    """A copy in `folder` of the run in `whole` as it was after step 5."""
    checkpoint = Path("run", "checkpoints", "step_00000005")
    shutil.copytree(whole / checkpoint, folder / checkpoint)
    return folder


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def finish(process: subprocess.Popen, timeout: float = 240) -> str:
    """Wait for a training's end; what it said."""
    try:
        return process.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        kill(process)
        raise


def kill(process: subprocess.Popen) -> None:
    """SIGKILL to a training and all its processes: torchrun's are in sessions of their own."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        member.kill()
    process.communicate()


def metrics(folder: Path) -> dict[int, dict[str, float]]:
    """Losses by step, the newest of each step."""
    path = folder / "run" / "metrics.jsonl"
    lines = path.read_text().splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines if line.endswith("}")]
    return {
        row["step"]: {name: value for name, value in row.items() if name.startswith("loss/")}
        for row in rows
    }


def wait_for_step(process: subprocess.Popen, folder: Path, step: int, timeout: float = 180) -> None:
    """Return as soon as `step` is logged."""
    deadline = time.monotonic() + timeout
    while max(metrics(folder), default=0) < step:
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"Step {step} was not reached:\n{finish(process, 10)}")
        time.sleep(0.05)
