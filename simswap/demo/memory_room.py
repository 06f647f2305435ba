"""Room in memory, for which the work of calls waits in a line."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile

from simswap.demo.services.cancelling import stop_if_cancelled
from simswap.errors import CrowdedError
from simswap.trial_run import Fits

LOOK_SECONDS = 0.1  # between two looks at whether a call that waits is cancelled
PATIENCE = 120.0  # s; a part of a video keeps its place for some twenty
MOST_PATIENCE = 40.0  # of who wants more than half of all, whose lane waits with it
OVERTAKEN_SECONDS = 20.0  # after which who waits may have room kept for it, once
KEPT_SECONDS = 5.0  # for which nobody else enters then; most work is done by the end of it
REST_SECONDS = 15.0  # at least, until room is kept for the next


class MemoryRoom:
    """So many bytes, of which work holds places. Safe to use from several threads.

    Who comes first gets a place first, but for smaller ones, that go first where there is room for
    them only. For who waits for long nobody enters for a few seconds, so that room may come free;
    where work of minutes holds it, it does not, and others need not wait. One that is larger than
    all gets a place when nobody has any.
    """

    def __init__(self, num_bytes: int) -> None:
        self._most, self._held = num_bytes, 0
        self._at_once = 0  # of what is held, what did not wait: nobody gives way to it
        self._is_turn_taken = False
        self._line: deque[_Ticket] = deque()
        self._kept_for: _Ticket | None = None
        self._kept_since = -math.inf
        self._changed = threading.Condition()

    @contextmanager
    def place(
        self, num_bytes: int, *, at_once: bool = False, in_turn: bool = False
    ) -> Iterator[Fits]:
        """A place in this block, entered when there is one; at_once: in any case.

        in_turn: of such places there is one at a time.
        Yields what tells whether the work may hold so many bytes, and then has them as its own.
        Raises CrowdedError if it has to wait for long, CancelledError if its call is cancelled.
        """
        taken = num_bytes
        with self._changed:
            if not at_once:
                self._wait_for(_Ticket(num_bytes, in_turn, time.monotonic()))
            self._held += taken
            self._at_once += taken * at_once
            self._is_turn_taken |= in_turn

        def fits(held: int) -> bool:
            nonlocal taken
            with self._changed:
                is_alone = self._held == taken
                others = self._held - self._at_once - taken * (not at_once)
                if held > taken and not is_alone and others + held > self._most:
                    return False
                more = max(held - taken, 0)
                self._held += more
                self._at_once += more * at_once
                taken += more
                return True

        try:
            yield fits
        finally:
            with self._changed:
                self._held -= taken
                self._at_once -= taken * at_once
                self._is_turn_taken &= not in_turn
                self._changed.notify_all()

    def _wait_for(self, ticket: _Ticket) -> None:
        wants_most = 2 * ticket.num_bytes > self._most
        until = ticket.since + (MOST_PATIENCE if wants_most else PATIENCE)
        self._line.append(ticket)
        try:
            while not self._may_enter(ticket):
                stop_if_cancelled()
                if time.monotonic() > until:
                    raise CrowdedError
                self._changed.wait(LOOK_SECONDS)
        finally:
            self._line.remove(ticket)
            self._changed.notify_all()

    def _may_enter(self, ticket: _Ticket) -> bool:
        if self._keeper() not in (None, ticket) or not self._fits(ticket):
            return False
        before = takewhile(lambda other: other is not ticket, self._line)
        return self._kept_for is ticket or not any(map(self._fits, before))

    def _keeper(self) -> _Ticket | None:
        """For whom room is kept just now."""
        now = time.monotonic()
        if now - self._kept_since >= KEPT_SECONDS + REST_SECONDS:
            late = (
                ticket
                for ticket in self._line
                if now - ticket.since >= OVERTAKEN_SECONDS
                and not (ticket.had_turn or self._waits_for_turn(ticket) or self._fits(ticket))
            )
            if found := next(late, None):
                found.had_turn = True
                self._kept_for, self._kept_since = found, now
        is_kept = now - self._kept_since < KEPT_SECONDS and self._kept_for in self._line
        return self._kept_for if is_kept else None

    def _fits(self, ticket: _Ticket) -> bool:
        is_room = not self._held or self._held + ticket.num_bytes <= self._most
        return is_room and not self._waits_for_turn(ticket)

    def _waits_for_turn(self, ticket: _Ticket) -> bool:
        return ticket.in_turn and self._is_turn_taken


@dataclass(eq=False)
class _Ticket:
    """Of who waits: what is wanted, since when, and whether room was kept for it already."""

    num_bytes: int
    in_turn: bool
    since: float
    had_turn: bool = False
