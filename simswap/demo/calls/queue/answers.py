"""What is told of calls, until somebody fetches it: of so many sessions, and so much."""

from __future__ import annotations

import asyncio
import weakref
from collections import Counter, OrderedDict
from functools import wraps

from gradio.queueing import Event, Queue
from gradio.server_messages import (
    EventMessage,
    ProcessCompletedMessage,
    ProcessGeneratingMessage,
)
from gradio.utils import LRUCache

from simswap.demo.calls.sessions import CAPACITY
from simswap.demo.server.visitors import visitor_of

# Characters of answers that nobody has fetched; beyond, the oldest goes. Those of a page have some
# thousand, with pictures of 256 faces three million.
MAX_UNREAD, MAX_UNREAD_PER_ADDRESS = 100_000_000, 20_000_000
LARGE = 10_000  # from where on they count
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
            length = _length(getattr(message, "output", None))
            if event.streaming:
                _drop_frames(answers[event.session_hash], event)
                if length > LARGE and isinstance(message, ProcessCompletedMessage):
                    message.output, length = {**message.output, "data": []}, 0
            if length > LARGE:
                unread.add(message, length, visitor_of(event.request.scope).address)
        send(event, message)

    queue.send_message, queue.pending_messages_per_session = send_bounded, answers


class Answers(LRUCache[str, asyncio.Queue[EventMessage]]):
    """What is told to sessions, by their names; of so many, in which nothing waits or is at work.

    Beyond, that address loses its oldest one's which has most.
    """

    def __init__(self, queue: Queue) -> None:
        super().__init__(CAPACITY)
        self._events = queue.event_ids_to_events
        self._whose = weakref.WeakKeyDictionary()

    def __setitem__(self, name: str, messages: asyncio.Queue[EventMessage]) -> None:
        """As Gradio's, which would let any other go."""
        if name not in self and len(self) >= self.max_size:
            busy = {event.session_hash for event in self._events.values()}
            whose = {one: self._whose.get(self[one]) for one in self if one not in busy}
            if whose:
                ((most, _),) = Counter(whose.values()).most_common(1)
                del self[next(one for one in whose if whose[one] == most)]
        OrderedDict.__setitem__(self, name, messages)

    def belong_to(self, name: str, address: str) -> None:
        """Note that an address has begun something in a session."""
        self._whose[self[name]] = address


class Unread:
    """Large answers on their way, the oldest first. Used from the event loop only."""

    def __init__(self) -> None:
        self._kept: list[tuple[weakref.ref[EventMessage], int, str]] = []

    def add(self, message: EventMessage, length: int, address: str) -> None:
        """Note one more; older ones of its address, or of all, lose what they tell if need be."""
        self._kept = [one for one in self._kept if one[0]() is not None]  # the others were fetched
        self._kept.append((weakref.ref(message), length, address))
        lengths = Counter()
        for _, each, whose in self._kept:
            lengths[whose] += each
        for entry in list(self._kept):
            older, each, whose = entry
            is_too_much = lengths[whose] > MAX_UNREAD_PER_ADDRESS or lengths.total() > MAX_UNREAD
            if is_too_much and (told := older()) is not message and told is not None:
                told.output, told.success = {"error": TOO_LATE}, False
                lengths[whose] -= each
                self._kept.remove(entry)


def _drop_frames(unread: asyncio.Queue[EventMessage], event: Event) -> None:
    for _ in range(unread.qsize()):
        other = unread.get_nowait()
        if not (isinstance(other, ProcessGeneratingMessage) and other.event_id == event._id):
            unread.put_nowait(other)


def _length(told: object) -> int:
    """Of all texts in it, in characters, and some for all else."""
    length, rest = 0, [told]
    while rest:
        value = rest.pop()
        length += len(value) if isinstance(value, str) else 10
        if isinstance(value, dict):
            rest += value.values()
        elif isinstance(value, list | tuple):
            rest += value
    return length
