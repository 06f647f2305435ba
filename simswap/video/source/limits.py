"""What a video may cost, and the trial run that finds out whether it stays within that."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from simswap.errors import CostlyVideoError, MediaError, OptionError
from simswap.files import printable
from simswap.trial_run import problem_of

TRIAL = "simswap.video.source.trial"  # the module that the child runs for a video
OPENING_SECONDS = 1.0  # of processor time; a file is opened many times
_BASE_BYTES = 350_000_000  # of these 100 million are Python's and the libraries' own
_BYTES_PER_PIXEL = 40  # of the largest frame taken: some frames are held until one can be shown


@dataclass(frozen=True)
class VideoLimits:
    """What is refused before anything is swapped. None: no limit.

    max_bytes: of the file; max_pixels: of one frame; max_seconds, max_frames: of the video.
    max_decoded: pixels of all frames together, where a file (GIF, some AVI) has to be decoded to
    find out when they are shown; max_reach: of those that are decoded to get at a wanted frame, as
    they follow its key frame. max_work: seconds of processor time to look through the file.
    """

    max_bytes: int | None = None
    max_pixels: int = 8192 * 4608
    max_seconds: float | None = None
    max_frames: int | None = None
    max_decoded: int | None = None
    max_reach: int | None = None
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


def check_size(path: Path, limits: VideoLimits) -> None:
    """Raise MediaError for a file of more bytes than are taken."""
    name, size = printable(path.name), path.stat().st_size
    if limits.max_bytes is not None and size > limits.max_bytes:
        raise MediaError(
            f"{name} has {size / 1e6:.0f} MB; at most {limits.max_bytes / 1e6:.0f} are taken. "
            "Cut it or compress it first."
        )


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
    arguments = [str(file[0]), json.dumps(asdict(limits))]
    return problem_of(trial, arguments, limits.memory, limits.max_work)
