"""What one call's files may take, what all calls may hold at a time, and whose turn it is."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from contextvars import ContextVar

from simswap.demo import memory_room
from simswap.demo.calls.failures import thrifty
from simswap.demo.memory_room import LOOK_SECONDS, MemoryRoom
from simswap.demo.services.cancelling import stop_if_cancelled
from simswap.errors import CrowdedError
from simswap.media.allowance import OF_CALL, Allowance
from simswap.trial_run import Fits

CALL_PIXELS = 225_000_000  # of all photos of a call; nine of a phone that takes 24 million each
CALL_SECONDS = 15.0  # of processor time to decode its AVIF and HEIC photos
PHOTO_SECONDS = 5.0  # of them, 0.3 to begin; 12 million dense pixels take 0.8 to 1.4
SIGN_BYTES = 400_000_000  # to sign a result: a photo of 100 MB, a video of 200
# Of child processes that read files, and of calls with large photos: beside a video of 1920 x 1080
# and such a call, which work for long, others read small files.
ROOM_BYTES = 600_000_000
MOST_TAKEN = 250_000_000  # of it, by such a call

# Of a lane, how many calls are at work: while one has a crowd of faces, others go on. And how many
# have begun: a call with large photos leaves its lane to others, works beside them, and waits for
# other such calls in a place that they do not need. One address has one place.
AT_WORK, PLACES = 2, 3
OWN_LANE = {"concurrency_limit": PLACES}
SWAP_LANE, VERIFY_LANE = ({"concurrency_id": name, **OWN_LANE} for name in ("swap", "verify"))

_room = MemoryRoom(ROOM_BYTES)
_of_call: ContextVar[_Turns | None] = ContextVar("turns", default=None)


def new_lane() -> threading.Semaphore:
    """The lane of a kind of work on photos."""
    return threading.BoundedSemaphore(AT_WORK)


class _Turns:
    """When a call is at work: in its lane, or once it has large photos.

    Of all calls, one at a time has large photos: others wait until it has dealt with them.
    """

    def __init__(self, held: ExitStack) -> None:
        self._with_large = held.enter_context(ExitStack())
        self._fits: Fits | None = None  # while it has large photos
        self._in_lane, self._is_in_lane = ExitStack(), False
        self._lane: threading.Semaphore | None = None

    def take_large(self, num_bytes: int) -> None:
        num_bytes = min(num_bytes, MOST_TAKEN)
        if self._fits is not None:  # it may be larger than the one before
            self._fits(num_bytes)
            return
        self._in_lane.close()
        self._fits = self._with_large.enter_context(_room.place(num_bytes, in_turn=True))

    def end_large(self) -> None:
        if self._fits is not None:
            self._fits = None
            self._with_large.close()
            self._enter()

    @contextmanager
    def place(self, num_bytes: int) -> Iterator[Fits]:
        # Who has a place waits for no other one, which might wait for that. And who waits for one
        # leaves its lane to others, until a child process has done the work.
        has_large = self._fits is not None
        if not has_large:
            self._in_lane.close()
        with _room.place(num_bytes, at_once=has_large) as fits:
            yield fits
        if not has_large:
            self._enter()

    @contextmanager
    def at_work_in(self, lane: threading.Semaphore) -> Iterator[None]:
        self._lane = lane
        try:
            with self._in_lane:
                self._enter()
                yield
        finally:
            self._lane = None

    def _enter(self) -> None:
        # Who has large photos is at work beside the lane, and waits for nobody in it, who might
        # wait for the memory.
        if self._lane is not None and self._fits is None and not self._is_in_lane:
            _wait_for(self._lane)
            self._is_in_lane = True
            self._in_lane.callback(self._leave, self._lane)

    def _leave(self, lane: threading.Semaphore) -> None:
        self._is_in_lane = False
        lane.release()


SWAPS = new_lane()


@contextmanager
def one_call() -> Iterator[None]:
    """The call in this block has an allowance of its own; also in its threads."""
    with ExitStack() as held:
        turns = _Turns(held)
        limits = CALL_PIXELS, CALL_SECONDS, PHOTO_SECONDS, SIGN_BYTES
        allowance = Allowance(*limits, turns.take_large, turns.end_large, turns.place)
        held.callback(OF_CALL.reset, OF_CALL.set(allowance))
        held.callback(_of_call.reset, _of_call.set(turns))
        yield


@contextmanager
def in_lane(lane: threading.Semaphore) -> Iterator[None]:
    """As many calls as a lane has turns are at work in such blocks, beside one with large photos.

    At the end its free memory goes back, see thrifty.
    """
    turns = _of_call.get()
    with thrifty(), turns.at_work_in(lane) if turns is not None else nullcontext():
        yield


def _wait_for(turn: threading.Semaphore) -> None:
    """Raises CrowdedError if the turn does not come for long."""
    stop_if_cancelled()
    until = time.monotonic() + memory_room.PATIENCE
    while not turn.acquire(timeout=LOOK_SECONDS):
        stop_if_cancelled()
        if time.monotonic() > until:
            raise CrowdedError
