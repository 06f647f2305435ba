"""The sentence a visitor gets when something fails, and what the log keeps: never their data.

A mistake comes back as its own sentence. Anything else is ours to mend: the visitor gets a sentence
of this file, and the log the kind of error and the lines of our own code it came through. Neither
repeats the error's text, which may hold a path, a file's name or what a request contained.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr

from simswap import SimSwapError
from simswap.demo.server.refusals import DISK_FULL, is_disk_full
from simswap.demo.services.uploads import upload_folder
from simswap.memory import hand_back, is_out_of_memory, resident_bytes

logger = logging.getLogger(__name__)

LARGE = 100_000_000  # bytes that a call may leave behind; handing back takes some 0.1 s

OUT_OF_MEMORY = "The server ran out of memory. Try a smaller file, or try again in a minute."
UNEXPECTED = "Something went wrong on the server, and its log has been told. Try again in a minute."
UNREADABLE = "The server cannot read what was sent to it. Reload the page and try again."

THIS_FILE = Path(__file__)
ROOT = THIS_FILE.parents[3]
OUR_FOLDERS = (ROOT / "simswap",)
GRADIOS_TITLE = "Error"  # of an error that Gradio raises itself
# What Gradio raises for a value that does not fit its component; pydantic's is a ValueError.
MISFITS = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn every error into Gradio's, which reaches the visitor as a sentence, not a traceback."""
    try:
        yield
    except SimSwapError as error:
        sentence = without_paths(str(error))
        if sentence != str(error):
            logger.error("%s %s", _kind(error), _our_lines(error))
        raise _error(sentence) from error
    except gr.Error as error:
        if error.print_exception and error.title == GRADIOS_TITLE:  # its text repeats a value
            raise _error(UNREADABLE) from None
        error.print_exception = False  # one with a title of its own is a lent GPU's, for people
        if error.message == OUT_OF_MEMORY:
            give_memory_back(error)
        raise
    except Exception as error:
        sentence = _sentence(error)
        logger.error("%s %s", _kind(error), _our_lines(error))
        if sentence == OUT_OF_MEMORY:
            give_memory_back(error)
        raise _error(sentence) from None


@contextmanager
def readable_misfits() -> Iterator[None]:
    """While Gradio reads a request: what does not fit is the sender's mistake, not worth a log."""
    try:
        yield
    except gr.Error:  # a ValueError too
        raise
    except MISFITS as error:
        if is_out_of_memory(error):
            raise
        raise _error(UNREADABLE) from None


def without_paths(sentence: str) -> str:
    """A sentence of the package, which names paths to its other users, as fit for a visitor."""
    for folder in {str(upload_folder()), tempfile.gettempdir(), str(ROOT), os.path.expanduser("~")}:
        if os.path.isabs(folder) and folder != os.sep:
            sentence = re.sub(re.escape(folder) + r"(/[^\s'\",;:()]*)?", "on the server", sentence)
    return sentence


def give_memory_back(error: BaseException | None) -> None:
    """Let go of what a failed call held, and hand free memory back to the system."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__
    gc.collect()
    hand_back()


@contextmanager
def thrifty() -> Iterator[None]:
    """After the block, free memory goes back to the system, if the block left much of it.

    Large photos and videos do: what the allocator keeps of one would be missing to others.
    """
    before = resident_bytes()
    try:
        yield
    finally:
        if resident_bytes() - before > LARGE:
            give_memory_back(None)


def _error(sentence: str) -> gr.Error:
    return gr.Error(sentence, print_exception=False)


def _sentence(error: Exception) -> str:
    if is_out_of_memory(error):
        return OUT_OF_MEMORY
    if is_disk_full(error):
        return DISK_FULL
    return UNEXPECTED


def _kind(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")


def _our_lines(error: BaseException) -> str:
    """Where in our code it happened, the outermost first; with the kinds of what led to it."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [Path(frame.filename) for frame in frames]
    lines = [
        f"{place.relative_to(ROOT)}:{frame.lineno}"
        for place, frame in zip(places, frames, strict=True)
        if any(place.is_relative_to(folder) for folder in OUR_FOLDERS) and place != THIS_FILE
    ]
    before = error.__cause__ or error.__context__
    led = f" (after {_kind(before)})" if before is not None else ""
    return f"at {' > '.join(lines) or 'no line of ours'}{led}"
