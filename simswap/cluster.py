"""The same function for many tasks on a Ray cluster: results as they come."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TypeVar

from simswap.errors import ClusterError, SimSwapError

Task = TypeVar("Task")
Result = TypeVar("Result")
Run = Callable[[Callable[[Task], Result], Sequence[Task]], Iterator[Result]]

_ROOT = Path(__file__).parents[1]
_WAITING_PER_CORE = 4  # tasks given to the cluster ahead of what its cores are at
_ANSWER_TIME = 5.0  # seconds


@contextmanager
def open_cluster(address: str, gpus_per_task: float = 0.0) -> Iterator[Run]:
    """A function `run(function, tasks)` that yields results in the order they come in.

    The function and its tasks must be picklable. Its SimSwapError reaches the caller as it is.
    Closed early, it gives up what has not come.
    address: of a cluster, "" for a new one on this machine. gpus_per_task: what a task takes of its
    GPUs; 0: it computes on a CPU core.
    Raises ClusterError if Ray is missing, the cluster does not answer, or loses a task.
    """
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            '--cluster needs Ray, which is not installed: pip install -e ".[cluster]".'
        ) from error
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    try:
        _knock(address)
        ray.init(
            address=address or None,
            # Every machine has this code at the same path, as it has the data and the output.
            runtime_env={"env_vars": {"PYTHONPATH": path}},
            include_dashboard=False if not address else None,
            log_to_driver=False,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ClusterError(
            f"The Ray cluster {address or 'on this machine'} does not answer "
            f"({str(error).splitlines()[0]}). Start one with `ray start --head`; here and there "
            "must be the same version of Ray and the same token (`ray get-auth-token --help`)."
        ) from error
    try:
        yield lambda function, tasks: _on_ray(ray, gpus_per_task, function, tasks)
    finally:
        ray.shutdown()


def _knock(address: str) -> None:
    """Raise OSError soon if nobody is at host:port; Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "://" not in address:
        socket.create_connection((host, int(port)), timeout=_ANSWER_TIME).close()


def _on_ray(
    ray: object, gpus_per_task: float, function: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[Result]:
    remote = ray.remote(_call).options(num_cpus=1, num_gpus=gpus_per_task)
    shared = ray.put(function)
    cores = int(ray.cluster_resources().get("CPU", 1))
    waiting = iter(tasks)
    running = [remote.remote(shared, task) for task in islice(waiting, cores * _WAITING_PER_CORE)]
    try:
        while running:
            done, running = ray.wait(running, num_returns=1)
            running += [remote.remote(shared, task) for task in islice(waiting, len(done))]
            yield from ray.get(done)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, SimSwapError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise ClusterError(
            f"The cluster lost a task ({str(error).splitlines()[0]}). "
            "Run the same command again; what is done is kept."
        ) from error
    finally:
        for task in running if ray.is_initialized() else ():
            ray.cancel(task, force=True)


def _call(function: Callable[[Task], Result], task: Task) -> Result:
    """The function itself may be bound to values, which Ray does not take for one."""
    return function(task)
