"""What a decoding process does: `python -m simswap.video.source.decoding.child`.

It answers one request after the other, as long as its input is open: a request is its length and a
pickle, by the process that started it. The answer is a row of heads, each with its bytes: pieces,
then END or the sentence of a MediaError. Nothing that comes of a video's file is unpickled.
"""

from __future__ import annotations

import os
import pickle
import struct
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from simswap.errors import MediaError
from simswap.files import printable
from simswap.trial_run import allow_work

LENGTH = struct.Struct("<Q")  # of a request, in bytes
HEAD = struct.Struct("<BQQ")  # what follows, frames repeated so far, its bytes
PIECE, END, ERROR = range(3)
IDLE_SECONDS = 60.0  # without a request, after which it ends
PARENT_SECONDS = 0.5  # between two looks whether there is still somebody to answer
PIECE_SECONDS = 10.0  # of processor time for any one piece, with what lies before it in the file

Piece = tuple[int, memoryview | bytes]
Room = bytearray | memoryview


class Request(ABC):
    """Pieces of a file that are to be decoded."""

    path: Path  # of the file
    memory: int  # bytes that the process may hold
    usual_memory: int  # as many as it mostly does
    seconds_each: float  # of processor time that a piece may take on average
    piece_seconds: float = PIECE_SECONDS
    num_pieces: int = -1  # that there will be, if that is known

    @property
    def name(self) -> str:
        """The file's, fit to be shown."""
        return printable(self.path.name)

    @abstractmethod
    def pieces(self) -> Iterator[Piece]:
        """Each with the number of frames that had to be repeated up to it; decoded here.

        Raises MediaError.
        """

    def rest(self, count: int) -> Request | None:
        """What is to be asked of another process once so many pieces are there; None: it cannot."""
        return None if count else self

    @abstractmethod
    def room(self, size: int) -> Room | None:
        """Room for a piece of so many bytes; None if no piece has as many."""


def main() -> None:
    """Answer requests until the input ends, or none has come for a while."""
    threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
    given, answer = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    while True:
        alarm = threading.Timer(IDLE_SECONDS, os._exit, [0])
        alarm.daemon = True
        alarm.start()
        length = given.read(LENGTH.size)
        alarm.cancel()
        if len(length) < LENGTH.size:
            return
        _answer(pickle.loads(given.read(*LENGTH.unpack(length))), answer)


def _end_with(parent: int) -> None:
    """End this process soon after the one that watches it, whatever it is decoding."""
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(0)


def _answer(request: Request, answer: BinaryIO) -> None:
    kind, text = END, b""
    try:
        for number, piece in _in_time(request):
            answer.write(HEAD.pack(PIECE, number, len(piece)))
            answer.write(piece)
            answer.flush()
    except MediaError as error:
        kind, text = ERROR, str(error).encode()
    answer.write(HEAD.pack(kind, 0, len(text)) + text)
    answer.flush()


def _in_time(request: Request) -> Iterator[Piece]:
    """Its pieces; one that takes too much processor time ends this process."""
    left, pieces = request.piece_seconds, request.pieces()
    while True:
        begun = time.process_time()
        allow_work(min(left, request.piece_seconds))
        piece = next(pieces, None)
        left += request.seconds_each - (time.process_time() - begun)
        if piece is None:
            return
        yield piece


if __name__ == "__main__":
    # As a module of that name: what is pickled asks for its classes there.
    from simswap.video.source.decoding import child

    child.main()
