"""What is kept of a page between its calls: what functions keep on purpose, in a gr.State.

And its answers until they are fetched, of which so much.

Gradio's own sessions also keep the last value of each component, for deep links, which this demo
does not have: pictures of visitors' faces and all else that calls hold, until the process ends.
"""

from __future__ import annotations

import asyncio
import re
import weakref
from collections import Counter
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

import gradio as gr
from gradio.blocks import Blocks
from gradio.queueing import Event, Queue
from gradio.server_messages import (
    EventMessage,
    ProcessCompletedMessage,
    ProcessGeneratingMessage,
)
from gradio.state_holder import SessionState, StateHolder

from simswap.demo.calls.remembered import jobs
from simswap.demo.process.retention import MAX_AGE
from simswap.demo.server.visitors import visitor_of

NAME = re.compile(r"[\w-]{1,64}", re.ASCII)  # as Gradio's page and clients name theirs
NO_NAME = "A session is named by up to 64 letters, digits, - and _."
CAPACITY = 2000  # sessions; one takes some 10 kB
KEPT = timedelta(seconds=MAX_AGE)
# Without a call; then answers that nobody has fetched go, and sessions that hold nothing.
IDLE = timedelta(minutes=5)
# Characters of answers that nobody has fetched; beyond, the oldest goes. Those of a page have some
# thousand, with pictures of 256 faces three million.
MAX_UNREAD, MAX_UNREAD_PER_ADDRESS = 100_000_000, 20_000_000
LARGE = 10_000  # from where on they count
TOO_LATE = "This answer was not fetched, and others have its place. Ask again."


class Session(SessionState):
    """Gradio's, without its components' values."""

    def __init__(self, blocks: Blocks) -> None:
        super().__init__(blocks)
        self.config_values = {}

    def __setitem__(self, key: int, value: Any) -> None:
        """As Gradio's."""
        super().__setitem__(key, value)
        self.config_values = {}

    def _update_config(self, key: int) -> None:
        """Keep nothing."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Keep nothing."""


class Sessions(StateHolder):
    """All pages' sessions, until they are idle for long."""

    def __getitem__(self, name: str) -> SessionState:
        """As Gradio's; the session of a name, a new one if there is none.

        Raises gr.Error for what is no name: it would be kept, however long it is.
        """
        if not NAME.fullmatch(name):
            raise gr.Error(NO_NAME, print_exception=False)
        if name not in self.session_data:
            self.session_data[name] = Session(self.blocks)
        return super().__getitem__(name)

    def delete_all_expired_state(self) -> None:
        """As Gradio's, which calls this every second; and forget who has not called for long."""
        super().delete_all_expired_state()
        jobs.forget_old()
        queue, now = self.blocks._queue, datetime.now()
        at_work = {event.session_hash for event in queue.event_ids_to_events.values()}
        waiting = {*queue.pending_messages_per_session, *queue.pending_event_ids_session}
        self.time_last_used |= dict.fromkeys(waiting - self.time_last_used.keys(), now)
        self.time_last_used |= dict.fromkeys(at_work, now)
        for name, last_used in list(self.time_last_used.items()):
            if now - last_used > IDLE:
                queue.pending_messages_per_session.pop(name, None)
                queue.pending_event_ids_session.pop(name, None)
                if not self._holds_something(name) or now - last_used > KEPT:
                    self.session_data.pop(name, None)
                    del self.time_last_used[name]

    def _holds_something(self, name: str) -> bool:
        session = self.session_data.get(name)
        return session is not None and any(
            value is not None for value in session.state_data.values()
        )


def bound_unread(queue: Queue) -> None:
    """Bound what answers take that nobody fetches, of each address and of all.

    Of a camera's frames the newest is kept, as the page shows no other, and none when it ends.
    """
    send, unread = queue.send_message, Unread()

    @wraps(send)
    def send_bounded(event: Event, message: EventMessage) -> None:
        if event.alive:
            length = _length(getattr(message, "output", None))
            if event.streaming:
                _drop_frames(queue.pending_messages_per_session[event.session_hash], event)
                if length > LARGE and isinstance(message, ProcessCompletedMessage):
                    message.output, length = {**message.output, "data": []}, 0
            if length > LARGE:
                unread.add(message, length, visitor_of(event.request.scope).address)
        send(event, message)

    queue.send_message = send_bounded


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
