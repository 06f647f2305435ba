"""A video's segments as tasks of a cluster, each in a process with a model of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial

from simswap.cluster import Run
from simswap.swap.pipeline import Pipeline
from simswap.video.job import VideoJob
from simswap.video.progress import Steps
from simswap.weights.bundle import load_bundle


@dataclass(frozen=True)
class ModelSource:
    """What a process loads to swap as another does; see FaceSwapper.from_pretrained."""

    model: str | None = None
    detector: str = "bundled"
    runtime: str | None = None


@dataclass(frozen=True)
class Cluster:
    """Processes that make segments. run: see cluster.open_cluster."""

    run: Run
    source: ModelSource


class SegmentsOnCluster:
    """Makes the segments of a job that are left, all of them from the first call on.

    Their machines must see the video and the job folder under the same paths.
    """

    def __init__(self, job: VideoJob, cluster: Cluster) -> None:
        """Plan; nothing is sent yet."""
        info = replace(job.info, path=job.info.path.resolve())
        self._job = replace(
            job,
            info=info,
            output=job.output.resolve(),
            folder=replace(job.folder, path=job.folder.path.resolve()),
        )
        self._cluster = cluster
        self._made: Iterator[int] | None = None

    def make(self, number: int) -> Steps:
        """Wait until a segment is finished, see progress.run."""
        if self._made is None:
            finished = self._job.finished()
            left = [one.number for one in self._job.segments if one.number not in finished]
            task = partial(make_segment, self._job, self._cluster.source)
            self._made = self._cluster.run(task, left)
        while self._job.folder.record(number) is None:
            next(self._made)
        segment = self._job.segments[number]
        yield segment.end - segment.first, None


def make_segment(job: VideoJob, source: ModelSource, number: int) -> int:
    """Make one segment in this process, see VideoJob.segment_results; returns its number."""
    pipeline = _loaded(source)
    job.check_model(pipeline)
    for _ in job.segment_results(pipeline, number):
        pass
    return number


@cache
def _loaded(source: ModelSource) -> Pipeline:
    return Pipeline(load_bundle(source.model), None, source.detector, source.runtime)
