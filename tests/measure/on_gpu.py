"""What a machine with a GPU is worth, in one run of a few minutes and one table.

    python tests/measure/on_gpu.py
    python tests/measure/on_gpu.py --device cpu --small  # a rehearsal, of a minute or two

First the tests that need a GPU (all skipped in a rehearsal). Then crops/s of the published 224
network, with seeded weights, which take as long as its own; frames/s of the whole swap, in memory
and from file to file; what the time is spent on; and two swaps by the demo, the first of which
warms it up. A part that fails is told and the next goes on; one that would begin after --minutes is
left out. The exit code is 1 if a part failed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from gradio_client import Client, handle_file
from torch.profiler import profile

sys.path.insert(0, str(Path(__file__).parents[2]))

from simswap import FaceSwapper
from simswap.cli.benchmark.photo import make_photo
from simswap.models.generator import Generator
from simswap.weights.bundle import Alignment, Bundle, load_bundle
from simswap.weights.official import VARIANTS
from tests.support.demo.demo_server import running_demo
from tests.support.examples import EXAMPLES, ROOT
from tests.support.media.video_files import make_video
from train.speed import activities, costs, device_name, peak_memory_mb, wait_for_gpu

HIDE_GPU = {"CUDA_VISIBLE_DEVICES": ""}
Rows = Iterator[tuple[str, str]]


@dataclass(frozen=True)
class Sizes:
    """How much is measured. thinner: by how much the 224 network's layers are narrowed."""

    batches: tuple[int, ...] = (1, 16, 64)
    num_batches: int = 20
    sizes: tuple[tuple[int, int], ...] = ((1280, 720), (1920, 1080))
    num_frames: int = 240
    thinner: int = 1


SMALL = Sizes((1, 2), 2, ((320, 180), (480, 270)), 6, 16)


def network_224(thinner: int) -> Bundle:
    """The bundled model with the published network's form for a generator, and seeded weights."""
    base = load_bundle()
    form = replace(
        VARIANTS[0].generator,
        channels=tuple(width // thinner for width in VARIANTS[0].generator.channels),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        generator = Generator(form).eval()
    alignment = Alignment(crop_size=VARIANTS[0].crop_size)
    config = replace(base.config, name="the 224 network", generator=form, alignment=alignment)
    return replace(base, config=config, generator=generator)


def seconds_of(work: Callable[[], object], repeats: int) -> float:
    """Mean of some runs, after two that warm up."""
    for _ in range(2):
        work()
    wait_for_gpu()
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    wait_for_gpu()
    return (time.perf_counter() - started) / repeats


def forget_peak() -> None:
    """Let the next row's peak memory be its own; on a CPU it is all of this run's."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def run_tests(device: str) -> Rows:
    """The suite for a GPU. Raises RuntimeError if it fails."""
    command = [sys.executable, "-m", "pytest", "-n", "0", "-m", "gpu", "tests/gpu"]
    hidden = {} if device == "cuda" else HIDE_GPU
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | hidden, capture_output=True, text=True, timeout=600
    )
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else "said nothing"
    if done.returncode:
        raise RuntimeError(f"{done.stdout[-3000:]}\n{last}")
    yield "tests that need a GPU", last.strip("= ")


def time_network(device: str, sizes: Sizes) -> Rows:
    """Crops/s of the 224 network alone."""
    network = FaceSwapper(network_224(sizes.thinner), device, runtime="torch").running.generator
    side = VARIANTS[0].crop_size
    for batch in sizes.batches:
        forget_peak()
        crops = torch.rand(batch, 3, side, side, device=network.device)
        crops = crops.contiguous(memory_format=torch.channels_last)
        embeddings = torch.nn.functional.normalize(torch.randn(batch, 512), dim=1)
        given = embeddings.to(network.device)
        taken = seconds_of(
            lambda given=given, crops=crops: network(crops, given), sizes.num_batches
        )
        name = f"224 network in {network.precision}, batches of {batch}"
        yield name, f"{batch / taken:.1f} crops/s, {peak_memory_mb():.0f} MB at most"


def time_frames(device: str, sizes: Sizes) -> Rows:
    """Frames/s of the whole swap with both models, and what the time is spent on."""
    runtime = "torch" if device == "cuda" else None
    for bundle in (load_bundle(), network_224(sizes.thinner)):
        model = FaceSwapper(bundle, device, runtime=runtime)
        identity = model.identity_of(make_photo(512, 512))
        for width, height in sizes.sizes:
            forget_peak()
            frames = [make_photo(width, height)] * sizes.num_frames

            def swap(model=model, frames=frames, identity=identity) -> int:
                return sum(len(result.swapped) for result in model.swap_frames(frames, identity))

            assert swap() == len(frames)
            fast = len(frames) / seconds_of(swap, 1)
            with tempfile.TemporaryDirectory() as folder:
                video = make_video(
                    Path(folder, "in.mp4"),
                    size=(width, height),
                    num_frames=len(frames),
                    sound=None,
                    picture=lambda number, *_, frame=frames[0]: np.roll(frame, number % 9, axis=1),
                )
                report = model.swap_video(video, Path(folder, "out.mp4"), identity)
            yield (
                f"{model.name}, {width} x {height}, one face",
                f"{fast:.1f} frames/s in memory, {report.frames_per_second:.1f} from file to "
                f"file, {peak_memory_mb():.0f} MB at most",
            )
        with profile(activities=activities()) as profiler:
            taken = seconds_of(swap, 1)
        busy, costliest = costs(profiler, 4 * taken)  # two warmed up
        share = "" if busy is None else f"the GPU computes {busy:.0%} of the time; "
        operations = ", ".join(f"{name} {part:.0%}" for name, part in costliest)
        yield f"{model.name}, {width} x {height}: costliest", f"{share}{operations}"


def swap_in_demo(device: str, sizes: Sizes) -> Rows:
    """Two swaps as a visitor's program makes them."""
    hidden = {} if device == "cuda" else HIDE_GPU
    with tempfile.TemporaryDirectory() as folder, running_demo(Path(folder), **hidden) as url:
        client = Client(url, verbose=False, download_files=folder)
        photos = (handle_file(EXAMPLES / name) for name in ("grace_hopper.jpg", "astronaut.jpg"))
        source, target = photos
        for which in ("first", "second"):
            started = time.perf_counter()
            _, summary = client.predict([source], target, api_name="/swap_image")
            taken = time.perf_counter() - started
            assert summary["swapped"] == [0]
            told = f"{taken:.2f} s by gradio_client, {summary['seconds']:.2f} of it in the swap"
            yield f"{which} swap by the demo, 512 x 512", told


def main(arguments: list[str] | None = None) -> int:
    """Print the table, row by row; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--small", action="store_true", help="tiny sizes, which measure nothing")
    parser.add_argument("--minutes", type=float, default=12, help="when no further part begins")
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        parser.error("There is no CUDA device here. Rehearse with --device cpu --small.")
    sizes = SMALL if given.small else Sizes()
    started, has_failed = time.monotonic(), False
    print(f"On {device_name()}, PyTorch {torch.__version__}:\n\n| what | figure |\n|---|---|")
    parts = (
        lambda: run_tests(given.device),
        lambda: time_network(given.device, sizes),
        lambda: time_frames(given.device, sizes),
        lambda: swap_in_demo(given.device, sizes),
    )
    for part in parts:
        if time.monotonic() - started > 60 * given.minutes:
            print("| the rest | left out: the time is over |")
            break
        try:
            for name, figure in part():
                print(f"| {name} | {figure} |", flush=True)
        except Exception as error:  # the machine may be gone soon: what can be measured, is
            has_failed = True
            print(f"| a part | failed: {type(error).__name__} |", flush=True)
            print(error, file=sys.stderr, flush=True)
    print(f"\nIt took {(time.monotonic() - started) / 60:.1f} minutes.")
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
