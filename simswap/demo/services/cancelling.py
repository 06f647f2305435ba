"""A call that its caller cancels: its thread ends at the next step, and is waited for until then.

By itself asyncio lets go of a cancelled call at once, while its thread works on: the next call
would begin beside it, and what the thread writes would be nobody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from threading import Event
from typing import Any, TypeVar

from gradio.utils import SyncToAsyncIterator

Result = TypeVar("Result")
SEPARATOR = "<gradio-sep>"  # in a job's name, before its event
ANSWER_SECONDS = 4.0  # in which who cancels is answered; Gradio's client waits for five

# Of the call at work, also in its threads: set once it is cancelled.
_cancelled: ContextVar[Event | None] = ContextVar("cancelled", default=None)
# Of it, too: says whether it has become needless.
_is_needless: ContextVar[Callable[[], bool] | None] = ContextVar("is_needless", default=None)


async def until_it_ends(call: Coroutine[Any, Any, Result]) -> Result:
    """What a call returns. Where this is cancelled, it waits for the call all the same.

    Raises CancelledError then, whatever came of the call.
    """
    cancelled = Event()
    before = _cancelled.set(cancelled)
    job = asyncio.create_task(call)
    _cancelled.reset(before)
    while not job.done():
        try:
            await asyncio.wait([job])
        except asyncio.CancelledError:
            cancelled.set()
    if cancelled.is_set():
        if not job.cancelled():
            job.exception()  # asyncio logs one that nobody has asked for
        raise asyncio.CancelledError
    try:
        return job.result()
    finally:
        del job  # it holds its error, which holds this frame, and all that the call was given


def is_cancelled() -> bool:
    """Whether the call at work is. Never so in the process of a lent GPU."""
    cancelled, is_needless = _cancelled.get(), _is_needless.get()
    if is_needless is not None and is_needless():
        return True
    return cancelled is not None and cancelled.is_set()


@contextmanager
def as_long_as_needed(is_needless: Callable[[], bool]) -> Iterator[None]:
    """Take the call at work for cancelled, in this block, once it is needless."""
    before = _is_needless.set(is_needless)
    try:
        yield
    finally:
        _is_needless.reset(before)


def stop_if_cancelled() -> None:
    """Raise CancelledError if the call at work is cancelled; between two steps of long work."""
    if is_cancelled():
        raise asyncio.CancelledError


async def close(steps: AsyncIterator[object] | None) -> None:
    """Close what a function has begun to give step by step; in a thread, as it may take seconds."""
    with suppress(Exception):  # as Gradio has it
        if isinstance(steps, SyncToAsyncIterator):
            await asyncio.to_thread(steps.iterator.close)
        elif steps is not None:
            await steps.aclose()


async def cancel(names: set[str]) -> None:
    """Cancel the jobs of these names (`SESSION_FUNCTION`), and wait a moment for their ends.

    Gradio's waits for all that it cancels, however long their threads work on; and it cancels a job
    before its first step, whose place would never be given back.
    """
    named = ((task, task.get_name().partition(SEPARATOR)) for task in asyncio.all_tasks())
    jobs = [task for task, (name, _, event) in named if event and name in names]
    await asyncio.sleep(0)  # in which each has that step
    for job in jobs:
        if not job.cancelling():
            job.cancel()
    if jobs:
        await asyncio.wait(jobs, timeout=ANSWER_SECONDS)
