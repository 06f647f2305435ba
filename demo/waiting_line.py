"""How many jobs may wait for their turn, and what one is told that comes when the line is full."""

from __future__ import annotations

import os
from functools import wraps

from gradio.queueing import Queue

from simswap.errors import OptionError

SETTING = "SIMSWAP_QUEUE_SIZE"
DEFAULT_SIZE = 32  # jobs, not counting those at work
BUSY = "The server has no place for another job just now. Try again in a minute."


def size() -> int:
    """How many jobs may wait. Raises OptionError if SIMSWAP_QUEUE_SIZE is no number from 1."""
    text = os.environ.get(SETTING) or str(DEFAULT_SIZE)
    if not text.isdecimal() or int(text) < 1:
        raise OptionError(f"{SETTING} is {text!r}; give a whole number from 1.")
    return int(text)


def say_what_to_do_when_full(queue: Queue) -> None:
    """Put a sentence for the caller in place of Gradio's, which counts only.

    It goes with status 503, for which Gradio's own clients (and its page) have words of theirs.
    """
    push = queue.push

    @wraps(push)
    async def push_or_tell(*arguments: object, **named: object) -> tuple[bool, object, str]:
        is_taken, answer, state = await push(*arguments, **named)
        if state == "queue_full":
            answer = f"The queue is full: {len(queue)} jobs are waiting. Try again in a minute."
        return is_taken, answer, state

    queue.push = push_or_tell
