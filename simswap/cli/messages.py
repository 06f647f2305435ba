"""What a command says: results on stdout, all else on stderr, whatever the terminal can show."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from simswap.files import printable

NOT_TOLD = 3  # exit code of `verify` that could not look, or not at all of a file


def say(text: str) -> None:
    """Progress or a mistake, on stderr; names of files and servers' answers may be in it."""
    sys.stderr.write(f"{printable(text, limit=5000)}\n")
    sys.stderr.flush()


def say_notes(notices: Iterable[str]) -> None:
    """What the user should know besides the result, a line each."""
    for notice in notices:
        say(f"Note: {notice}")


def give(result: str) -> None:
    """A command's result, on stdout."""
    sys.stdout.write(f"{result}\n")


def give_path(path: str | Path) -> None:
    """The path of what was written; bytes that are no text of the file system are escaped."""
    give(os.fsencode(path).decode(errors="backslashreplace"))


def count_faces(number: int) -> str:
    """As "1 face"."""
    return "1 face" if number == 1 else f"{number} faces"


def prepare_streams() -> None:
    """Let a closed stream swallow its text, and each encoding escape the names it cannot show."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def drop_output() -> None:
    """Forget what could not be written, which Python would try to write again at its end."""
    with suppress(OSError):  # a stream that is no file needs none of this
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
