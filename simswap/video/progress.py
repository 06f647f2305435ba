"""A whole video from file to file in one process: all segments of a job, progress and report."""

from __future__ import annotations

import time
from collections.abc import Iterable

import cv2
import numpy as np

from simswap.errors import JobCancelledError
from simswap.types import SwapResult
from simswap.video.job import Swapper, VideoJob
from simswap.video.job_folder import SegmentRecord
from simswap.video.options import OnProgress, VideoProgress, VideoReport

REPORT_SECONDS = 0.2  # between two reports of progress
THUMBNAIL_SIDE = 320  # px


class Meter:
    """Counts swapped frames and tells of them now and then."""

    def __init__(self, on_progress: OnProgress | None, num_resumed: int, num_total: int) -> None:
        self.num_done = self.num_resumed = num_resumed
        self._num_total, self._on_progress = num_total, on_progress
        self._started = time.perf_counter()
        self._told = -np.inf
        self.thumbnail: np.ndarray | None = None

    @property
    def seconds(self) -> float:
        """Since this run began."""
        return time.perf_counter() - self._started

    @property
    def frames_per_second(self) -> float:
        """Of this run."""
        return (self.num_done - self.num_resumed) / max(self.seconds, 1e-6)

    def count(self, result: SwapResult) -> None:
        """One more frame is done."""
        self.num_done += 1
        if self._on_progress is not None and self.seconds - self._told >= REPORT_SECONDS:
            self.thumbnail = thumbnail(result.image)
            self.tell()

    def tell(self) -> None:
        """Report now."""
        if self._on_progress is not None:
            self._told = self.seconds
            self._on_progress(self.progress())

    def progress(self) -> VideoProgress:
        """How far it has come."""
        speed = self.frames_per_second
        eta = (self._num_total - self.num_done) / speed if speed else None
        return VideoProgress(self.num_done, self._num_total, speed, eta, self.thumbnail)


def run_job(
    job: VideoJob, swapper: Swapper, on_progress: OnProgress | None, resume: bool
) -> VideoReport:
    """Run what is left of a job and join it.

    If `on_progress` raises JobCancelledError, nothing is left behind; any other error, and an
    interrupt, leave the finished segments for the next run.
    """
    with job.opened(resume):
        finished = job.finished()
        num_resumed = sum(record.num_frames for record in finished.values())
        meter = Meter(on_progress, num_resumed, job.num_frames)
        try:
            meter.tell()
            for segment in job.segments:
                if segment.number not in finished:
                    finished[segment.number] = job.run_segment(swapper, segment.number, meter.count)
            joined = job.finish()
        except JobCancelledError:
            job.cancel()
            raise
        report = summary(job, finished.values(), joined, meter)
    if meter.num_done > num_resumed or num_resumed == job.num_frames:
        meter.tell()
    return report


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
        frames_per_second=meter.frames_per_second,
        notices=tuple(notices),
        resumed_frames=meter.num_resumed,
    )


def thumbnail(image: np.ndarray) -> np.ndarray:
    """A frame ([H, W, 3] uint8 RGB) made to fit a small square; never enlarged."""
    height, width = image.shape[:2]
    scale = min(THUMBNAIL_SIDE / max(height, width), 1.0)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)
