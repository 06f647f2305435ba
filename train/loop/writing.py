"""Files are written in the background, while the next steps are computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from accelerate import Accelerator

from train.errors import TrainingError
from train.loop.agreement import all_agree


class Writer:
    """Does one thing after the other in a thread of its own.

    What is handed over must not change any more: copies of weights, not the weights. A process
    does not end before all is done.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "writer")
        self._under_way: list[Future[None]] = []

    def submit(self, work: Callable[[], None]) -> None:
        """Do it later; what it raises is raised by `settle`, and what came after it is left out."""
        before = list(self._under_way)

        def unless_failed() -> None:
            if not any(earlier.exception() for earlier in before):
                work()

        self._under_way.append(self._pool.submit(unless_failed))

    def settle(self, accelerator: Accelerator) -> None:
        """Wait for all. Every process calls this, and raises TrainingError if one has failed."""
        failures = [future.exception() for future in self._under_way]
        self._under_way.clear()
        failure = next((error for error in failures if error is not None), None)
        if all_agree(accelerator, failure is None):
            return
        if failure is not None:
            raise failure
        raise TrainingError("Another process could not write its files; its message says why.")
