"""What is told of calls, until somebody fetches it: of so many sessions, and so much."""

from __future__ import annotations

import asyncio
import sys
import weakref
from collections import Counter, defaultdict
from functools import wraps

from gradio.queueing import Event, Queue
from gradio.server_messages import (
    EventMessage,
    ProcessCompletedMessage,
    ProcessGeneratingMessage,
)

from simswap.demo.calls.sessions import CAPACITY
from simswap.demo.server.visitors import visitor_of

# Bytes of answers that nobody has fetched; beyond, the oldest goes. Those of a page are some
# thousand, with pictures of 256 faces three million.
MAX_UNREAD, MAX_UNREAD_PER_ADDRESS = 100_000_000, 20_000_000
MOST_MESSAGES = 300  # of a session; a film of a minute has some 40, and who waits some ten
LARGE = 10_000  # bytes of a camera's end, of which the frame has been told already
TOO_LATE = "This answer was not fetched, and others have its place. Ask again."


def bound_unread(queue: Queue) -> None:
    """Bound what answers take that nobody fetches, of each address and of all.

    Of a camera's frames the newest is kept, as the page shows no other, and none when it ends.
    """
    send, unread, answers = queue.send_message, Unread(), Answers(queue)

    @wraps(send)
    def send_bounded(event: Event, message: EventMessage) -> None:
        if event.session_hash not in answers:  # nobody will ask, and Gradio's queue would end
            return
        if event.alive:
            size = _size(getattr(message, "output", None))
            if event.streaming:
                _drop_frames(answers[event.session_hash], event)
                if size > LARGE and isinstance(message, ProcessCompletedMessage):
                    message.output, size = {**message.output, "data": []}, 0
            if hasattr(message, "output"):
                unread.add(message, size, visitor_of(event.request.scope).address)
        send(event, message)
        answers.trim(event.session_hash)

    queue.send_message, queue.pending_messages_per_session = send_bounded, answers


class Answers(dict[str, asyncio.Queue[EventMessage]]):
    """What is told to sessions, by their names; of so many, in which nothing waits or is at work.

    Beyond, that address loses its oldest one's which has most.
    """

    def __init__(self, queue: Queue) -> None:
        super().__init__()
        self._events, self._unended = queue.event_ids_to_events, queue.pending_event_ids_session
        self._whose = weakref.WeakKeyDictionary()

    def __setitem__(self, name: str, messages: asyncio.Queue[EventMessage]) -> None:
        """As Gradio's, which would let any other go."""
        if name not in self and len(self) >= CAPACITY:
            busy = {event.session_hash for event in self._events.values()}
            whose = {one: self._whose.get(self[one]) for one in self if one not in busy}
            if whose:
                ((most, _),) = Counter(whose.values()).most_common(1)
                del self[next(one for one in whose if whose[one] == most)]
        super().__setitem__(name, messages)

    def belong_to(self, name: str, address: str) -> None:
        """Note that an address has begun something in a session."""
        self._whose[self[name]] = address

    def trim(self, name: str) -> None:
        """Let the oldest messages of a session go if it has too many."""
        while self[name].qsize() > MOST_MESSAGES:
            oldest = self[name].get_nowait()
            if isinstance(oldest, ProcessCompletedMessage) and name in self._unended:
                self._unended[name].discard(oldest.event_id)


class Unread:
    """What answers on their way take, by address, the oldest first. For the event loop only."""

    def __init__(self) -> None:
        self._kept: dict[str, dict[int, tuple[weakref.ref, int]]] = defaultdict(dict)
        self._sizes: Counter[str] = Counter()

    def add(self, message: EventMessage, size: int, address: str) -> None:
        """Note one more; older ones of its address, or of whose are most, lose what they tell."""
        newest = weakref.ref(message, lambda fetched: self._pop(address, id(fetched)))
        self._kept[address][id(newest)] = newest, size
        self._sizes[address] += size
        while (is_own := self._sizes[address] > MAX_UNREAD_PER_ADDRESS) or (
            self._sizes.total() > MAX_UNREAD
        ):
            whose = address if is_own else max(self._sizes, key=self._sizes.__getitem__)
            if (oldest := next(iter(self._kept[whose]))) == id(newest):
                break
            if (told := self._pop(whose, oldest)()) is not None:
                told.output, told.success = {"error": TOO_LATE}, False

    def _pop(self, address: str, number: int) -> weakref.ref[EventMessage] | None:
        of_address = self._kept[address]
        answer, size = of_address.pop(number, (None, 0))
        self._sizes[address] -= size
        if not of_address:
            del self._kept[address], self._sizes[address]
        return answer


def _drop_frames(unread: asyncio.Queue[EventMessage], event: Event) -> None:
    for _ in range(unread.qsize()):
        other = unread.get_nowait()
        if not (isinstance(other, ProcessGeneratingMessage) and other.event_id == event._id):
            unread.put_nowait(other)


def _size(told: object) -> int:
    """Bytes that it and all in it take."""
    size, rest = 0, [told]
    while rest:
        value = rest.pop()
        size += sys.getsizeof(value)
        if isinstance(value, dict):
            rest += value.values()
        elif isinstance(value, list | tuple):
            rest += value
    return size
