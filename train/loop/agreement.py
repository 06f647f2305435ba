"""What all processes of a run must know of each other."""

from __future__ import annotations

import torch
from accelerate import Accelerator


def all_agree(accelerator: Accelerator, fine: bool) -> bool:
    """Whether every process says `fine`: one that stopped alone would leave the others waiting."""
    flag = torch.tensor([float(fine)], device=accelerator.device)
    return bool(accelerator.gather(flag).min() > 0)
