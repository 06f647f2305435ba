"""What the files of one call of a server may take together; a user's own files may take all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from simswap.errors import MediaError
from simswap.trial_run import Fits, always

BYTES_PER_PIXEL = 7  # of a large photo, while a call works on it
LARGE_FILE = 20_000_000  # bytes; they are in memory twice
LARGE = 16_000_000  # pixels; of more, one photo takes hundreds of megabytes while it is decoded


@dataclass
class Allowance:
    """What is left for the call at work.

    most_pixels: of all its photos. seconds: of processor time, in child processes that decode.
    seconds_each: of them, what one photo may take.
    to_sign: bytes that signing a result may take.
    take_turn: called with the bytes that a large photo will take in this process; returns when it
    may be read. end_turn: called when large photos have been dealt with, though the call goes on.
    place: of so many bytes of memory, to be held while a child process reads a
    file, entered when there are as many. It may hold more while nobody else wants them.
    """

    most_pixels: int
    seconds: float
    seconds_each: float
    to_sign: int
    take_turn: Callable[[int], None]
    end_turn: Callable[[], None]
    place: Callable[[int], AbstractContextManager[Fits]]
    num_pixels: int = field(default=0, init=False)


OF_CALL: ContextVar[Allowance | None] = ContextVar("allowance", default=None)


def begin(num_pixels: int, name: str) -> None:
    """Count a photo that is decoded next, and wait for its turn if it is large.

    name: of the file, for messages. Raises MediaError if the call's photos have too many pixels.
    """
    allowance = OF_CALL.get()
    if allowance is None:
        return
    allowance.num_pixels += num_pixels
    if allowance.num_pixels > allowance.most_pixels:
        raise MediaError(
            f"With {name} the photos have {allowance.num_pixels / 1e6:.0f} million pixels together;"
            f" {allowance.most_pixels // 1_000_000} million are taken at a time. Save them smaller,"
            " or use fewer."
        )
    if num_pixels > LARGE:
        allowance.take_turn(BYTES_PER_PIXEL * num_pixels)


def begin_file(num_bytes: int) -> None:
    """Wait for the turn of a file that is read next, if it is large."""
    allowance = OF_CALL.get()
    if allowance is not None and num_bytes > LARGE_FILE:
        allowance.take_turn(2 * num_bytes)


def check_signable(num_bytes: int, copies: int, advice: str) -> None:
    """Raise MediaError for a result too large to be signed: then there are copies of it in memory.

    advice: a sentence of how it gets smaller.
    """
    allowance = OF_CALL.get()
    if allowance is not None and copies * num_bytes > allowance.to_sign:
        raise MediaError(
            f"The result has {num_bytes / 1e6:.0f} MB, more than the "
            f"{allowance.to_sign / copies / 1e6:.0f} MB that this server can sign. {advice}"
        )


def end_turn() -> None:
    """The call has made small ones of its large photos; others may have their turn."""
    allowance = OF_CALL.get()
    if allowance is not None:
        allowance.end_turn()


def seconds_left(most: float, name: str) -> float:
    """Of processor time that a child process may take for a photo: up to `most`.

    Raises MediaError if none is left.
    """
    allowance = OF_CALL.get()
    if allowance is None:
        return most
    if allowance.seconds <= 0:
        raise MediaError(
            f"The AVIF and HEIC photos before {name} took all the time that there is for those "
            "kinds. Save them as JPEG or PNG, or use fewer."
        )
    return min(most, allowance.seconds, allowance.seconds_each)


@contextmanager
def place(num_bytes: int) -> Iterator[Fits]:
    """To be held while a child process reads a file, for which it mostly takes so many bytes."""
    allowance = OF_CALL.get()
    if allowance is None:
        yield always
        return
    with allowance.place(num_bytes) as fits:
        yield fits


def spend(seconds: float) -> None:
    """Count processor time that a child process has taken."""
    allowance = OF_CALL.get()
    if allowance is not None:
        allowance.seconds -= seconds
