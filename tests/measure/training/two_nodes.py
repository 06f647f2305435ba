"""Two nodes, each with a launcher of its own, train 50 steps; one is preempted; both resume.

    python tests/measure/training/two_nodes.py

On one machine: the launchers meet at an address, as machines do. Prints the exit codes, where the
run was cut off, and by how much its losses then differ from those of a run that was not. It takes
about 70 s of a core.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from tests.support.training.training_runs import (
    finish,
    metrics,
    our_launcher,
    start,
    wait_for_step,
    write_config,
)
from train.data.examples import make_example_data

NUM_STEPS, CUT_OFF = 50, 10  # steps; after which one node is told to stop
FLAGS = ("--num-steps", str(NUM_STEPS), "--save-every", "50", "--sample-every", "50", "--resume")


def start_nodes(config: Path) -> list[subprocess.Popen]:
    """A training of one process on each of two nodes; the launchers."""
    launcher = [*our_launcher(1), "--nnodes=2"]
    return [start(config, *FLAGS, launcher=[*launcher, f"--node_rank={n}"]) for n in range(2)]


def finish_nodes(name: str, nodes: list[subprocess.Popen]) -> None:
    """Wait for both, and print their exit codes; what they said, where these are no success."""
    outputs = [finish(node) for node in nodes]
    codes = [node.returncode for node in nodes]
    print(f"{name}: exit codes {codes}", flush=True)
    if not set(codes) <= {0, 75}:
        print("".join(outputs))


def main() -> None:
    """Train, preempt, resume, compare."""
    with tempfile.TemporaryDirectory() as folder:
        data, whole, preempted = (Path(folder) / name for name in ("data", "whole", "preempted"))
        make_example_data(data)
        for one in (whole, preempted):
            one.mkdir()
        finish_nodes("uninterrupted", start_nodes(write_config(whole, data)))
        config = write_config(preempted, data)
        nodes = start_nodes(config)
        wait_for_step(nodes[0], preempted, CUT_OFF)
        nodes[1].send_signal(signal.SIGTERM)
        finish_nodes("preempted", nodes)
        stopped = max(metrics(preempted))
        finish_nodes(f"resumed from step {stopped}", start_nodes(config))
        found, expected = metrics(preempted), metrics(whole)
    if found.keys() != expected.keys() or len(found) != NUM_STEPS:
        print(f"Steps differ: {len(found)} and {len(expected)}")
        return
    apart = max(
        abs(found[s][name] - value) for s in expected for name, value in expected[s].items()
    )
    print(f"largest difference of a loss in {NUM_STEPS} steps: {apart:.1e}")


if __name__ == "__main__":
    main()
