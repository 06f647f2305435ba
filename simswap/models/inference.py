"""Getting a trained network ready to run: the same function, faster."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils.flop_counter import FlopCounterMode

LARGE_GENERATOR = 20_000_000  # parameters
AMPERE = (8, 0)  # compute capability of the first GPUs that compute in bfloat16


def prepare_for_inference(network: nn.Module, device: torch.device) -> nn.Module:
    """Fuse, freeze and move a network, in place; what it computes stays (up to rounding).

    Its state dict no longer fits a bundle afterwards.
    """
    fold_batch_norms(network.eval())
    return network.requires_grad_(False).to(device, memory_format=torch.channels_last)


def generator_dtype(generator: nn.Module, device: torch.device) -> torch.dtype:
    """The one place where the generator's precision is chosen: bfloat16 where it pays.

    That is large generators where the device computes in it: measured on CPUs, twice as fast for
    the published 224 one. Without avx512_bf16 a CPU only imitates it, more slowly than float32, and
    so do GPUs older than Ampere; small generators have little to gain, and stay the same to the bit
    on every machine.
    """
    is_large = sum(weights.numel() for weights in generator.parameters()) >= LARGE_GENERATOR
    return torch.bfloat16 if is_large and _computes_bf16(device) else torch.float32


def _computes_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= AMPERE
    is_cpu = device.type == "cpu"
    return is_cpu and torch.cpu.get_capabilities().get("avx512_bf16", False)


def for_rendering(generator: nn.Module, device: torch.device) -> nn.Module:
    """What renders fastest on a device: the generator itself, or a reduced copy of it.

    A copy, because its users call the generator itself, in float32; and its weights reduced once,
    because autocast would do it again at every call.
    """
    dtype = generator_dtype(generator, device)
    if dtype is torch.float32:
        return generator
    reduced = copy.deepcopy(generator)
    for layer in reduced.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.to(dtype)
    return reduced.to(memory_format=torch.channels_last)


def fold_batch_norms(network: nn.Module) -> None:
    """Fold batch norms into the convolutions right before them, where a Sequential shows that.

    In place; network: in eval mode. Its outputs stay (up to rounding).
    """
    for module in list(network.modules()):
        if not isinstance(module, nn.Sequential):
            continue
        for place in range(len(module) - 1):
            convolution, norm = module[place], module[place + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[place] = fuse_conv_bn_eval(convolution, norm)
                module[place + 1] = nn.Identity()


@torch.inference_mode()
def count_macs(network: nn.Module, *inputs: Tensor) -> int:
    """Multiply-adds of a network; nothing is computed.

    inputs: on the meta device, where there are only shapes.
    """
    with FlopCounterMode(display=False) as counter:
        copy.deepcopy(network).to("meta").eval()(*inputs)
    return counter.get_total_flops() // 2
