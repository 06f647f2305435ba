"""Runs the identity network and the generator on faces of a frame."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from simswap.errors import ModelError
from simswap.models.identity import INPUT_SIZE, embed_identity
from simswap.swap.alignment import AlignedFace, align_face
from simswap.types import Face

LARGE_GENERATOR = 20_000_000  # parameters
FACE_BATCH = 16  # crops per network call, so that a crowd does not take memory without bound


def generator_dtype(generator: nn.Module, device: torch.device) -> torch.dtype:
    """The one place where the generator's precision is chosen: bfloat16 where it pays.

    That is large generators on CPUs that compute in it: measured, twice as fast for the published
    224 one. Without avx512_bf16 a CPU only imitates it, more slowly than float32; small generators
    have little to gain, and stay the same to the bit on every machine. A GPU keeps float32.
    """
    is_large = sum(weights.numel() for weights in generator.parameters()) >= LARGE_GENERATOR
    has_bf16 = torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if device.type == "cpu" and has_bf16 and is_large else torch.float32


def for_rendering(generator: nn.Module, device: torch.device) -> nn.Module:
    """What `generate` runs fastest on a device: the generator itself, or a reduced copy of it.

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


@torch.inference_mode()
def embed_faces(
    network: nn.Module, frame: np.ndarray, faces: Sequence[Face], template: str
) -> np.ndarray:
    """Identity embeddings of at least one face of a frame: [N, 512] float32, unit norm."""
    crops = [align_face(frame, face, template, INPUT_SIZE).crop for face in faces]
    device = next(network.parameters()).device
    embeddings = [
        embed_identity(network, _to_tensor(crops[part], device)) for part in _parts(crops)
    ]
    return _finite(torch.cat(embeddings).cpu().numpy())


@torch.inference_mode()
def generate(
    generator: nn.Module, aligned: Sequence[AlignedFace], embeddings: np.ndarray
) -> np.ndarray:
    """Swapped crops of at least one face: [N, S, S, 3] float32 RGB in [0, 1].

    generator: as `for_rendering` gives it, or in float32.
    embeddings: [N, 512] float32: the identity that each face gets, guided or of unit norm.
    """
    weights = next(generator.parameters())
    device, dtype = weights.device, weights.dtype
    sources = torch.from_numpy(embeddings).to(device)
    crops = [face.crop for face in aligned]
    swapped = []
    is_reduced = dtype is not torch.float32
    with torch.autocast(device.type, dtype if is_reduced else None, enabled=is_reduced):
        for part in _parts(crops):
            output = generator(_to_tensor(crops[part], device), sources[part])
            swapped.append(output.float().permute(0, 2, 3, 1).contiguous().cpu())
    return _finite(torch.cat(swapped).numpy())


def _finite(values: np.ndarray) -> np.ndarray:
    """What a network gave. Weights that are sound one by one may still overflow together."""
    if not np.isfinite(values).all():
        raise ModelError("The model gives numbers that are not finite. Fetch it again, or another.")
    return values


def _parts(crops: Sequence[np.ndarray]) -> Iterator[slice]:
    for start in range(0, len(crops), FACE_BATCH):
        yield slice(start, start + FACE_BATCH)


def _to_tensor(crops: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """[S, S, 3] uint8 crops -> [B, 3, S, S] float32 in [0, 1], channels last in memory."""
    return torch.from_numpy(np.stack(crops)).to(device).permute(0, 3, 1, 2).float().div_(255)
