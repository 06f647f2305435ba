"""How much reading one call's files may take, and how much all calls may hold at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from simswap.demo import memory_room
from simswap.demo.memory_room import LOOK_SECONDS, MemoryRoom
from simswap.demo.services.cancelling import stop_if_cancelled
from simswap.errors import CrowdedError
from simswap.media.allowance import OF_CALL, Allowance
from simswap.trial_run import Fits

CALL_PIXELS = 225_000_000  # of all photos of a call; nine of a phone that takes 24 million each
CALL_SECONDS = 15.0  # of processor time to decode its AVIF and HEIC photos
PHOTO_SECONDS = 5.0  # of them, 0.3 to begin; 12 million dense pixels take 0.8 to 1.4
ROOM_BYTES = 400_000_000  # of child processes that read files, and of calls with large photos

_room = MemoryRoom(ROOM_BYTES)
_large = threading.Lock()  # held by the call that has decoded large photos, until it ends


@contextmanager
def one_call() -> Iterator[None]:
    """The call in this block has an allowance of its own; also in its threads.

    Of all calls, one at a time has large photos: others wait until it has dealt with them.
    """
    with ExitStack() as held:
        of_turn, turn = held.enter_context(ExitStack()), None

        def take_turn(num_bytes: int) -> None:
            nonlocal turn
            if turn is not None:  # it may be larger than the one before
                turn(num_bytes)
                return
            _wait_for(_large)
            of_turn.callback(_large.release)
            turn = of_turn.enter_context(_room.place(num_bytes))

        def end_turn() -> None:
            nonlocal turn
            turn = None
            of_turn.close()

        def place(num_bytes: int) -> AbstractContextManager[Fits]:
            # Who has a place waits for no other one, which might wait for that.
            return _room.place(num_bytes, at_once=turn is not None)

        allowance = Allowance(CALL_PIXELS, CALL_SECONDS, PHOTO_SECONDS, take_turn, end_turn, place)
        held.callback(OF_CALL.reset, OF_CALL.set(allowance))
        yield


def _wait_for(turn: threading.Lock) -> None:
    """Raises CrowdedError if the turn does not come for long."""
    stop_if_cancelled()
    until = time.monotonic() + memory_room.PATIENCE
    while not turn.acquire(timeout=LOOK_SECONDS):
        stop_if_cancelled()
        if time.monotonic() > until:
            raise CrowdedError
