"""A trial run in a process of its own, before a video is read in this one.

The libraries' readers of the many kinds of video cannot all be bounded from outside. So a file is
first looked through by a child process, which is ended when it takes too much memory or time; what
the child did within bounds, this process then does in the same way, at the same cost.

Memory is watched where /proc tells of it (Linux), processor time is limited where the system can
(not on Windows); the time on the clock is limited everywhere.
"""

from __future__ import annotations

import json
import logging
import math
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from simswap.errors import CostlyVideoError, OptionError
from simswap.files import printable
from simswap.memory import resident_bytes

logger = logging.getLogger(__name__)

TRIAL = "simswap.video.source.trial"  # the module that the child runs for a video
OUT_OF_MEMORY, TOO_MANY_TAGS = 3, 4  # exit codes of the child
MAX_TAGS = 1000  # and chapters; libav's time to read them grows with their number's square
OPENING_SECONDS = 1.0  # of processor time; a file is opened many times
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
_BASE_BYTES = 350_000_000  # of these 100 million are Python's and the libraries' own
_BYTES_PER_PIXEL = 40  # of the largest frame taken: some frames are held until one can be shown
# What a child needs of the environment; keys and tokens stay here.
_ENVIRONMENT = ("PATH", "PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR")


@dataclass(frozen=True)
class VideoLimits:
    """What is refused before anything is swapped. None: no limit.

    max_bytes: of the file; max_pixels: of one frame; max_seconds, max_frames: of the video.
    max_decoded: pixels of all frames together, where a file (GIF, some AVI) has to be decoded to
    find out when they are shown. max_work: seconds of processor time to look through the file.
    """

    max_bytes: int | None = None
    max_pixels: int = 8192 * 4608
    max_seconds: float | None = None
    max_frames: int | None = None
    max_decoded: int | None = None
    max_work: float = 3600.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not value > 0:
                raise OptionError(f"{name} is {value}; give a number above 0.")

    @property
    def memory(self) -> int:
        """Bytes that a process may hold that looks through a file."""
        return _BASE_BYTES + _BYTES_PER_PIXEL * self.max_pixels


# What a video that is verified may cost; it may be long, as only some of its frames are looked at.
VERIFY_LIMITS = VideoLimits(max_decoded=3_000_000_000, max_work=25.0)


def check_cost(path: Path, limits: VideoLimits, trial: str = TRIAL) -> None:
    """Raise CostlyVideoError if looking through a video's file takes too much memory or time.

    trial: the module that looks through it, in one child process per file and limits, of some
    0.2 s. Its outcome is remembered.
    """
    status = path.stat()
    file = (str(path.absolute()), status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
    problem = _trial(file, limits, trial)
    if problem:
        raise CostlyVideoError(
            f"{printable(path.name)} {problem} when it is looked through: it is damaged, or made "
            "in an unusual way. Convert it to an ordinary MP4 first."
        )


@lru_cache(maxsize=256)
def _trial(file: tuple[str | int, ...], limits: VideoLimits, trial: str) -> str:
    """What the file does, in words; empty if the child stayed within bounds."""
    try:
        child = _start(str(file[0]), limits, trial)
    except OSError as error:
        logger.warning("Files are read without a trial run: no process can be started (%s)", error)
        return ""
    deadline = time.monotonic() + WAITING_FACTOR * limits.max_work
    try:
        while True:
            try:
                return _OUTCOMES.get(child.wait(WATCH_SECONDS), "")
            except subprocess.TimeoutExpired:
                if resident_bytes(child.pid) > limits.memory:
                    return _OUTCOMES[OUT_OF_MEMORY]
                if time.monotonic() > deadline:
                    return _TOO_LONG
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _start(path: str, limits: VideoLimits, trial: str = TRIAL) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", trial, path, json.dumps(asdict(limits))],
        cwd=Path(__file__).parents[3],
        env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def limit_work(limits: VideoLimits) -> None:
    """What the child does to itself first: its processor time is bounded, where that can be."""
    try:
        import resource
    except ImportError:  # Windows
        return
    seconds = math.ceil(limits.max_work)
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    # No RLIMIT_AS: a reader that is refused memory may go on without it, as this process's parent
    # would not. The parent watches what is really held.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
