"""How long each stage of a photo swap takes on this machine, and what it needs."""

from __future__ import annotations

import json
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import torch
from PIL import Image

from simswap import __version__
from simswap.errors import NoFaceFoundError, SimSwapError
from simswap.media.photos import read_photo, write_photo
from simswap.models.inference import count_macs, for_rendering
from simswap.provenance.signing import sign_photo
from simswap.swap.rendering import AlignedFace, align_face, fit_crop, generate, paste_faces
from simswap.swapper import FaceSwapper
from simswap.types import Face, SwapOptions
from simswap.watermark.embedding import mark_crop

EXAMPLE = Path(__file__).parents[3] / "assets" / "examples" / "astronaut.jpg"
DEFAULT_SIZE = (1280, 720)  # px, width and height
WARM_UP_RUNS = 3

Result = TypeVar("Result")


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
    generator_dtype: str  # what `generate` computes in
    generate_float32: float  # the same stage in float32
    max_difference: float  # between the two, of the range of a colour
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
) -> Report:
    """Measure swaps of every face in a photo ([H, W, 3] uint8 RGB) by its own largest face.

    model, detector: as FaceSwapper.from_pretrained takes them. Raises NoFaceFoundError, ModelError.
    """
    on_progress("Loading the model...")
    loading, swapper = _timed(lambda: FaceSwapper.from_pretrained(model, detector=detector))
    warming, _ = _timed(swapper.warm_up)
    faces = swapper.detect(photo)
    if not faces:
        raise NoFaceFoundError("The benchmark's photo shows no face. Give another --target.")
    identity = swapper.identity_of(photo)
    on_progress(f"Timing {repeats} swaps...")
    stage_times = _time_stages(swapper, photo, faces, repeats)
    precision = _compare_precision(swapper, photo, faces, repeats, stage_times["generate"])
    embedding = _median(lambda: swapper.embed(photo, faces[:1]), repeats)
    swapping = _median(lambda: swapper.swap_image(photo, identity), repeats)
    on_progress("Timing the whole command from a cold start...")
    command, peak = _cold_start(photo, model, detector)
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
        stages=stage_times,
        embed_source=embedding,
        swap=swapping,
        writing=_time_writing(photo, swapper.name, repeats),
        **precision,
        generator_gmac=_count_macs(swapper) / 1e9,
        generator_parameters=sum(p.numel() for p in swapper.generator.parameters()),
        peak_memory_mb=peak,
    )


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
        "| stage | ms | share |",
        "|---|---:|---:|",
    ]
    lines += [
        f"| {name} | {value:.1f} | {value / report.swap:.0%} |"
        for name, value in report.stages.items()
    ]
    lines += [
        f"| **whole swap, source identity given** | **{report.swap:.1f}** | 100% |",
        f"| embed a source face (once per source) | {report.embed_source:.1f} | |",
    ]
    lines += [
        f"| {name} | {value:.1f} | {value / report.swap:.0%} |"
        for name, value in report.writing.items()
    ]
    lines += [f"| {name} (once) | {value:.0f} | |" for name, value in report.once.items()]
    lines += [
        "",
        f"The generator computes in {report.generator_dtype}: {report.stages['generate']:.1f} ms, "
        f"float32 {report.generate_float32:.1f} ms; largest difference to float32 "
        f"{report.max_difference:.4f} of a colour's range.",
    ]
    lines += ["", f"Peak memory of the `image` command: {report.peak_memory_mb:.0f} MB."]
    return "\n".join(lines)


def _time_stages(
    swapper: FaceSwapper, photo: np.ndarray, faces: list[Face], repeats: int
) -> dict[str, float]:
    alignment, options = swapper.alignment, SwapOptions()

    def align() -> list[AlignedFace]:
        template, size = alignment.crop_template, alignment.crop_size
        return [align_face(photo, face, template, size) for face in faces]

    def embed_targets() -> np.ndarray:
        return swapper.embed(photo, faces)

    guidance = swapper.generator.config.identity_guidance
    aligned = align()
    embeddings = np.repeat(swapper.embed(photo, faces[:1]), len(faces), axis=0)
    generator = for_rendering(swapper.generator, swapper.device)
    crops = generate(generator, aligned, embeddings)
    pairs = zip(aligned, crops, strict=True)
    unmarked = [fit_crop(photo, face, crop, options)[1] for face, crop in pairs]

    def mark() -> list[np.ndarray]:
        return [mark_crop(face, swapper.mark_symbols) for face in unmarked]

    steps: dict[str, Callable[[], object]] = {
        "detect": lambda: swapper.detect(photo),
        "align": align,
        **({"embed the target's faces": embed_targets} if guidance else {}),
        "generate": lambda: generate(generator, aligned, embeddings),
        "mark": mark,
        "paste": lambda: paste_faces(photo, aligned, crops, options),
    }
    return {name: _median(step, repeats) for name, step in steps.items()}


def _time_writing(photo: np.ndarray, model: str, repeats: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        target, output = Path(folder, "target.png"), Path(folder, "out.png")
        Image.fromarray(photo).save(target)  # in few large chunks, as write_photo does it
        encoded, like = target.read_bytes(), read_photo(target)
        steps: dict[str, Callable[[], object]] = {
            "sign a PNG": lambda: sign_photo(encoded, ".png", model, target),
            "write a signed PNG": lambda: write_photo(output, photo, like=like, model=model),
        }
        return {name: _median(step, repeats) for name, step in steps.items()}


def _compare_precision(
    swapper: FaceSwapper, photo: np.ndarray, faces: list[Face], repeats: int, as_it_is: float
) -> dict[str, object]:
    """The fields of Report on the generator's precision; as_it_is: ms of `generate` here."""
    template, size = swapper.alignment.crop_template, swapper.alignment.crop_size
    aligned = [align_face(photo, face, template, size) for face in faces]
    embeddings = np.repeat(swapper.embed(photo, faces[:1]), len(faces), axis=0)
    rendering = for_rendering(swapper.generator, swapper.device)
    dtype = str(next(rendering.parameters()).dtype).removeprefix("torch.")
    if rendering is swapper.generator:
        return {"generator_dtype": dtype, "generate_float32": as_it_is, "max_difference": 0.0}
    exact = generate(swapper.generator, aligned, embeddings)
    difference = np.abs(generate(rendering, aligned, embeddings) - exact).max()
    return {
        "generator_dtype": dtype,
        "generate_float32": _median(
            lambda: generate(swapper.generator, aligned, embeddings), repeats
        ),
        "max_difference": float(difference),
    }


def _timed(work: Callable[[], Result]) -> tuple[float, Result]:
    started = time.perf_counter()
    result = work()
    return (time.perf_counter() - started) * 1000, result


def _median(work: Callable[[], object], repeats: int) -> float:
    """Milliseconds; every stage ends on the CPU, so a GPU's work is waited for."""
    for _ in range(WARM_UP_RUNS):
        work()
    return statistics.median(_timed(work)[0] for _ in range(repeats))


def _cold_start(photo: np.ndarray, model: str | None, detector: str) -> tuple[float, float]:
    """Milliseconds and peak memory (MB) of one `image` command in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "photo.png"), Path(folder, "swapped.png")
        cv2.imwrite(str(source), cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
        command = [sys.executable, "-m", "simswap", "image", "--source", source]
        command += ["--target", source, "--output", output, "--detector", detector]
        command += ["--model", model] if model else []
        milliseconds, done = _timed(lambda: subprocess.run(command, capture_output=True, text=True))
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
