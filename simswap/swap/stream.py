"""Frames in a row through the swap path: batched, followed, steadied, by several workers."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain, islice

import numpy as np
import torch

from simswap.errors import OptionError
from simswap.faces.tracking import Detect, detect_and_follow, steadied
from simswap.swap.selection import Cast
from simswap.swap.threads import mapped_in_order
from simswap.types import Face, SwapResult

MAX_WORKERS = 8  # more would hold many frames, and wait for each other outside the networks
CUDA_WORKERS = 2  # one prepares and pastes while the other's batch is on the GPU

# Frames, the faces of each, and who becomes whom in each (None: the same in all), to results.
Swap = Callable[
    [Sequence[np.ndarray], Sequence[Sequence[Face]], Sequence[Cast | None]], list[SwapResult]
]
# The next frame and its faces, to these with track numbers, and who becomes whom.
CastNext = Callable[[np.ndarray, Sequence[Face]], tuple[list[Face], Cast]]


@dataclass(frozen=True)
class StreamOptions:
    """How frames in a row are taken. The defaults take every frame by itself, at once.

    Raises OptionError for a value outside its range.
    """

    detect_every: int = 1  # frames; faces are followed by optical flow in those between
    steady: bool = False  # hold faces steady against the frame before and after: a batch of delay
    workers: int = 1  # threads that swap at the same time; see workers_for
    num_before: int = 0  # frames at the start that only tell where faces come from
    num_wanted: int | None = None  # results; frames after only tell where faces go; None: all

    def __post_init__(self) -> None:
        check_range("detect_every", self.detect_every, 1, 100)
        check_range("workers", self.workers, 1, 64)
        check_range("num_before", self.num_before, 0, 100)


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise OptionError if an option's value lies outside low to high."""
    if not low <= value <= high:
        raise OptionError(f"{name}={value} is outside {low} to {high}.")


@dataclass(frozen=True, eq=False)
class _Batch:
    """Frames that are detected together; `is_wanted`: results of them are.

    faces: of each frame; empty where they are still to be found.
    """

    frames: list[np.ndarray]
    faces: list[list[Face]]
    is_wanted: bool
    casts: list[Cast | None] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class FrameStream:
    """A run of frames through the steps of a swap.

    detect: faces of each of at most `batch_size` frames.
    swap: results of as many frames with their faces.
    cast_next: called for each frame in order; None: it is the same in all who becomes whom.
    """

    detect: Detect
    swap: Swap
    options: StreamOptions
    batch_size: int
    cast_next: CastNext | None = None

    def results(
        self, frames: Iterator[np.ndarray], known: Iterable[list[Face]] = ()
    ) -> Iterator[SwapResult]:
        """One result for each wanted frame, in order; at most a few batches are read ahead.

        known: the faces of each frame, where they need not be found.
        """
        ahead = self.options.workers
        with ExitStack() as stack:
            pool = stack.enter_context(_workers(ahead)) if ahead > 1 else None
            found = mapped_in_order(self._find, self._batches(frames, iter(known)), pool, ahead)
            cast = map(self._cast, found)
            swapped = mapped_in_order(self._swap, self._with_neighbours(cast), pool, ahead)
            # Closed before the pool ends, so that nothing hands it more work.
            stack.enter_context(closing(found))
            stack.enter_context(closing(swapped))
            for results in swapped:
                yield from results

    def found(self, frames: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, list[Face]]]:
        """Each frame with its faces, as `results` finds them."""
        ahead = self.options.workers
        with ExitStack() as stack:
            pool = stack.enter_context(_workers(ahead)) if ahead > 1 else None
            batches = self._batches(frames, iter(()))
            found = stack.enter_context(closing(mapped_in_order(self._find, batches, pool, ahead)))
            for batch in found:
                yield from zip(batch.frames, batch.faces, strict=True)

    def _batches(
        self, frames: Iterator[np.ndarray], known: Iterator[list[Face]]
    ) -> Iterator[_Batch]:
        """Cut the frames; a batch holds whole groups of `detect_every` frames."""
        every = self.options.detect_every
        size = -(-self.batch_size // every) * every

        def batch(some: list[np.ndarray], is_wanted: bool) -> _Batch:
            return _Batch(some, list(islice(known, len(some))), is_wanted)

        if before := list(islice(frames, self.options.num_before)):
            yield batch(before, is_wanted=False)
        wanted = islice(frames, self.options.num_wanted)
        while some := list(islice(wanted, size)):
            yield batch(some, is_wanted=True)
        while some := list(islice(frames, size)):
            yield batch(some, is_wanted=False)

    def _cast(self, batch: _Batch) -> _Batch:
        if self.cast_next is None:
            return replace(batch, casts=[None] * len(batch.frames))
        pairs = [self.cast_next(*pair) for pair in zip(batch.frames, batch.faces, strict=True)]
        return replace(
            batch, faces=[faces for faces, _ in pairs], casts=[cast for _, cast in pairs]
        )

    def _find(self, batch: _Batch) -> _Batch:
        if batch.faces:
            return batch

        def detect(frames: Sequence[np.ndarray]) -> list[list[Face]]:
            return list(chain.from_iterable(map(self.detect, self._parts(frames))))

        faces = detect_and_follow(detect, batch.frames, self.options.detect_every)
        return _Batch(batch.frames, faces, batch.is_wanted)

    def _with_neighbours(
        self, batches: Iterable[_Batch]
    ) -> Iterator[tuple[_Batch | None, _Batch, _Batch | None]]:
        """Each wanted batch between the ones before and after it, if they are to steady it."""
        if not self.options.steady:
            yield from ((None, batch, None) for batch in batches if batch.is_wanted)
            return
        before = batch = None
        for after in chain(batches, (None,)):
            if batch is not None and batch.is_wanted:
                yield before, batch, after
            before, batch = batch, after

    def _swap(self, batches: tuple[_Batch | None, _Batch, _Batch | None]) -> list[SwapResult]:
        before, batch, after = batches
        faces = batch.faces
        if self.options.steady:
            first = [(before.frames[-1], before.faces[-1])] if before else []
            last = [(after.frames[0], after.faces[0])] if after else []
            row, found = zip(
                *first, *zip(batch.frames, batch.faces, strict=True), *last, strict=True
            )
            faces = steadied(row, found)[len(first) :][: len(batch.frames)]
        parts = zip(*map(self._parts, (batch.frames, faces, batch.casts)), strict=True)
        return list(chain.from_iterable(self.swap(*part) for part in parts))

    def _parts(self, items: Sequence) -> Iterator[Sequence]:
        for start in range(0, len(items), self.batch_size):
            yield items[start : start + self.batch_size]


def workers_for(device: torch.device) -> int:
    """Workers that keep a device busy; on a CPU one for each thread that torch would use."""
    return CUDA_WORKERS if device.type == "cuda" else min(torch.get_num_threads(), MAX_WORKERS)


@contextmanager
def _workers(number: int) -> Iterator[Executor]:
    """Threads in which torch uses one thread each: quicker than sharing every convolution."""
    num_threads = torch.get_num_threads()
    all_set = threading.Barrier(number + 1)

    def use_one_thread() -> None:
        torch.set_num_threads(1)
        all_set.wait()

    with ThreadPoolExecutor(number, "swap", initializer=use_one_thread) as pool:
        for _ in range(number):
            pool.submit(os.getpid)  # a thread starts only when there is work
        all_set.wait()
        torch.set_num_threads(num_threads)  # threads that start later take over what was set last
        yield pool
