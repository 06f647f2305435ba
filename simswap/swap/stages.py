"""The stages after detection: align, embed, generate, paste; each a function of its arguments.

FaceSwapper strings them together; the benchmark times them one by one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from simswap import geometry
from simswap.errors import ModelError
from simswap.models.identity import INPUT_SIZE, embed_identity
from simswap.swap import blending
from simswap.swap.detail import with_detail
from simswap.types import Face, SwapOptions
from simswap.watermark import embedding

LARGE_GENERATOR = 20_000_000  # parameters
ENLARGED_FROM = 1.25  # times the crop's side, in the frame; there its blur begins to be seen
LARGEST_CROP = 512  # px; what is beyond that stays a little soft, and costs no more time
FACE_BATCH = 16  # crops per network call, so that a crowd does not take memory without bound


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """A face cut out for the generator.

    crop: [S, S, 3] uint8 RGB; frame_to_crop: [2, 3]; landmarks: [5, 2] in crop pixels.
    """

    crop: np.ndarray
    frame_to_crop: np.ndarray
    landmarks: np.ndarray


def align_face(frame: np.ndarray, face: Face, template: str, size: int) -> AlignedFace:
    """Cut a face out of a frame; `template` is one of geometry.template_names()."""
    frame_to_crop = geometry.frame_to_crop_transform(face.landmarks, template, size)
    return AlignedFace(
        crop=geometry.warp_to_crop(frame, frame_to_crop, size),
        frame_to_crop=frame_to_crop,
        landmarks=geometry.apply(frame_to_crop, face.landmarks),
    )


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


def paste_faces(
    frame: np.ndarray,
    aligned: Sequence[AlignedFace],
    swapped_crops: Sequence[np.ndarray],
    options: SwapOptions,
    mark_id: int | None = None,
) -> np.ndarray:
    """A copy of a frame with the swapped crops of its faces (largest first) blended in.

    mark_id: what the invisible mark says, see mark_code; None: faces are not marked. A face for
    which `can_be_marked` is false never is.
    """
    pasted = frame.copy()
    # Largest face last: it is the nearest to the camera, so it lies on top.
    for face, crop in reversed(list(zip(aligned, swapped_crops, strict=True))):
        if options.match_colour:
            crop = blending.match_colour(crop, face.crop, face_mask(face, options))
        face, crop = restore_detail(frame, face, crop)
        mask = face_mask(face, options)
        if mark_id is not None and can_be_marked(face):
            crop = mark_face(face, crop, mask, mark_id)
        blending.paste_into(pasted, crop, mask, face.frame_to_crop)
    return pasted


def face_mask(face: AlignedFace, options: SwapOptions) -> np.ndarray:
    """Where a face's swapped crop is kept: [S, S] float32, see blending.face_mask."""
    return blending.face_mask(face.landmarks, len(face.crop), options.mask_softness)


def restore_detail(
    frame: np.ndarray, face: AlignedFace, crop: np.ndarray
) -> tuple[AlignedFace, np.ndarray]:
    """A face and its swapped crop at the size that it has in its frame, with the frame's detail.

    crop: [S, S, 3] float32 RGB in [0, 1]. A face that is hardly larger than its crop comes back as
    it is.
    """
    size = len(face.crop)
    side = min(round(size / geometry.scale_of(face.frame_to_crop)), LARGEST_CROP)
    if side < ENLARGED_FROM * size:
        return face, crop
    to_enlarged = geometry.resize_transform(side / size)
    frame_to_crop = geometry.compose(face.frame_to_crop, to_enlarged)
    enlarged = AlignedFace(
        crop=geometry.warp_to_crop(frame, frame_to_crop, side, cv2.INTER_CUBIC),
        frame_to_crop=frame_to_crop,
        landmarks=geometry.apply(to_enlarged, face.landmarks),
    )
    return enlarged, with_detail(crop, face.crop, enlarged.crop)


def can_be_marked(face: AlignedFace) -> bool:
    """Whether a face is large enough in its frame for the invisible mark."""
    return _mark_side(face) >= embedding.SMALLEST


def mark_face(face: AlignedFace, crop: np.ndarray, mask: np.ndarray, mark_id: int) -> np.ndarray:
    """A swapped crop ([S, S, 3] float32 RGB in [0, 1]) with the invisible mark under its mask."""
    pasted = embedding.FaceCrop(crop, face.crop, mask, face.landmarks, _mark_side(face))
    return embedding.mark_crops([pasted], mark_id)[0]


def _mark_side(face: AlignedFace) -> float:
    in_frame = geometry.apply(geometry.invert(face.frame_to_crop), face.landmarks)
    return embedding.side_in_frame(in_frame)


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
