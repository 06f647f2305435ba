"""Real trainings in processes of their own, small enough for a test."""

import atexit
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import psutil
import torch

from simswap.models.generator import Generator, GeneratorConfig
from simswap.models.graph import INPUT, Layer
from simswap.models.identity import IdentityConfig, build_identity_network
from simswap.weights.bundle import load_bundle, save_bundle
from tests.support.ports import free_port
from tests.support.warm_python import LIBRARIES, WarmProcess, WarmServer, start_warm

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

SETTINGS = {
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
    "TQDM_DISABLE": "1",
    "GLOO_SOCKET_IFNAME": "lo",  # the host's name need not resolve
    "PYTHONDONTWRITEBYTECODE": "1",  # on a full disk it would be cut off, unnoticed
}
# torch imports its compiler for every optimiser, datasets scipy.io for every folder: that takes
# longer than the training does.
TRAININGS = WarmServer(
    [*LIBRARIES, "torch._dynamo", "accelerate", "datasets", "scipy.io", "tyro", "train.train"],
    SETTINGS,
)


def write_config(folder: Path, data: Path | str, extra: str = "") -> Path:
    """A config file for a run in `folder`/run; `extra` lines come first."""
    path = folder / "tiny.toml"
    small = small_bundle()
    path.write_text(extra + TINY.format(data=data, output=folder / "run", small=small))
    return path


@cache
def small_bundle() -> Path:
    """A small bundle for all runs of this process to read."""
    folder = tempfile.mkdtemp()
    atexit.register(shutil.rmtree, folder)
    return save_small_bundle(Path(folder, "small"))


def save_small_bundle(folder: Path) -> Path:
    """The bundled detector beside a generator and an identity network that cost next to nothing.

    Without a parser: each saved model counts what its networks cost.
    """
    layers = (
        Layer("mean_pool", (INPUT,), "means", {"output_size": 8}),
        Layer("flatten", ("means",), "vector"),
        Layer("linear", ("vector",), "embedding", {"in_features": 192, "out_features": 512}),
    )
    bundle, identity = load_bundle(), IdentityConfig("graph", layers=layers)
    generator = GeneratorConfig(channels=(4, 8), num_blocks=1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        networks = {
            "identity_network": build_identity_network(identity).eval(),
            "generator": Generator(generator).eval(),
            "parser": None,
        }
    config = replace(bundle.config, identity=identity, generator=generator, parser=None)
    save_bundle(replace(bundle, config=config, **networks), folder, "# Small\n")
    return folder


def start(config: Path, *flags: str, launcher: Sequence[str] = ()) -> WarmProcess:
    """A training that has just begun; its output is kept for a failing test to show.

    launcher: Python's arguments before the script.
    """
    command = [*launcher, "train/train.py", "--config", str(config), *flags]
    output = config.with_name(f"output_{time.monotonic_ns()}.txt")  # several may train together
    return start_warm(command, output, variables=SETTINGS, server=TRAININGS)


def start_each(config: Path, *flags: str, num_processes: int) -> list[WarmProcess]:
    """One training's processes, as by start_together."""
    command = ["train/train.py", "--config", str(config), *flags]
    return start_together(command, config.parent, num_processes)


def start_together(
    arguments: Sequence[str | Path], folder: Path, num_processes: int
) -> list[WarmProcess]:
    """Processes that know of each other, as a launcher starts them; none ends with another.

    arguments: Python's; folder: where their output is kept.
    """
    together = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    together |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(num_processes))
    processes = []
    for rank in map(str, range(num_processes)):
        own = {"RANK": rank, "LOCAL_RANK": rank} | together if num_processes > 1 else {}
        output = folder / f"output_{rank}.txt"
        processes.append(start_warm(arguments, output, variables=SETTINGS | own, server=TRAININGS))
    return processes


def our_launcher(num_processes: int) -> list[str]:
    """Python's arguments that start so many processes."""
    address = ["--master_addr=127.0.0.1", f"--master_port={free_port()}"]
    return ["-m", "train.launch", f"--nproc_per_node={num_processes}", *address]


def interrupted(whole: Path, folder: Path) -> Path:
    """A copy in `folder` of the run in `whole` as it was after step 5."""
    checkpoint = Path("run", "checkpoints", "step_00000005")
    shutil.copytree(whole / checkpoint, folder / checkpoint)
    return folder


def finish(process: WarmProcess, timeout: float = 240) -> str:
    """Wait for a training's end; what it said."""
    try:
        return process.communicate(timeout=timeout)[0]
    except subprocess.TimeoutExpired:
        kill(process)
        raise


def finish_all(processes: Sequence[WarmProcess]) -> str:
    """Wait for the end of one training's processes; what they said. All have to end well."""
    try:
        outputs = [finish(process) for process in processes]
    finally:
        for process in processes:
            process.kill()
    assert {process.returncode for process in processes} == {0}, "\n".join(outputs)
    return "\n".join(outputs)


def kill(process: WarmProcess) -> None:
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


def wait_for_step(process: WarmProcess, folder: Path, step: int, timeout: float = 180) -> None:
    """Return as soon as `step` is logged."""
    deadline = time.monotonic() + timeout
    while max(metrics(folder), default=0) < step:
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"Step {step} was not reached:\n{finish(process, 10)}")
        time.sleep(0.05)
