"""Checks of what a caller hands to a FaceSwapper."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch

from simswap.errors import MediaError, NoFaceFoundError, OptionError
from simswap.types import SwapOptions

# As torch (CUDA and CPU), oneDNN, OpenVINO, C++ and OpenCV put it.
_OUT_OF_MEMORY = re.compile(
    "out of memory|allocate memory|insufficient memory|bad_alloc|bad allocation|could not create a "
    "(primitive|memory)|not enough memory",
    re.IGNORECASE,
)


def checked_frame(frame: np.ndarray) -> np.ndarray:
    """The frame, contiguous. Raises ValueError if it is not [H, W, 3] uint8."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        kind = getattr(frame, "dtype", type(frame).__name__)
        raise ValueError(f"A frame must be a uint8 array, [H, W, 3] RGB; this is {kind}.")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise ValueError(f"A frame must be [H, W, 3] RGB; this is {list(frame.shape)}.")
    return np.ascontiguousarray(frame)  # torch refuses the negative strides of a mirrored view


def resolve_device(device: str | torch.device | None) -> torch.device:
    """The device meant; None is CUDA where there is one. Raises OptionError if it is not there."""
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(0, device=resolved)
    except (RuntimeError, AssertionError) as error:
        raise OptionError(
            f"device={device!r} is not available here: {str(error).splitlines()[0]} Try 'cpu'."
        ) from error
    return resolved


@contextmanager
def naming_memory() -> Iterator[None]:
    """Turns what libraries say when memory runs out, in the block, into a MediaError."""
    try:
        yield
    except (MemoryError, RuntimeError, cv2.error) as error:
        if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
            raise
        raise MediaError(
            "There is not enough memory for this picture. Use a smaller one, or try again later."
        ) from error


def no_face(called: str, photo: np.ndarray, options: SwapOptions) -> NoFaceFoundError:
    """The error for a photo ([H, W, 3]) that shows no face."""
    height, width = photo.shape[:2]
    return NoFaceFoundError(
        f"{called} shows no face ({width}x{height} pixels, detection threshold "
        f"{options.min_score:.2f}). Try a larger, sharper, front-facing photo."
    )
