"""What it would bring to compile the bundled generator ahead of time, as a ZeroGPU Space can.

    python tests/measure/ahead_of_time.py  # --device cuda where there is one; needs g++

Such a Space lends its GPU to a new process, which would load the compiled network before its first
swap. Prints how long compiling takes; then, of a new process, loading and the first call; then one
call, and one call of torch as it is now. Processor time on a CPU, else time.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from simswap.weights.bundle import load_bundle

BATCH, REPEATS = 2, 20


def clock(device: str) -> float:
    """Seconds: of the processor, with the compilers' that have ended; or on a GPU of the day."""
    if device == "cuda":
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def seconds_of(work: Callable[[], object], device: str) -> float:
    """How long it takes."""
    started = clock(device)
    work()
    return clock(device) - started


def main() -> None:
    """Compile in this process; load and run in another."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--compiled", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    device, path = given.device, given.compiled
    torch.set_num_threads(1)
    generator = load_bundle().generator.eval().to(device)
    embeddings = torch.nn.functional.normalize(torch.randn(BATCH, 512), dim=1)
    inputs = torch.rand(BATCH, 3, 128, 128, device=device), embeddings.to(device)
    with torch.no_grad():
        if path is not None:
            run(generator, path, inputs, device)
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "generator.pt2")

            def build() -> None:
                any_batch = {0: torch.export.Dim.AUTO}
                shapes = (any_batch, any_batch)
                program = torch.export.export(generator, inputs, dynamic_shapes=shapes)
                torch._inductor.aoti_compile_and_package(program, package_path=str(path))

            print(f"compiling: {seconds_of(build, device):.1f} s")
            command = [sys.executable, __file__, "--device", device, "--compiled", path]
            subprocess.run(command, check=True)


def run(generator: torch.nn.Module, path: Path, inputs: tuple, device: str) -> None:
    """Time what a process does that has not compiled it."""
    loaded = []
    took = seconds_of(lambda: loaded.append(torch._inductor.aoti_load_package(str(path))), device)
    print(f"loading in a new process: {1000 * took:.0f} ms")
    print(f"first call: {1000 * seconds_of(lambda: loaded[0](*inputs), device):.0f} ms")
    difference = (loaded[0](*inputs) - generator(*inputs)).abs().max()
    for name, network in (("compiled", loaded[0]), ("torch as it is", generator)):
        took = seconds_of(
            lambda network=network: [network(*inputs) for _ in range(REPEATS)], device
        )
        print(f"{name}, a batch of {BATCH}: {1000 * took / REPEATS:.0f} ms")
    print(f"largest difference: {difference:.1g} of a colour's range")


if __name__ == "__main__":
    main()
