"""The same tasks in this process, in several, or on a Ray cluster: results as they come."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeVar

from simswap.errors import SimSwapError
from train.errors import TrainingError

Task = TypeVar("Task")
Result = TypeVar("Result")

_ROOT = Path(__file__).parents[2]
_WAITING_PER_CORE = 4  # tasks given to the cluster ahead of what its cores are at

_ANSWER_TIME = 5.0  # seconds


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
    Raises TrainingError if Ray is missing or the cluster does not answer.
    """
    if place.cluster is not None:
        with _ray(place) as run:
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


@contextmanager
def _ray(place: Place) -> Iterator[Callable[..., Iterator]]:
    try:
        import ray
    except ImportError as error:
        raise TrainingError(
            '--cluster needs Ray, which is not installed: pip install -e ".[cluster]".'
        ) from error
    try:
        _knock(place.cluster)
        ray.init(
            address=place.cluster or None,
            # Every machine has this code at the same path, as it has the data and the output.
            runtime_env={"env_vars": {"PYTHONPATH": str(_ROOT)}},
            include_dashboard=False if not place.cluster else None,
            log_to_driver=False,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise TrainingError(
            f"The Ray cluster {place.cluster or 'on this machine'} does not answer "
            f"({str(error).splitlines()[0]}). Start one with `ray start --head`; here and there "
            "must be the same version of Ray and the same token (`ray get-auth-token --help`)."
        ) from error
    try:
        yield lambda function, tasks: _on_ray(ray, place, function, tasks)
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError soon if nobody is at host:port; Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "://" not in address:
        socket.create_connection((host, int(port)), timeout=_ANSWER_TIME).close()


def _on_ray(
    ray: object, place: Place, function: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[Result]:
    remote = ray.remote(function).options(num_cpus=1, num_gpus=place.gpus_per_task)
    cores = int(ray.cluster_resources().get("CPU", 1))
    waiting = iter(tasks)
    running = [remote.remote(task) for task in islice(waiting, cores * _WAITING_PER_CORE)]
    while running:
        done, running = ray.wait(running, num_returns=1)
        running += [remote.remote(task) for task in islice(waiting, len(done))]
        try:
            yield from ray.get(done)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, SimSwapError):
                raise error.cause from None
            raise
        except ray.exceptions.RayError as error:
            raise TrainingError(
                f"The cluster lost a task ({str(error).splitlines()[0]}). "
                "Run the same command again; what is done is kept."
            ) from error
