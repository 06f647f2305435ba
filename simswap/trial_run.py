"""A trial run in a process of its own, before a stranger's file is read in this one.

The libraries' readers of many kinds of file cannot all be bounded from outside. So a file is first
looked through by a child process, which is ended when it takes too much memory or time; what the
child did within bounds, this process then does in the same way, at the same cost.

Memory is watched where /proc tells of it (Linux), processor time is limited where the system can
(not on Windows); the time on the clock is limited everywhere.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from simswap.errors import CrowdedError
from simswap.memory import resident_bytes

OUT_OF_MEMORY = 3  # exit code of the child
OUT_OF_TIME = -24  # SIGXCPU
_TOO_LONG = "takes too much time"
# Of what ended the child. Where its own code failed (1), this process finds out for itself.
_OUTCOMES = {
    OUT_OF_MEMORY: "takes too much memory",
    OUT_OF_TIME: _TOO_LONG,
    -27: _TOO_LONG,  # SIGPROF
    -9: "takes too much time or memory",
    **dict.fromkeys((-4, -6, -7, -8, -11), "makes its reader fail"),
}
Fits = Callable[[int], bool]
WATCH_SECONDS = 0.02  # between two looks at its memory
WAITING_FACTOR = 4  # of its processor time: what it may take on the clock, where others work too
# What a child needs of the environment; keys and tokens stay here.
_ENVIRONMENT = (
    *("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR"),
    *("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE"),
)


def always(num_bytes: int) -> bool:
    """Whether there is room for what a process holds, where none else counts."""
    return True


def problem_of(
    module: str, arguments: list[str], memory: int, seconds: float, fits: Fits = always
) -> str:
    """What a file does to the module that looks through it, in words; empty if nothing is wrong.

    module: run with these arguments. memory, seconds, fits: as `watched` has them.
    Raises MediaError if no process can be started: then nothing is read.
    """
    try:
        child = start(module, arguments)
    except OSError as error:
        raise no_process("The file", error) from error
    return watched(child, memory, seconds, fits)


def no_process(name: str, error: OSError) -> CrowdedError:
    """What is told of a file that would be read in a process, where none can be started."""
    return CrowdedError(
        f"{name} cannot be read just now, as no process can be started for it ({error.strerror}). "
        "Try again later, or end other programs first."
    )


def watched(
    child: subprocess.Popen[bytes], memory: int, seconds: float, fits: Fits = always
) -> str:
    """What ended a child, in words; empty if nothing is wrong.

    memory: bytes it may hold. seconds: of processor time that it limits itself to; see
    `limit_work`. fits: whether there is room for so many bytes beside what others hold.
    Raises CrowdedError where there is none.
    """
    deadline = time.monotonic() + WAITING_FACTOR * seconds
    try:
        while True:
            try:
                return outcome_of(child.wait(WATCH_SECONDS))
            except subprocess.TimeoutExpired:
                held = resident_bytes(child.pid)
                if held > memory:
                    return _OUTCOMES[OUT_OF_MEMORY]
                if not fits(held):
                    raise CrowdedError from None
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
        return _started(module, arguments, given, output or subprocess.DEVNULL)


def start_talking(module: str) -> subprocess.Popen[bytes]:
    """A child that is asked and answers through pipes. Raises OSError if it cannot be started."""
    return _started(module, [], subprocess.PIPE, subprocess.PIPE)


def _started(
    module: str, arguments: list[str], given: BinaryIO | int, output: BinaryIO | int
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=Path(__file__).parents[1],
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        stdin=given,
        stdout=output,
        stderr=subprocess.DEVNULL,
    )


def outcome_of(exit_code: int) -> str:
    """What ended a child, in words; empty if nothing is wrong, or its own code failed."""
    return _OUTCOMES.get(exit_code, "")


def limit_work(seconds: float) -> None:
    """What the child does to itself first: its processor time is bounded, where that can be."""
    _bound_work(seconds, is_final=True)


def allow_work(seconds: float) -> None:
    """As limit_work, from now on, until it is allowed more."""
    _bound_work(time.process_time() + seconds, is_final=False)


def _bound_work(seconds: float, is_final: bool) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    whole = max(math.ceil(seconds), 1)
    last = resource.getrlimit(resource.RLIMIT_CPU)[1]
    within = whole if last == resource.RLIM_INFINITY else min(whole, last)
    resource.setrlimit(resource.RLIMIT_CPU, (within, within if is_final else last))
    # No RLIMIT_AS: a reader that is refused memory may go on without it, as this process's parent
    # would not. The parent watches what is really held.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
