"""Memory: what a process holds, whether it ran out, and how what is free goes back to the system.

Only glibc is told to hand it back; the C libraries of other systems do it in their own ways.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simswap.errors import MediaError, SimSwapError

OUT_OF_MEMORY = (
    "There is not enough memory for this. Close other programs, or give a smaller photo or video."
)
_SAYINGS = (
    "could not create a primitive",  # oneDNN, inside of torch
    "could not create a memory",
    "allocate memory",  # torch, after "can't"; the system, after "cannot"
    "not enough memory",
    "out of memory",
    "unable to allocate",
    "failed to allocate",
    "bad_alloc",  # C++
    "bad allocation",
    "insufficient memory",  # OpenCV
    "can't start new thread",
    "failed to map segment",  # a library that is loaded
)
_OPENCV_NO_MEMORY = -4
_MAX_CAUSES = 10
LARGE_BLOCK = 4 << 20  # bytes; a frame of 720p has less, one of 4K much more
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


def resident_bytes(process: int | str = "self") -> int:
    """Memory that a process holds; 0 if it has ended, or the system does not tell (no Linux)."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what led to it, is a lack of memory."""
    for _ in range(_MAX_CAUSES):
        if error is None:
            return False
        text = str(error).lower()
        if (
            isinstance(error, MemoryError)
            or getattr(error, "errno", None) == errno.ENOMEM
            or getattr(error, "code", None) == _OPENCV_NO_MEMORY
            or any(saying in text for saying in _SAYINGS)
        ):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def naming_memory() -> Iterator[None]:
    """Turns what libraries say when memory runs out, in the block, into a MediaError."""
    try:
        yield
    except Exception as error:
        if isinstance(error, SimSwapError) or not is_out_of_memory(error):
            raise
        raise MediaError(
            "There is not enough memory for this picture. Use a smaller one, or try again later."
        ) from error


def keep_large_blocks_apart() -> None:
    """From now on, each large block goes back when it is freed; to be called at the start.

    By itself glibc raises its bound to 32 MB as such blocks are freed. Frames of 4K then lie among
    small blocks in the heaps of many threads, and what is freed there stays with the process.
    """
    if (set_option := _function("mallopt")) is not None:
        set_option(_MMAP_THRESHOLD, LARGE_BLOCK)
        set_option(_TRIM_THRESHOLD, 2 * LARGE_BLOCK)  # twice, as glibc itself would have it


def hand_back() -> None:
    """Give back what is free now."""
    if (trim := _function("malloc_trim")) is not None:
        trim(0)


def _function(name: str) -> ctypes._CFuncPtr | None:
    try:
        return getattr(ctypes.CDLL(None), name)
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return None
