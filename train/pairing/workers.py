"""The processes that read photos for a run: how they begin, and whose signals they obey."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import BaseContext

from torch.utils.data import DataLoader, IterableDataset

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def items_of(dataset: IterableDataset, num_workers: int, **options: object) -> Iterator:
    """What a dataset gives, item by item, read by so many workers; by this process if by none.

    options: of DataLoader.
    """
    if not num_workers:
        return iter(dataset)
    loader = DataLoader(
        dataset,
        batch_size=None,
        num_workers=num_workers,
        multiprocessing_context=_context(),
        worker_init_fn=_obey_the_parent_only,
        **options,
    )
    with _deaf_children():
        return iter(loader)


def _context() -> BaseContext:
    """Workers are forked from a process that has imported what they need, and no more.

    A fork of this one would copy locks of other threads; each begun anew imports for seconds.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["__main__", "train.pairing.loader"])
    return context


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started meanwhile hold back, from their first moment, what asks a run to stop.

    Launchers and schedulers signal all processes of a run, which needs its workers for one step
    more and for a checkpoint.
    """
    if not hasattr(signal, "sigwaitinfo"):  # not on a Mac
        yield
        return
    resource_tracker.ensure_running()  # whose start ends what follows
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _obey_the_parent_only(worker: int) -> None:
    """Have a worker end at its run's signal; those of others pass."""
    run = multiprocessing.parent_process().pid

    def listen() -> None:
        while signal.sigwaitinfo(STOP_SIGNALS).si_pid != run:
            pass
        os._exit(0)

    if hasattr(signal, "sigwaitinfo"):
        threading.Thread(target=listen, daemon=True).start()
