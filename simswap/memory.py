"""Tells when memory ran out: each library has its own way of saying so."""

from __future__ import annotations

import errno

OUT_OF_MEMORY = (
    "There is not enough memory for this. Close other programs, or give a smaller photo or video."
)
_SAYINGS = (
    "could not create a primitive",  # oneDNN, inside of torch
    "can't allocate memory",
    "cannot allocate memory",
    "not enough memory",
    "out of memory",
    "unable to allocate",
    "failed to allocate",
    "bad_alloc",
    "insufficient memory",  # OpenCV
    "can't start new thread",
    "failed to map segment",  # a library that is loaded
)
_OPENCV_NO_MEMORY = -4
_MAX_CAUSES = 10


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
