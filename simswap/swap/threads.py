"""Steps that overlap: made ahead by one thread, mapped by several, taken away by another.

Every queue is bounded, so that the slowest step sets the pace and no more than a few items live at
once. An error of any thread is raised where its work is used; leaving a `with` ends its thread.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_PATIENCE = 0.1  # s between two looks whether a blocked thread is still wanted


@dataclass(frozen=True)
class _End:
    """Stands behind the last item; `error` is why there are no more, None if all were made."""

    error: BaseException | None = None


class _Pipe(Generic[Item]):
    """A bounded queue between two threads that either side may leave."""

    def __init__(self, depth: int) -> None:
        self._queue: queue.Queue[Item | _End] = queue.Queue(depth)
        self._is_left = threading.Event()

    def leave(self) -> None:
        """Let `put` and `take` of the other side return at once from now on."""
        self._is_left.set()

    def put(self, item: Item | _End) -> bool:
        """Wait for room; False if the other side has left."""
        while not self._is_left.is_set():
            try:
                self._queue.put(item, timeout=_PATIENCE)
            except queue.Full:
                continue
            return True
        return False

    def take(self) -> Item | _End:
        """Wait for an item; an _End if the other side has left."""
        while not self._is_left.is_set():
            try:
                return self._queue.get(timeout=_PATIENCE)
            except queue.Empty:
                continue
        return _End()


@contextmanager
def made_ahead(items: Iterable[Item], depth: int) -> Iterator[Iterator[Item]]:
    """Iterate over `items` in a thread of its own; at most `depth` of them wait for their use.

    Yields an iterator over the same items in the same order, which raises what `items` raises.
    """
    pipe: _Pipe[Item] = _Pipe(depth)

    def make() -> None:
        try:
            for item in items:
                if not pipe.put(item):
                    return
            pipe.put(_End())
        except BaseException as error:  # also that the work is cancelled
            pipe.put(_End(error))
        finally:
            getattr(items, "close", lambda: None)()  # here: a generator ends where it ran

    at_work = copy_context()  # of the call that this is a part of
    thread = threading.Thread(target=at_work.run, args=[make], name="made_ahead", daemon=True)
    thread.start()
    try:
        yield _until_end(pipe)
    finally:
        pipe.leave()
        thread.join()


@contextmanager
def taken_away(use: Callable[[Item], None], depth: int) -> Iterator[Callable[[Item], None]]:
    """Call `use` for one item after the other in a thread of its own; at most `depth` wait.

    Yields the function that takes an item. An error of `use` is raised at the next item or at the
    end of the `with`, which waits for the items under way; if it is left by an error it does not.
    """
    pipe: _Pipe[Item] = _Pipe(depth)
    errors: list[Exception] = []

    def work() -> None:
        try:
            for item in _until_end(pipe):
                use(item)
        except Exception as error:
            errors.append(error)
            pipe.leave()

    def hand_over(item: Item) -> None:
        if not pipe.put(item) and errors:
            raise errors.pop()

    thread = threading.Thread(target=work, name="taken_away", daemon=True)
    thread.start()
    try:
        yield hand_over
        pipe.put(_End())
        thread.join()
    finally:
        pipe.leave()
        thread.join()
    if errors:
        raise errors.pop()


def mapped_in_order(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    pool: Executor | None,
    num_ahead: int,
) -> Iterator[Result]:
    """`function` of each item, in order, computed by a pool, at most `num_ahead` at a time.

    pool: None computes here, each item when it is asked for.
    """
    if pool is None:
        yield from map(function, items)
        return
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            del item  # the pool holds it for as long as it is needed
            if len(pending) >= num_ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _until_end(pipe: _Pipe[Item]) -> Iterator[Item]:
    while not isinstance(item := pipe.take(), _End):
        yield item
    if item.error is not None:
        raise item.error
