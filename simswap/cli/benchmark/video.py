"""How fast a video is swapped here from file to file, against doing without what makes it fast."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from simswap.errors import NoFaceFoundError
from simswap.faces.nms import overlaps
from simswap.models import generator
from simswap.runtime.torch_networks import TorchNetwork
from simswap.swapper import FaceSwapper
from simswap.types import Face, FaceChoice, Identity, SwapOptions
from simswap.video import progress
from simswap.video.job import VideoJob
from simswap.video.options import VideoOptions, VideoProgress, VideoReport
from simswap.video.output.writing import SegmentWriter
from simswap.video.people import PeopleSoFar
from simswap.video.source.info import VideoInfo, probe_video
from simswap.video.source.reading import read_frames

DETECT_EVERY = (1, 2, 3, 5)
PUBLISHED_CROP = 224  # px
PUBLISHED_FRAMES = 12  # of the video: they take a second each
SAME_FACE = 0.3  # overlap of two boxes in one frame that makes them one face
FacesOfFrames = list[Sequence[Face]]


@dataclass(frozen=True)
class Row:
    """One way to do it.

    frames_per_second: from file to file. cpu: milliseconds of processor time per frame, summed over
    cores, which others at work on the machine disturb less. error, worst_error: median and 95th
    percentile of the distance of landmarks from those that detection of each frame gives, root mean
    square over five, in percent of the face's side. missed: percent of faces not found.
    """

    name: str
    frames_per_second: float
    cpu: float
    error: float | None = None
    worst_error: float | None = None
    missed: float | None = None


@dataclass(frozen=True)
class VideoBenchmark:
    """What was measured, in one run; rows in the order in which they ran."""

    model: str
    device: str
    runtime: str  # what computes the networks
    threads: int
    video: str
    rows: tuple[Row, ...]


def run(
    path: str | Path,
    model: str | None,
    on_progress: Callable[[str], None],
    *,
    runtime: str | None = None,
) -> VideoBenchmark:
    """Measure on a video; the identity is that of the first face found, which costs the same.

    Raises MediaError, ModelError, NoFaceFoundError.
    """
    info = probe_video(path)
    on_progress("Loading the model...")
    swapper = FaceSwapper.from_pretrained(model, runtime=runtime)
    swapper.warm_up()
    identity = _first_identity(swapper, info)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "out.mp4")
        on_progress("Decoding and encoding alone...")
        rows = [Row("decode and encode alone", *_speed(info, output, None, []))]
        on_progress("Swapping frame by frame...")
        each: FacesOfFrames = []
        speed = _speed(info, output, (swapper, identity), each)
        rows.append(Row("frame by frame through `swap_image`", *speed))
        on_progress("Swapping by a network of the published size...")
        published = _of_published_size(swapper), identity
        speed = _speed(info, output, published, [], PUBLISHED_FRAMES)
        rows.append(Row("the same by the published 224 network's layers, PyTorch float32", *speed))
        for every in DETECT_EVERY:
            on_progress(f"Swapping the video, detect_every={every}...")
            rows.append(_time_job(swapper, info, output, identity, every, each))
        on_progress("Swapping the video, detect_every=1, not steadied...")
        rows.append(_time_job(swapper, info, output, identity, 1, each, steady=False))
        on_progress("Swapping the largest person of the video...")
        every = VideoOptions.detect_every
        rows.append(_time_job(swapper, info, output, identity, every, each, choice="largest"))
    size = f"{info.width}x{info.height}, {info.num_frames} frames"
    return VideoBenchmark(
        swapper.name,
        str(swapper.device),
        swapper.running.generator.runtime,
        torch.get_num_threads(),
        size,
        tuple(rows),
    )


def to_json(report: VideoBenchmark) -> str:
    """The report for another program."""
    return json.dumps(asdict(report), indent=2)


def to_markdown(report: VideoBenchmark) -> str:
    """The report as a table for a README."""
    lines = [
        f"Video {report.video}; model {report.model} on {report.device} by {report.runtime}, "
        f"{report.threads} threads; all in one run.",
        "",
        "| way | frames/s | CPU ms a frame | landmarks off, median (95 %) | faces missed |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in report.rows:
        off = "" if row.error is None else f"{row.error:.2f} % ({row.worst_error:.2f} %)"
        missed = "" if row.missed is None else f"{row.missed:.1f} %"
        speed = f"{row.frames_per_second:.1f} | {row.cpu:.0f}"
        lines.append(f"| {row.name} | {speed} | {off} | {missed} |")
    return "\n".join(lines)


def _first_identity(swapper: FaceSwapper, info: VideoInfo) -> Identity:
    for frame in read_frames(info, 0, info.num_frames):
        if swapper.detect(frame):
            return swapper.identity_of(frame)
    raise NoFaceFoundError("The benchmark's video shows no face. Give another one.")


def _of_published_size(swapper: FaceSwapper) -> FaceSwapper:
    """The same with a generator of the published size, run as its users do: layer by layer.

    Its weights are drawn by chance: they have no part in how long it takes.
    """
    plain = swapper.in_torch()
    published = generator.Generator(generator.GeneratorConfig()).eval().to(swapper.device)
    plain.running = replace(plain.running, generator=TorchNetwork(published))
    plain.alignment = replace(plain.alignment, crop_size=PUBLISHED_CROP)
    return plain


def _speed(
    info: VideoInfo,
    output: Path,
    swap: tuple[FaceSwapper, Identity] | None,
    faces: FacesOfFrames,
    most: int | None = None,
) -> tuple[float, float]:
    """Speed (see _Clock) of decoding and encoding in turn, with or without swapping.

    most: of frames; None: all.
    """
    num_frames = min(most or info.num_frames, info.num_frames)
    clock = _Clock()
    encoding = VideoOptions().encoding(output)
    with SegmentWriter(output.with_suffix(".nut"), info, encoding, 0) as writer:
        for frame in read_frames(info, 0, num_frames):
            if swap is not None:
                swapper, identity = swap
                try:
                    result = swapper.swap_image(frame, identity)
                except NoFaceFoundError:
                    faces.append(())
                else:
                    faces.append(result.faces)
                    frame = result.image
            writer.write(frame)
    return clock.per_frame(num_frames)


def _time_job(
    swapper: FaceSwapper,
    info: VideoInfo,
    output: Path,
    identity: Identity,
    every: int,
    each: FacesOfFrames,
    *,
    steady: bool = True,
    choice: FaceChoice = "all",
) -> Row:
    faces: FacesOfFrames = []
    clock = _Clock()
    video = replace(VideoOptions(), detect_every=every, steady=steady)
    job = VideoJob.plan(swapper, info.path, output, identity, SwapOptions(faces=choice), video)

    def make_segment(number: int) -> Iterator:
        faces.extend(result.faces for result in job.segment_results(swapper, number))
        yield from ()  # no progress

    def look(number: int, people: PeopleSoFar) -> Iterator:
        return job.first_pass.look(swapper, number, people)

    report = _report_of(progress.run(job, make_segment, look))
    speed = clock.per_frame(info.num_frames)
    errors, num_missed = _compare(each, faces)
    num_faces = sum(map(len, each))
    name = f"`swap_video`, detect_every={every}" + ("" if steady else ", steady=False")
    if choice != "all":
        share = 100 * report.first_pass_seconds / report.seconds
        name += f", faces={choice!r} (first pass {share:.0f} % of the time)"
    return Row(
        name,
        *speed,
        float(np.median(errors)) if errors else None,
        float(np.percentile(errors, 95)) if errors else None,
        100 * num_missed / max(num_faces, 1),
    )


def _report_of(steps: Generator[VideoProgress, None, VideoReport]) -> VideoReport:
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


class _Clock:
    """Frames per second, and milliseconds of processor time per frame, since it was made."""

    def __init__(self) -> None:
        self._started, self._worked = time.perf_counter(), time.process_time()

    def per_frame(self, num_frames: int) -> tuple[float, float]:
        worked = time.process_time() - self._worked
        return num_frames / (time.perf_counter() - self._started), 1000 * worked / num_frames


def _compare(each: FacesOfFrames, faces: FacesOfFrames) -> tuple[list[float], int]:
    """Landmark errors in percent of the face's side, and how many faces were missed."""
    errors, num_missed = [], 0
    for expected, found in zip(each, faces, strict=True):
        boxes = np.array([face.box for face in found], np.float32).reshape(-1, 4)
        for face in expected:
            overlap = overlaps(face.box, boxes)[0]
            if not len(overlap) or overlap.max() < SAME_FACE:
                num_missed += 1
                continue
            off = found[int(overlap.argmax())].landmarks - face.landmarks
            distance = np.sqrt((off**2).sum(axis=1).mean())
            errors.append(float(100 * distance / np.sqrt(face.area)))
    return errors, num_missed
