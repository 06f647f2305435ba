"""What a video may cost."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from simswap.errors import MediaError, OptionError
from simswap.files import printable

OPENING_SECONDS = 1.0  # of processor time; a file is opened many times
_OWN_BYTES = 100_000_000  # of a process that decodes: Python's and the libraries'
_USUAL_OWN_BYTES = 135_000_000  # with what it keeps of a small video
_TABLE_BYTES = 250_000_000  # of a video of a day
_BYTES_PER_PIXEL = 40  # of the largest frame taken: some frames are held until one can be shown
_USUAL_BYTES_PER_PIXEL = 25  # as H.264 and HEVC take in 8 bits; AV1 in 10 bits takes 55


@dataclass(frozen=True)
class VideoLimits:
    """What is refused before anything is swapped. None: no limit.

    max_bytes: of the file; max_pixels: of one frame; max_seconds, max_frames: of the video.
    max_decoded: pixels of all frames together, where a file (GIF, some AVI) has to be decoded to
    find out when they are shown; max_reach: of those that are decoded to get at a wanted frame, as
    they follow its key frame. max_tables: bytes that a process may hold of when frames are shown,
    beside the frames. max_work: seconds of processor time to look through the file.
    """

    max_bytes: int | None = None
    max_pixels: int = 8192 * 4608
    max_seconds: float | None = None
    max_frames: int | None = None
    max_decoded: int | None = None
    max_reach: int | None = None
    max_tables: int = _TABLE_BYTES
    max_work: float = 3600.0

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value is not None and not value > 0:
                raise OptionError(f"{name} is {value}; give a number above 0.")

    @property
    def memory(self) -> int:
        """Bytes that a process may hold that looks through a file, or decodes it."""
        return _OWN_BYTES + self.max_tables + _BYTES_PER_PIXEL * self.max_pixels


def usual_memory(num_pixels: int) -> int:
    """Bytes that a process mostly holds that decodes frames of so many pixels."""
    return _USUAL_OWN_BYTES + _USUAL_BYTES_PER_PIXEL * num_pixels


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
