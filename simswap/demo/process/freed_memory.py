"""Freed memory goes back to the system, so that one visitor's work leaves room for others'.

Only glibc is told; the C libraries of other systems do it in their own ways.
"""

from __future__ import annotations

import ctypes

LARGE_BLOCK = 4 << 20  # bytes; a frame of 720p has less, one of 4K much more
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's mallopt


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
