"""What is kept of a page between its calls: what functions keep on purpose, in a gr.State.

Gradio's own sessions also keep the last value of each component, for deep links, which this demo
does not have: pictures of visitors' faces and all else that calls hold, until the process ends.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any

import gradio as gr
from gradio.blocks import Blocks
from gradio.state_holder import SessionState, StateHolder

from simswap.demo.calls.remembered import jobs
from simswap.demo.process.retention import MAX_AGE

NAME = re.compile(r"[\w-]{1,64}", re.ASCII)  # as Gradio's page and clients name theirs
NO_NAME = "A session is named by up to 64 letters, digits, - and _."
CAPACITY = 2000  # sessions; one takes some 10 kB
KEPT = timedelta(seconds=MAX_AGE)
# Without a call; then answers that nobody has fetched go, and sessions that hold nothing.
IDLE = timedelta(minutes=5)


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

    def update(self, name: str) -> None:
        """As Gradio's, which lets the oldest go of too many; here, first who keeps nothing."""
        with self.lock:
            others = (one for one in self.session_data if one != name)
            empty = (one for one in others if not self._holds_something(one))
            if len(self.session_data) > self.capacity and (oldest := next(empty, None)):
                del self.session_data[oldest]
                self.time_last_used.pop(oldest, None)
        super().update(name)

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
