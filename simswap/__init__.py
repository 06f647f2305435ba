"""Face swapping after SimSwap (Chen et al., ACM MM 2020): one model for any source and target."""

from typing import TYPE_CHECKING

from simswap.errors import MediaError, ModelError, NoFaceFoundError, OptionError, SimSwapError
from simswap.types import Assignment, Face, Identity, SwapOptions, SwapResult

if TYPE_CHECKING:
    from simswap.swapper import FaceSwapper

__version__ = "0.1.0"

__all__ = [
    "Assignment",
    "Face",
    "FaceSwapper",
    "Identity",
    "MediaError",
    "ModelError",
    "NoFaceFoundError",
    "OptionError",
    "SimSwapError",
    "SwapOptions",
    "SwapResult",
    "__version__",
]


def __getattr__(name: str) -> object:
    """FaceSwapper on first use: it pulls in torch, which `--help` and errors need not wait for."""
    if name == "FaceSwapper":
        from simswap.swapper import FaceSwapper

        return FaceSwapper
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
