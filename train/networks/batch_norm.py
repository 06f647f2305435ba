"""Batch norms that see the batch of all processes, and batch norms that see none."""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn


class _SumOverProcesses(torch.autograd.Function):
    """Every process gets the sum, so that each one's gradient is the sum of all gradients."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        return _SumOverProcesses.apply(gradient.contiguous())


class ProcessBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d over all processes' equal shares of a batch, on any backend.

    torch's SyncBatchNorm, which refuses CPU tensors, does the same on GPUs, and faster.
    """

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, h, w] -> the same shape."""
        if not self.training:
            return super().forward(features)
        values, world = features.float(), distributed.get_world_size()
        mean = _SumOverProcesses.apply(values.mean((0, 2, 3))) / world
        # Centred before it is squared: a channel far from 0 would lose its variance to rounding.
        centred = values - mean[:, None, None]
        variance = _SumOverProcesses.apply(centred.square().mean((0, 2, 3))) / world
        count = features.numel() // features.shape[1] * world
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(features.dtype)


def synchronise_batch_norms(network: nn.Module, device: torch.device) -> nn.Module:
    """Replace the batch norms, in place, if there are several processes; weights stay."""
    if not distributed.is_initialized() or distributed.get_world_size() == 1:
        return network
    if device.type != "cpu":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in list(network.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                ours = ProcessBatchNorm2d(child.num_features, child.eps, child.momentum)
                ours.load_state_dict(child.state_dict())
                setattr(module, name, ours.train(child.training))
    return network


def freeze_batch_norms(network: nn.Module) -> None:
    """Have the batch norms use, and keep, the statistics they have gathered; weights still train.

    The pairs of a batch show either one person each or two (Chen et al. 2020, section 3.3), and the
    statistics of the batch tell the generator which: it learns to leave faces alone where they say
    "one". In use they say neither, and it swaps too little (measured, see train/EXPERIMENTS.md).
    """
    for module in network.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
