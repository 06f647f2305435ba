"""How much reading one call's photos may take, and that few calls hold large ones at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from simswap.demo.services.cancelling import stop_if_cancelled
from simswap.media.allowance import OF_CALL, Allowance

CALL_PIXELS = 225_000_000  # of all photos of a call; nine of a phone that takes 24 million each
CALL_SECONDS = 15.0  # of processor time to decode its AVIF and HEIC photos
PHOTO_SECONDS = 5.0  # of them, 0.3 to begin; 12 million dense pixels take 0.8 to 1.4
LOOK_SECONDS = 0.1  # between two looks at whether a call that waits is cancelled

_large = threading.Lock()  # held by the call that has decoded large photos, until it ends


@contextmanager
def one_call() -> Iterator[None]:
    """The call in this block has an allowance of its own; also in its threads.

    Of all calls, one at a time has photos of more than LARGE pixels: others wait for its end.
    """
    holds = False

    def take_turn() -> None:
        nonlocal holds
        while not holds:
            stop_if_cancelled()
            holds = _large.acquire(timeout=LOOK_SECONDS)

    before = OF_CALL.set(Allowance(CALL_PIXELS, CALL_SECONDS, PHOTO_SECONDS, take_turn))
    try:
        yield
    finally:
        OF_CALL.reset(before)
        if holds:
            _large.release()
