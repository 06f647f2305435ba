"""A whole video from file to file in one process: all segments of a job, progress and report."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial

import cv2
import numpy as np

from simswap.errors import JobCancelledError
from simswap.swap.pipeline import Pipeline
from simswap.types import SwapResult
from simswap.video.job import VideoJob
from simswap.video.options import OnProgress, VideoProgress, VideoReport
from simswap.video.people import LookAtSegment, looks
from simswap.video.segments import SegmentRecord

REPORT_SECONDS = 0.2  # between two reports of progress
THUMBNAIL_SIDE = 320  # px

# Of frames in a row: how many are done, and the newest as a thumbnail, if it is here.
Steps = Iterator[tuple[int, np.ndarray | None]]
MakeSegment = Callable[[int], Steps]


class Meter:
    """How far a run is, and how fast."""

    def __init__(self, num_resumed: int, num_total: int) -> None:
        self.num_done = self.num_resumed = num_resumed
        self.first_pass_seconds = 0.0
        self._num_total = num_total
        self._started = time.perf_counter()
        self._thumbnail: np.ndarray | None = None

    @property
    def seconds(self) -> float:
        """Since this run began."""
        return time.perf_counter() - self._started

    def frames_per_second(self, seconds: float) -> float:
        """Frames made in this run, by a time that it took."""
        return (self.num_done - self.num_resumed) / max(seconds, 1e-6)

    def followed(self, steps: Steps, num_frames: int) -> Iterator[VideoProgress]:
        """The progress at each of the steps of `num_frames` more frames, which are then done."""
        before = self.num_done
        for count, self._thumbnail in steps:
            self.num_done = before + count
            yield self.progress()
        self.num_done = before + num_frames

    def looked_at(self, counts: Iterable[int]) -> Iterator[VideoProgress]:
        """The progress now and then in a first pass that yields how many frames it has done."""
        started = told = time.perf_counter()
        for count in counts:
            if time.perf_counter() - told >= REPORT_SECONDS:
                told = time.perf_counter()
                yield replace(self.progress(), frames_looked_at=count)
        self.first_pass_seconds = time.perf_counter() - started

    def progress(self) -> VideoProgress:
        """How far it has come."""
        speed = self.frames_per_second(self.seconds - self.first_pass_seconds)
        eta = (self._num_total - self.num_done) / speed if speed else None
        return VideoProgress(self.num_done, self._num_total, speed, eta, self._thumbnail)


def now_and_then(results: Iterable[SwapResult]) -> Steps:
    """Takes all results; some times a second it yields how many have come, and the newest."""
    told = time.monotonic()
    for count, result in enumerate(results, start=1):
        if time.monotonic() - told >= REPORT_SECONDS:
            told = time.monotonic()
            yield count, thumbnail(result.image)


def run(
    job: VideoJob, make_segment: MakeSegment, look: LookAtSegment, *, resume: bool = True
) -> Generator[VideoProgress, None, VideoReport]:
    """Make what is left of a job and join it; yields how far it is, some times a second.

    make_segment: makes one segment, by its number; see segment_steps.
    look: looks for people in one, before any is made; see FirstPass.look.
    If JobCancelledError is thrown into it, nothing is left behind; any other error, an interrupt,
    and closing it leave the finished segments for the next run.
    """
    with job.opened(resume):
        finished = job.finished()
        meter = Meter(sum(record.num_frames for record in finished.values()), job.num_frames)
        try:
            yield meter.progress()
            if (first_pass := job.first_pass) is not None and not first_pass.is_done:
                with closing(looks(first_pass, look)) as counts:
                    yield from meter.looked_at(counts)
            for segment in job.segments:
                if segment.number not in finished:
                    with closing(make_segment(segment.number)) as steps:
                        yield from meter.followed(steps, segment.end - segment.first)
            records = job.finished().values()
            noticed = first_pass.notices() if first_pass is not None else ()
            joined = (*noticed, *job.finish())
        except JobCancelledError:
            job.cancel()
            raise
        report = summary(job, records, joined, meter)
    yield meter.progress()
    return report


def segment_steps(job: VideoJob, pipeline: Pipeline, number: int) -> Steps:
    """Make one segment, see VideoJob.segment_results; yields as `now_and_then`."""
    with closing(job.segment_results(pipeline, number)) as results:
        yield from now_and_then(results)


def run_here(
    job: VideoJob,
    pipeline: Pipeline,
    on_progress: OnProgress | None,
    resume: bool,
    make_segment: MakeSegment | None = None,
) -> VideoReport:
    """Run a job from this process; what on_progress raises ends it, see `run`.

    make_segment: None: segments are made in this process, too.
    """
    steps = run(
        job,
        make_segment or partial(segment_steps, job, pipeline),
        lambda number, people: job.first_pass.look(pipeline, number, people),
        resume=resume,
    )
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            return end.value
        try:
            if on_progress is not None:
                on_progress(progress)
        except BaseException as error:
            steps.throw(error)


def summary(
    job: VideoJob, records: Iterable[SegmentRecord], joined: tuple[str, ...], meter: Meter
) -> VideoReport:
    """The report of a finished job."""
    records = list(records)
    num_repeated = sum(record.num_repeated for record in records)
    num_unswapped = sum(record.num_unswapped for record in records)
    notices = [*job.info.notices, *joined]
    if num_repeated:
        notices.append(
            f"{num_repeated} frames could not be decoded; the ones before them are shown."
        )
    if num_unswapped:
        notices.append(
            f"In {num_unswapped} frames there are faces, but none was chosen or resembles a "
            "reference person."
        )
    if not (num_swapped := sum(record.faces_swapped for record in records)):
        notices.append(
            "No face was swapped: the pictures are as they were, so the video is neither marked as "
            "synthetic nor signed."
        )
    return VideoReport(
        frames=job.num_frames,
        faces_swapped=num_swapped,
        frames_without_face=sum(record.frames_without_face for record in records),
        seconds=meter.seconds,
        frames_per_second=meter.frames_per_second(meter.seconds),
        notices=tuple(notices),
        resumed_frames=meter.num_resumed,
        first_pass_seconds=meter.first_pass_seconds,
    )


def thumbnail(image: np.ndarray) -> np.ndarray:
    """A frame ([H, W, 3] uint8 RGB) made to fit a small square; never enlarged."""
    height, width = image.shape[:2]
    scale = min(THUMBNAIL_SIDE / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
