"""The same tasks in this process, in several, or on a Ray cluster: results as they come."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from simswap.cluster import open_cluster
from train.errors import TrainingError

Task = TypeVar("Task")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Place:
    """Where tasks run.

    workers: processes on this machine; 1: this one.
    cluster: address of a Ray cluster, "" for a new one on this machine, None for no Ray.
    gpus_per_task: what a task takes of a cluster's GPUs; 0: it computes on a CPU core.
    """

    workers: int = 1
    cluster: str | None = None
    gpus_per_task: float = 0.0

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise TrainingError(f"workers={self.workers} must be at least 1.")
        if self.gpus_per_task < 0:
            raise TrainingError(f"gpus_per_task={self.gpus_per_task} must not be negative.")


@contextmanager
def open_place(place: Place) -> Iterator[Callable[..., Iterator]]:
    """A function `run(function, tasks)` that yields results in the order they come in.

    The function and its tasks must be picklable. Its SimSwapError reaches the caller as it is.
    Raises TrainingError if a process dies, and what open_cluster raises.
    """
    if place.cluster is not None:
        with open_cluster(place.cluster, place.gpus_per_task) as run:
            yield run
    elif place.workers == 1:
        yield lambda function, tasks: map(function, tasks)
    else:
        # spawn: a forked copy of a process that has started threads (torch's) may hang.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(place.workers, mp_context=context)
        try:
            yield lambda function, tasks: _in_pool(pool, function, tasks)
        finally:
            pool.shutdown(cancel_futures=True)


def _in_pool(
    pool: ProcessPoolExecutor, function: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[Result]:
    try:
        for future in as_completed([pool.submit(function, task) for task in tasks]):
            yield future.result()
    except BrokenProcessPool as error:
        raise TrainingError(
            "A worker process died, most often for want of memory. Run the same command again, "
            "with fewer --workers; what is done is kept."
        ) from error
