"""How long each stage of a photo swap takes on this machine, and what it needs."""

from __future__ import annotations

import json
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from simswap import __version__
from simswap.cli.benchmark.stages import (
    EMBED_SOURCE,
    EMBED_TARGETS,
    GENERATE,
    SWAP,
    medians,
    swap_steps,
    timed,
    writing_times,
)
from simswap.errors import NoFaceFoundError, SimSwapError
from simswap.media.photos import read_photo
from simswap.models.inference import count_macs
from simswap.swapper import FaceSwapper
from simswap.types import Face

NO_FACE = "The benchmark's photo shows no face. Give another --target."
EXAMPLE = Path(__file__).parents[3] / "assets" / "examples" / "astronaut.jpg"
DEFAULT_SIZE = (1280, 720)  # px, width and height
RUN_BY_NETWORKS = ("detect", EMBED_TARGETS, GENERATE, EMBED_SOURCE, SWAP)


@dataclass(frozen=True)
class Report:
    """What a benchmark found; times are medians in milliseconds, memory peaks in MB.

    once: what happens once per process: loading, warming up, and a whole `image` command from
        a cold start (with the import of torch) to the written file.
    stages: parts of one swap, in order; `swap`: all of it, source identity given.
    writing: what comes after it: signing, and all of writing a PNG.
    """

    machine: str
    device: str
    threads: int
    versions: dict[str, str]
    model: str
    photo: str
    num_faces: int
    repeats: int
    once: dict[str, float]
    stages: dict[str, float]
    embed_source: float
    swap: float
    writing: dict[str, float]
    runtime: str  # what computes the networks
    generator_dtype: str  # what `generate` computes in
    in_torch: dict[str, float]  # stages with networks, by torch in float32, taken in turns
    max_difference: float  # of the generator between the two, of the range of a colour
    generator_gmac: float  # multiply-accumulates for one crop, in 1e9
    generator_parameters: int
    peak_memory_mb: float  # of the `image` command


def make_photo(width: int, height: int) -> np.ndarray:
    """The example portrait, its edges drawn out: [height, width, 3] uint8 RGB, one face."""
    portrait = read_photo(EXAMPLE).image
    side = min(width, height)
    portrait = cv2.resize(portrait, (side, side), interpolation=cv2.INTER_AREA)
    left, top = (width - side) // 2, (height - side) // 2
    margins = ((top, height - side - top), (left, width - side - left), (0, 0))
    return np.pad(portrait, margins, mode="edge")


def run(
    photo: np.ndarray,
    model: str | None,
    repeats: int,
    on_progress: Callable[[str], None],
    *,
    detector: str = "bundled",
    runtime: str | None = None,
) -> Report:
    """Measure swaps of every face in a photo ([H, W, 3] uint8 RGB) by its own largest face.

    model, detector, runtime: as FaceSwapper.from_pretrained takes them. Raises NoFaceFoundError,
    ModelError, OptionError.
    """
    on_progress("Timing the whole command from a cold start...")
    # First: a child's peak is never less than what its parent holds when it starts it.
    command, peak = _cold_start(photo, model, detector)
    on_progress("Loading the model...")
    loading, swapper = timed(
        lambda: FaceSwapper.from_pretrained(model, detector=detector, runtime=runtime)
    )
    warming, _ = timed(swapper.warm_up)
    faces = swapper.detect(photo)
    if not faces:
        raise NoFaceFoundError(NO_FACE)
    on_progress(f"Timing {repeats} swaps...")
    times, in_torch, difference = _time(swapper, photo, faces, repeats)
    height, width = photo.shape[:2]
    return Report(
        machine=_processor(),
        device=_device_name(swapper.device),
        threads=torch.get_num_threads(),
        versions=_versions(),
        model=swapper.name,
        photo=f"{width}x{height}",
        num_faces=len(faces),
        repeats=repeats,
        once={"load the model": loading, "warm up": warming, "`image` from a cold start": command},
        embed_source=times.pop(EMBED_SOURCE),
        swap=times.pop(SWAP),
        stages=times,
        writing=writing_times(photo, swapper.name, repeats),
        runtime=swapper.running.generator.runtime,
        generator_dtype=swapper.running.generator.precision,
        in_torch=in_torch,
        max_difference=difference,
        generator_gmac=_count_macs(swapper) / 1e9,
        generator_parameters=sum(p.numel() for p in swapper.generator.parameters()),
        peak_memory_mb=peak,
    )


def _time(
    swapper: FaceSwapper, photo: np.ndarray, faces: list[Face], repeats: int
) -> tuple[dict[str, float], dict[str, float], float]:
    """Milliseconds of the steps; of those with networks by torch in float32; max_difference."""
    identity = swapper.identity_of(photo)
    steps = swap_steps(swapper, photo, faces, identity)
    plain = swap_steps(swapper.in_torch(), photo, faces, identity)
    times, in_torch = {}, {}
    for name, step in steps.items():
        if name in RUN_BY_NETWORKS:
            times[name], in_torch[name] = medians((step, plain[name]), repeats)
        else:
            (times[name],) = medians((step,), repeats)
    return times, in_torch, float(np.abs(steps[GENERATE]() - plain[GENERATE]()).max())


def to_json(report: Report) -> str:
    """The report for another program."""
    return json.dumps(asdict(report), indent=2)


def to_markdown(report: Report) -> str:
    """The report as a table for a README."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    lines = [
        f"{report.machine}, {report.device}, {_count(report.threads, 'thread')}; {versions}.",
        f"Model {report.model}: generator {report.generator_parameters / 1e6:.2f} M parameters, "
        f"{report.generator_gmac:.2f} GMAC a face. Photo {report.photo} with "
        f"{_count(report.num_faces, 'face')}, medians of {_count(report.repeats, 'swap')}.",
        "",
        "| stage | ms | share | torch in float32, ms | ratio |",
        "|---|---:|---:|---:|---:|",
    ]

    def row(name: str, value: float, key: str = "", share: str | None = None) -> str:
        share = f"{value / report.swap:.0%}" if share is None else share
        figure = f"**{value:.1f}**" if key == SWAP else f"{value:.1f}"
        other = report.in_torch.get(key)
        compared = f"{other:.1f} | {value / other:.2f}" if other else " | "
        return f"| {name} | {figure} | {share} | {compared} |"

    lines += [row(name, value, name) for name, value in report.stages.items()]
    lines += [
        row("**whole swap, source identity given**", report.swap, SWAP),
        row("embed a source face (once per source)", report.embed_source, EMBED_SOURCE, ""),
    ]
    lines += [row(name, value) for name, value in report.writing.items()]
    lines += [f"| {name} (once) | {value:.0f} | | | |" for name, value in report.once.items()]
    lines += [
        "",
        f"The networks are run by {report.runtime}, the generator in {report.generator_dtype}; its "
        f"largest difference to torch in float32: {report.max_difference:.2g} of a colour's range.",
    ]
    lines += ["", f"Peak memory of the `image` command: {report.peak_memory_mb:.0f} MB."]
    return "\n".join(lines)


def _cold_start(photo: np.ndarray, model: str | None, detector: str) -> tuple[float, float]:
    """Milliseconds and peak memory (MB) of one `image` command in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "photo.png"), Path(folder, "swapped.png")
        cv2.imwrite(str(source), cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
        command = [sys.executable, "-m", "simswap", "image", "--source", source]
        command += ["--target", source, "--output", output, "--detector", detector]
        command += ["--model", model] if model else []
        milliseconds, done = timed(lambda: subprocess.run(command, capture_output=True, text=True))
    if "photo shows no face" in done.stderr:
        raise NoFaceFoundError(NO_FACE)
    if done.returncode:
        raise SimSwapError(f"The `image` command failed here: {done.stderr.strip()[-300:]}")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return milliseconds, peak / (1e6 if sys.platform == "darwin" else 1e3)  # bytes there, kB here


def _count_macs(swapper: FaceSwapper) -> int:
    size, generator = swapper.alignment.crop_size, swapper.generator
    crops = torch.empty(1, 3, size, size, device="meta")
    return count_macs(
        generator, crops, torch.empty(1, generator.config.embedding_size, device="meta")
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _versions() -> dict[str, str]:
    return {
        "SimSwap": __version__,
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "OpenCV": cv2.__version__,
        "NumPy": np.__version__,
    }


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        for line in facts.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
