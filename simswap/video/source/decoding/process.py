"""The processes that decode: started, asked, watched, and kept for their file's next request."""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from simswap.errors import CostlyVideoError, CrowdedError, MediaError
from simswap.media import allowance
from simswap.memory import resident_bytes
from simswap.trial_run import (
    OUT_OF_MEMORY,
    OUT_OF_TIME,
    WAITING_FACTOR,
    Fits,
    no_process,
    outcome_of,
    start_talking,
)
from simswap.video.source.decoding.child import (
    END,
    ERROR,
    HEAD,
    IDLE_SECONDS,
    LENGTH,
    PIECE,
    Request,
    Room,
)

CHILD = "simswap.video.source.decoding.child"
WATCH_SECONDS = 0.05  # between two looks at a process
MAX_IDLE = 1
MAX_TRIES = 5  # of one request, whose process gave way to others
KEPT_SECONDS = IDLE_SECONDS / 2  # by far less than it waits itself
KEPT_BYTES = 130_000_000  # of memory; one that holds more has had a large video
MAX_SENTENCE = 2000  # bytes
_OVER, _CROWDED = "over", "crowded"

AnyRoom = TypeVar("AnyRoom", bytearray, memoryview)


class _GaveWayError(Exception):
    """A process held more than is usual, where others' files left no room for it.

    held: bytes.
    """

    def __init__(self, held: int) -> None:
        super().__init__(held)
        self.held = held


class _Decoder:
    """A process that decodes one file: what a hostile one did to it must not meet another.

    path: of that file, absolute.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.child = start_talking(CHILD)
        self.idle_since = 0.0

    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self.child.poll() is None

    def end(self) -> None:
        """Whatever it is doing."""
        self.child.kill()
        self.child.wait()
        for pipe in (self.child.stdin, self.child.stdout):
            with suppress(OSError):  # what was not sent yet
                pipe.close()


_idle: list[_Decoder] = []
_lock = threading.Lock()


def _forget() -> None:
    """A process that is forked off has no part in the talks of this one."""
    global _lock
    _lock = threading.Lock()
    _idle.clear()


def end_idle() -> None:
    """End those that are kept for the next request."""
    while _idle:
        _idle.pop().end()


atexit.register(end_idle)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def answers_of(
    request: Request, is_over: Callable[[], bool] | None = None
) -> Iterator[tuple[int, Room]]:
    """The pieces of a request, each in the room that it has for it.

    is_over: asked now and then; the pieces end as soon as it says so.
    Raises MediaError as the request does, or if no process can be started; CostlyVideoError where a
    piece takes too much time or memory, CrowdedError where others' files leave too little memory.
    """
    rest, memory = request, request.usual_memory
    for number in range(MAX_TRIES):
        count = 0
        try:
            with (
                allowance.place(memory) as fits,
                closing(_answers_of(rest, is_over, fits)) as pieces,
            ):
                for piece in pieces:
                    yield piece
                    count += 1
            return
        except _GaveWayError as error:  # which it does for others, once; then it waits for all
            rest = rest.rest(count)
            if rest is None or number == MAX_TRIES - 1:
                raise CrowdedError from None
            memory = max(memory, error.held)


def _answers_of(
    request: Request, is_over: Callable[[], bool] | None, fits: Fits
) -> Iterator[tuple[int, Room]]:
    try:
        decoder = _taken(request.path.absolute())
    except OSError as error:
        raise no_process(request.name, error) from error
    is_at_rest = False
    try:
        with _watched(decoder.child, request, is_over, fits) as watch:
            _ask(decoder.child, request)
            for piece, is_last in _answer(decoder.child, request, watch):
                is_at_rest = is_last
                yield piece
            is_at_rest = True
    except EOFError:
        decoder.end()
        reason = watch.reason or outcome_of(decoder.child.returncode)
        if reason == _CROWDED:
            raise _GaveWayError(watch.held) from None
        if reason != _OVER:
            raise CostlyVideoError(
                f"{request.name} {reason or 'makes its reader fail'} when it is read: it is "
                "damaged, or made in an unusual way. Convert it to an ordinary MP4 first."
            ) from None
    except MediaError:
        is_at_rest = True
        raise
    finally:
        if is_at_rest:
            _keep(decoder)
        else:
            decoder.end()


def _taken(path: Path) -> _Decoder:
    with _lock:
        while _idle:
            decoder = _idle.pop()
            is_young = time.monotonic() - decoder.idle_since < KEPT_SECONDS
            if decoder.path == path and is_young and decoder.is_running():
                return decoder
            decoder.end()
    return _Decoder(path)


def _keep(decoder: _Decoder) -> None:
    decoder.idle_since = time.monotonic()
    with _lock:
        if len(_idle) < MAX_IDLE and resident_bytes(decoder.child.pid) <= KEPT_BYTES:
            _idle.append(decoder)
            return
    decoder.end()


def _ask(child: subprocess.Popen[bytes], request: Request) -> None:
    """Raises EOFError if it is not there."""
    asked = pickle.dumps(request)
    try:
        child.stdin.write(LENGTH.pack(len(asked)) + asked)
        child.stdin.flush()
    except OSError as error:
        raise EOFError from error


def _answer(
    child: subprocess.Popen[bytes], request: Request, watch: _Watch
) -> Iterator[tuple[tuple[int, Room], bool]]:
    """The pieces, and whether each is known to be the last, which the child has then said.

    Raises MediaError as the child does, EOFError if it ends, or says anything else.
    """

    def next_piece() -> tuple[int, Room] | None:
        watch.waited = 0.0
        piece = _piece(child, request)
        watch.waited = None
        return piece

    left = request.num_pieces
    while (piece := next_piece()) is not None:
        left -= 1
        if left == 0 and next_piece() is not None:
            raise EOFError
        yield piece, left == 0
        if left == 0:
            return


def _piece(child: subprocess.Popen[bytes], request: Request) -> tuple[int, Room] | None:
    """The next; None at the end."""
    kind, number, size = HEAD.unpack(_exactly(child, bytearray(HEAD.size)))
    if kind == END:
        return None
    if kind == ERROR and size <= MAX_SENTENCE:
        raise MediaError(_exactly(child, bytearray(size)).decode())
    room = request.room(size) if kind == PIECE else None
    if room is None:
        raise EOFError
    return number, _exactly(child, room)


def _exactly(child: subprocess.Popen[bytes], room: AnyRoom) -> AnyRoom:
    """Fills the room from what the child writes."""
    if child.stdout.readinto(room) < len(room):  # which waits for all of it
        raise EOFError
    return room


@dataclass
class _Watch:
    """What the thread that watches a child is told, and tells.

    waited: s for a piece so far, as it counts them; None while none is waited for. reason: why it
    has ended the child, in words or _OVER or _CROWDED. held: bytes that the child had of late.
    """

    waited: float | None = None
    reason: str = ""
    held: int = 0


@contextmanager
def _watched(
    child: subprocess.Popen[bytes],
    request: Request,
    is_over: Callable[[], bool] | None,
    fits: Fits,
) -> Iterator[_Watch]:
    """End a child in the block that holds too much memory, is waited for, or whose work is over."""
    is_left, told = threading.Event(), _Watch()
    patience = WAITING_FACTOR * request.piece_seconds  # on the clock

    def watch() -> None:
        while not is_left.wait(WATCH_SECONDS):
            if told.waited is not None:  # by looks: time in which all stands still is none
                told.waited += WATCH_SECONDS
            told.held = held = resident_bytes(child.pid)
            if held > request.memory:
                told.reason = outcome_of(OUT_OF_MEMORY)
            elif not fits(held):
                told.reason = _CROWDED
            elif is_over is not None and is_over():
                told.reason = _OVER
            elif told.waited is not None and told.waited > patience:
                told.reason = outcome_of(OUT_OF_TIME)
            if told.reason:
                child.kill()
                return

    thread = threading.Thread(target=watch, name="decoding", daemon=True)
    thread.start()
    try:
        yield told
    finally:
        is_left.set()
        if threading.current_thread() is not thread:  # which may collect a reader that was left
            thread.join()
