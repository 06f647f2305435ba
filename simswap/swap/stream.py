"""Frames in a row through the swap path: batched, followed, steadied, by several workers."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
import torch

from simswap.errors import OptionError
from simswap.faces.steadying import REACH as FACES_REACH
from simswap.faces.steadying import links_between, steadied
from simswap.faces.tracking import Detect, detect_and_follow
from simswap.swap.selection import Cast, SwapPlan
from simswap.swap.steadying import REACH as PLANS_REACH
from simswap.swap.steadying import PlannedFaces, steadied_plan
from simswap.swap.threads import mapped_in_order
from simswap.types import Face, SwapResult

HELD_BYTES = 130_000_000  # of frames that the workers have before them, two batches each
MAX_WORKERS = 8  # more would hold many frames, and wait for each other outside the networks
CUDA_WORKERS = 2  # one prepares and pastes while the other's batch is on the GPU

# Frames, the faces of each, and who becomes whom in each (None: the same in all), to plans.
Plan = Callable[
    [Sequence[np.ndarray], Sequence[Sequence[Face]], Sequence[Cast | None]], list[SwapPlan]
]
Render = Callable[[Sequence[np.ndarray], Sequence[SwapPlan]], list[SwapResult]]
# The next frame and its faces, to these with track numbers, and who becomes whom.
CastNext = Callable[[np.ndarray, Sequence[Face]], tuple[list[Face], Cast]]


@dataclass(frozen=True)
class StreamOptions:
    """How frames in a row are taken. The defaults take every frame by itself, at once.

    Raises OptionError for a value outside its range.
    """

    detect_every: int = 1  # frames; faces are followed by optical flow in those between
    steady: bool = False  # hold faces steady against the frames around: some frames of delay
    workers: int = 1  # threads that swap at the same time; see workers_for
    num_before: int = 0  # frames at the start without a result; see frames_around
    num_wanted: int | None = None  # results; None: of all frames that are not before

    def __post_init__(self) -> None:
        check_range("detect_every", self.detect_every, 1, 100)
        check_range("workers", self.workers, 1, 64)
        check_range("num_before", self.num_before, 0, 100)


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Raise OptionError if an option's value lies outside low to high."""
    if not low <= value <= high:
        raise OptionError(f"{name}={value} is outside {low} to {high}.")


def frames_around(detect_every: int, steady: bool) -> int:
    """Frames before and after a part of a video that shape its results: whole groups."""
    reach = FACES_REACH + PLANS_REACH if steady else 0
    return -(-reach // detect_every) * detect_every


@dataclass(frozen=True, eq=False, kw_only=True)
class _Moment(PlannedFaces):
    """A frame on its way; is_wanted: its result is. cast: None: it is the same in all frames."""

    frame: np.ndarray
    is_wanted: bool
    cast: Cast | None = None


@dataclass(frozen=True, eq=False)
class _Window:
    """Moments that are worked on together, and in `row`, from `first` on, among those around."""

    batch: list[_Moment]
    row: list[PlannedFaces]
    first: int


@dataclass(frozen=True, eq=False)
class FrameStream:
    """A run of frames through the steps of a swap.

    detect: faces of each of at most `batch_size` frames.
    plan, render: what is to become of as many frames, and the results. Where frames steady each
        other, plans hold covers.
    cast_next: called for each frame in order; None: it is the same in all who becomes whom.
    """

    detect: Detect
    plan: Plan
    render: Render
    options: StreamOptions
    batch_size: int
    cast_next: CastNext | None = None

    def results(
        self, frames: Iterator[np.ndarray], known: Iterable[list[Face]] = ()
    ) -> Iterator[SwapResult]:
        """One result for each wanted frame, in order; at most a few batches are read ahead.

        known: the faces of each frame, where they need not be found.
        """
        ahead, frames = self._num_workers(frames)
        with ExitStack() as stack:
            mapped = self._mapping(stack, ahead)
            batches = mapped(self._find, self._batches(frames, iter(known)))
            if ahead == 1:  # then groups that wait gain nothing, and hold more frames
                batches = chain.from_iterable(map(self._parts, batches))
            batches = map(self._cast, batches)
            if self.options.steady:
                linked = in_windows(_linked(batches), FACES_REACH)
                planned = in_windows(mapped(self._plan_steadied, linked), PLANS_REACH)
                windows = (one for one in planned if one.batch[0].is_wanted)
                swapped = mapped(self._swap_steadied, windows)
            else:
                wanted = (batch for batch in batches if batch[0].is_wanted)
                swapped = mapped(self._swap, wanted)
            for results in swapped:
                while results:  # each is let go before the next batch is swapped
                    yield results.pop(0)

    def found(self, frames: Iterator[np.ndarray]) -> Iterator[tuple[np.ndarray, list[Face]]]:
        """Each frame with its faces, as `results` finds them."""
        ahead, frames = self._num_workers(frames)
        with ExitStack() as stack:
            mapped = self._mapping(stack, ahead)
            for batch in mapped(self._find, self._batches(frames, iter(()))):
                yield from ((one.frame, one.faces) for one in batch)

    @staticmethod
    def _mapping(stack: ExitStack, ahead: int) -> Callable[[Callable, Iterable], Iterator]:
        """What maps a step over items in order, by so many workers; it ends with the stack."""
        pool = stack.enter_context(_workers(ahead)) if ahead > 1 else None

        def mapped(step: Callable, items: Iterable) -> Iterator:
            # Closed before the pool ends, so that nothing hands it more work.
            return stack.enter_context(closing(mapped_in_order(step, items, pool, ahead)))

        return mapped

    def _num_workers(self, frames: Iterator[np.ndarray]) -> tuple[int, Iterator[np.ndarray]]:
        """How many workers there are for frames of this size, and the same frames."""
        first = list(islice(frames, 1))
        batch_bytes = max(self.batch_size, self.options.detect_every) * sum(f.nbytes for f in first)
        most = HELD_BYTES // (2 * batch_bytes) if first else 1
        return max(min(self.options.workers, most), 1), chain(_let_go(first), frames)

    def _batches(
        self, frames: Iterator[np.ndarray], known: Iterator[list[Face]]
    ) -> Iterator[list[_Moment]]:
        """Cut the frames; a batch holds whole groups of `detect_every` frames.

        Faces that are still to be found are None.
        """
        every = self.options.detect_every
        size = -(-self.batch_size // every) * every

        def batch(some: list[np.ndarray], is_wanted: bool) -> list[_Moment]:
            return [
                _Moment(faces=next(known, None), links=(), frame=frame, is_wanted=is_wanted)
                for frame in some
            ]

        if before := list(islice(frames, self.options.num_before)):
            yield batch(before, is_wanted=False)
        wanted = islice(frames, self.options.num_wanted)
        while some := list(islice(wanted, size)):
            yield batch(some, is_wanted=True)
        while some := list(islice(frames, size)):
            yield batch(some, is_wanted=False)

    def _cast(self, batch: list[_Moment]) -> list[_Moment]:
        if self.cast_next is None:
            return batch
        moments = []
        for one in batch:
            faces, cast = self.cast_next(one.frame, one.faces)
            moments.append(replace(one, faces=faces, cast=cast))
        return moments

    def _find(self, batch: list[_Moment]) -> list[_Moment]:
        if batch[0].faces is not None:
            return batch

        def detect(frames: Sequence[np.ndarray]) -> list[list[Face]]:
            return list(chain.from_iterable(map(self.detect, self._parts(frames))))

        frames = [one.frame for one in batch]
        found = detect_and_follow(detect, frames, self.options.detect_every)
        return [replace(one, faces=faces) for one, faces in zip(batch, found, strict=True)]

    def _plan_steadied(self, window: _Window) -> list[_Moment]:
        moments = [
            replace(one, faces=steadied(window.row, window.first + i))
            for i, one in enumerate(window.batch)
        ]
        return [
            replace(one, plan=plan) for one, plan in zip(moments, self._plans(moments), strict=True)
        ]

    def _swap_steadied(self, window: _Window) -> list[SwapResult]:
        indices = range(window.first, window.first + len(window.batch))
        return self._rendered(window.batch, [steadied_plan(window.row, i) for i in indices])

    def _swap(self, batch: list[_Moment]) -> list[SwapResult]:
        return self._rendered(batch, self._plans(batch))

    def _plans(self, batch: list[_Moment]) -> list[SwapPlan]:
        parts = map(self._parts, zip(*((m.frame, m.faces, m.cast) for m in batch), strict=True))
        return list(chain.from_iterable(self.plan(*part) for part in zip(*parts, strict=True)))

    def _rendered(self, batch: list[_Moment], plans: list[SwapPlan]) -> list[SwapResult]:
        parts = zip(self._parts([one.frame for one in batch]), self._parts(plans), strict=True)
        return list(chain.from_iterable(self.render(*part) for part in parts))

    def _parts(self, items: Sequence) -> Iterator[Sequence]:
        for start in range(0, len(items), self.batch_size):
            yield items[start : start + self.batch_size]


def _let_go(items: list[np.ndarray]) -> Iterator[np.ndarray]:
    """The items of a list, which is emptied."""
    while items:
        yield items.pop(0)


def _linked(batches: Iterable[list[_Moment]]) -> Iterator[list[_Moment]]:
    """The same with the link of each face to the frame before."""
    before: _Moment | None = None
    for batch in batches:
        moments = []
        for one in batch:
            if before is None:
                links = [None] * len(one.faces)
            else:
                links = links_between(before.frame, before.faces, one.frame, one.faces)
            before = replace(one, links=links)
            moments.append(before)
        yield moments


def in_windows(batches: Iterable[list[_Moment]], reach: int) -> Iterator[_Window]:
    """Each batch among the moments up to `reach` frames before and after, without their pixels."""
    before: list[PlannedFaces] = []
    waiting: deque[list[_Moment]] = deque()
    for batch in chain(batches, [None]):
        if batch is not None:
            waiting.append(batch)
        while waiting and (batch is None or sum(map(len, waiting)) - len(waiting[0]) >= reach):
            here = waiting.popleft()
            after = islice(chain.from_iterable(waiting), reach)
            faces = [_faces_of(one) for one in chain(here, after)]
            yield _Window(here, [*before, *faces], len(before))
            before = [*before, *faces[: len(here)]][-reach:]
            del here


def _faces_of(moment: _Moment) -> PlannedFaces:
    return PlannedFaces(moment.faces, moment.links, moment.plan)


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
