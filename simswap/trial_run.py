"""A trial run in a process of its own, before a stranger's file is read in this one.

The libraries' readers of many kinds of file cannot all be bounded from outside. So a file is first
looked through by a child process, which is ended when it takes too much memory or time; what the
child did within bounds, this process then does in the same way, at the same cost.

Memory is watched where /proc tells of it (Linux), processor time is limited where the system can
(not on Windows); the time on the clock is limited everywhere.
"""

from __future__ import annotations

import logging
import math
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from simswap.memory import resident_bytes

logger = logging.getLogger(__name__)

OUT_OF_MEMORY, TOO_MANY_TAGS = 3, 4  # exit codes of the child
MAX_TAGS = 1000  # and chapters; libav's time to read them grows with their number's square
_TOO_LONG = "takes too much time"
# Of what ended the child. Where its own code failed (1), this process finds out for itself.
_OUTCOMES = {
    OUT_OF_MEMORY: "takes too much memory",
    TOO_MANY_TAGS: f"has more than {MAX_TAGS} tags and chapters, which takes too much time",
    -24: _TOO_LONG,  # SIGXCPU
    -27: _TOO_LONG,  # SIGPROF
    -9: "takes too much time or memory",
    **dict.fromkeys((-4, -6, -7, -8, -11), "makes its reader fail"),
}
WATCH_SECONDS = 0.02  # between two looks at its memory
WAITING_FACTOR = 4  # of its processor time: what it may take on the clock, where others work too
# What a child needs of the environment; keys and tokens stay here.
_ENVIRONMENT = (
    *("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"),
)


def problem_of(module: str, arguments: list[str], memory: int, seconds: float) -> str:
    """What a file does to the module that looks through it, in words; empty if nothing is wrong.

    module: run with these arguments. memory, seconds: as `watched` has them.
    """
    try:
        child = start(module, arguments)
    except OSError as error:
        logger.warning("Files are read without a trial run: no process can be started (%s)", error)
        return ""
    return watched(child, memory, seconds)


def watched(child: subprocess.Popen[bytes], memory: int, seconds: float) -> str:
    """What ended a child, in words; empty if nothing is wrong.

    memory: bytes it may hold. seconds: of processor time that it limits itself to; see
    `limit_work`.
    """
    deadline = time.monotonic() + WAITING_FACTOR * seconds
    try:
        while True:
            try:
                return _OUTCOMES.get(child.wait(WATCH_SECONDS), "")
            except subprocess.TimeoutExpired:
                if resident_bytes(child.pid) > memory:
                    return _OUTCOMES[OUT_OF_MEMORY]
                if time.monotonic() > deadline:
                    return _TOO_LONG
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def start(
    module: str, arguments: list[str], content: bytes = b"", output: BinaryIO | None = None
) -> subprocess.Popen[bytes]:
    """The child, at work: `content` is its input, and what it writes goes into `output`, a file.

    Raises OSError if it cannot be started.
    """
    with ExitStack() as stack:
        given = subprocess.DEVNULL
        if content:
            given = stack.enter_context(tempfile.TemporaryFile())
            given.write(content)
            given.seek(0)
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=Path(__file__).parents[1],
            env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
            stdin=given,
            stdout=output or subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


def limit_work(seconds: float) -> None:
    """What the child does to itself first: its processor time is bounded, where that can be."""
    try:
        import resource
    except ImportError:  # Windows
        return
    whole = math.ceil(seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (whole, whole))
    # No RLIMIT_AS: a reader that is refused memory may go on without it, as this process's parent
    # would not. The parent watches what is really held.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
