"""Face swapping after SimSwap (Chen et al., ACM MM 2020): one model for any source and target."""

import os
from typing import TYPE_CHECKING

from simswap.errors import (
    JobCancelledError,
    MediaError,
    ModelError,
    NoFaceFoundError,
    OptionError,
    RefusedFaceError,
    RefusedPictureError,
    SigningError,
    SimSwapError,
)
from simswap.types import Assignment, Face, FaceTrack, Identity, SwapOptions, SwapResult

if TYPE_CHECKING:
    from simswap.swapper import FaceSwapper
    from simswap.video.options import VideoOptions, VideoProgress, VideoReport

__version__ = "0.1.0"

# Read when onnxruntime is imported, which would note this machine and tell its makers of each use.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "Assignment",
    "Face",
    "FaceSwapper",
    "FaceTrack",
    "Identity",
    "JobCancelledError",
    "MediaError",
    "ModelError",
    "NoFaceFoundError",
    "OptionError",
    "RefusedFaceError",
    "RefusedPictureError",
    "SigningError",
    "SimSwapError",
    "SwapOptions",
    "SwapResult",
    "VideoOptions",
    "VideoProgress",
    "VideoReport",
    "__version__",
]


def __getattr__(name: str) -> object:
    """What pulls in torch or PyAV on first use: `--help` and errors need not wait for it."""
    if name == "FaceSwapper":
        from simswap.swapper import FaceSwapper

        return FaceSwapper
    if name in ("VideoOptions", "VideoProgress", "VideoReport"):
        from simswap.video import options

        return getattr(options, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
