"""Pictures as the networks take them."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def network_input(images: Tensor) -> Tensor:
    """Bytes as all our networks take them: [B, H, W, 3] uint8 -> [B, 3, H, W] float32 in [0, 1].

    Channels last in memory, which depthwise convolutions want. On a CPU by numpy, in one thread:
    torch's threads, once woken, go on spinning while another runtime computes.
    """
    if images.device.type == "cpu":
        shares = torch.from_numpy(np.divide(images.numpy(), 255, dtype=np.float32))
        return shares.permute(0, 3, 1, 2)
    return images.permute(0, 3, 1, 2).float().div_(255)
