"""Networks that torch runs, on any device."""

from __future__ import annotations

import torch
from torch import nn


class TorchNetwork:
    """A module in evaluation mode, called as it is.

    device: where its inputs have to be. precision: what it computes in; its inputs and outputs are
    float32 all the same.
    """

    runtime = "torch"

    def __init__(self, module: nn.Module) -> None:
        """module: float32, or a copy with reduced weights (see models.inference)."""
        self._module = module
        weights = next(module.parameters())
        self.device, self._dtype = weights.device, weights.dtype
        self.precision = str(weights.dtype).removeprefix("torch.")

    @torch.inference_mode()
    def __call__(self, *inputs: torch.Tensor) -> torch.Tensor | tuple:
        """What the module gives."""
        is_reduced = self._dtype is not torch.float32
        dtype = self._dtype if is_reduced else None
        with torch.autocast(self.device.type, dtype, enabled=is_reduced):
            given = self._module(*inputs)
        return given.float() if is_reduced else given
