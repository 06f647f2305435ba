"""Where networks run."""

from __future__ import annotations

import torch

from simswap.errors import OptionError


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
