"""Faces to crops, the generator, and swapped crops back into their frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from torch import Tensor

from simswap import geometry
from simswap.errors import ModelError
from simswap.runtime.networks import Network
from simswap.runtime.pixels import network_input
from simswap.swap.pasting.blending import paste_into
from simswap.swap.pasting.colour import match_colour
from simswap.swap.pasting.detail import with_detail
from simswap.swap.pasting.eyes import keep_gaze, match_eyes
from simswap.swap.pasting.forehead import keep_forehead
from simswap.swap.pasting.light import light_wanted, match_light
from simswap.swap.pasting.masks import face_mask, uncovered
from simswap.types import Face, SwapOptions
from simswap.watermark.embedding import SMALLEST, FaceCrop, side_in_frame, watermark_crop

FACE_BATCH = 16  # crops per network call, so that a crowd does not take memory without bound
SMALL_CROP = 128  # px; of larger ones fewer are computed at once
ENLARGED_FROM = 1.25  # times the crop's side, in the frame; there its blur begins to be seen
LARGEST_CROP = 512  # px; what is beyond that stays a little soft, and costs no more time


@dataclass(frozen=True, eq=False)
class AlignedFace:
    """A face cut out for the generator.

    crop: [S, S, 3] uint8 RGB; frame_to_crop: [2, 3]; landmarks: [5, 2] in crop pixels.
    """

    crop: np.ndarray
    frame_to_crop: np.ndarray
    landmarks: np.ndarray


def checked_frame(frame: np.ndarray) -> np.ndarray:
    """The frame, contiguous. Raises ValueError if it is not [H, W, 3] uint8."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        kind = getattr(frame, "dtype", type(frame).__name__)
        raise ValueError(f"A frame must be a uint8 array, [H, W, 3] RGB; this is {kind}.")
    if frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
        raise ValueError(f"A frame must be [H, W, 3] RGB; this is {list(frame.shape)}.")
    return np.ascontiguousarray(frame)  # torch refuses the negative strides of a mirrored view


def align_face(frame: np.ndarray, face: Face, template: str, size: int) -> AlignedFace:
    """Cut a face out of a frame; `template` is one of geometry.template_names()."""
    frame_to_crop = geometry.frame_to_crop_transform(face.landmarks, template, size)
    return AlignedFace(
        crop=geometry.warp_to_crop(frame, frame_to_crop, size),
        frame_to_crop=frame_to_crop,
        landmarks=geometry.apply(frame_to_crop, face.landmarks),
    )


def crop_batches(crops: Sequence[np.ndarray], device: torch.device) -> Iterator[Tensor]:
    """[S, S, 3] uint8 crops -> [B, 3, S, S] float32 in [0, 1] each, B as batch_size says."""
    size = batch_size(len(crops[0]), device)
    for start in range(0, len(crops), size):
        pixels = torch.from_numpy(np.stack(crops[start : start + size]))
        yield network_input(pixels.to(device))


def batch_size(side: int, device: torch.device) -> int:
    """How many crops of so many px a side are computed at once; on a CPU that gains nothing."""
    fewer = (side / SMALL_CROP) ** 2 if device.type == "cpu" else 1
    return max(int(FACE_BATCH / max(fewer, 1)), 1)


def finite(values: Sequence[Tensor]) -> np.ndarray:
    """What a network gave, batch after batch, as one array.

    Raises ModelError for NaN or infinity: weights that are sound one by one may overflow together.
    """
    joined = np.ascontiguousarray(np.concatenate([value.cpu().numpy() for value in values]))
    if not np.isfinite(joined).all():
        raise ModelError("The model gives numbers that are not finite. Fetch it again, or another.")
    return joined


def generate(
    generator: Network,
    aligned: Sequence[AlignedFace],
    embeddings: Sequence[np.ndarray],
    once_more: float = 0.0,
) -> np.ndarray:
    """Swapped crops of at least one face: [N, S, S, 3] float32 RGB in [0, 1].

    embeddings: [512] float32 each: the identity that a face gets, guided or of unit norm.
    once_more: see SwapOptions.once_more.
    """
    return np.stack([*generate_in_turn(generator, aligned, embeddings, once_more)])


def generate_in_turn(
    generator: Network,
    aligned: Sequence[AlignedFace],
    embeddings: Sequence[np.ndarray],
    once_more: float = 0.0,
) -> Iterator[np.ndarray]:
    """As `generate`, crop after crop, of which one batch is held at a time."""
    size = batch_size(len(aligned[0].crop), generator.device) if aligned else 1
    for start in range(0, len(aligned), size):
        faces, wanted = aligned[start : start + size], np.stack(embeddings[start : start + size])
        swapped = _swapped(generator, faces, wanted)
        if once_more:
            crops = (cv2.convertScaleAbs(crop, alpha=255) for crop in swapped)
            again = [replace(face, crop=crop) for face, crop in zip(faces, crops, strict=True)]
            swapped = swapped + once_more * (_swapped(generator, again, wanted) - swapped)
        yield from swapped


@torch.inference_mode()
def _swapped(
    generator: Network, aligned: Sequence[AlignedFace], embeddings: np.ndarray
) -> np.ndarray:
    """One batch."""
    (crops,) = crop_batches([face.crop for face in aligned], generator.device)
    sources = torch.from_numpy(embeddings).to(generator.device)
    more = torch.tensor([light_wanted(face.crop) for face in aligned])
    is_dark = bool((more > 1).any())  # most are not, and cost nothing
    more = more.to(generator.device)[:, None, None, None]
    output = generator((crops * more).clamp(max=1) if is_dark else crops, sources)
    output = output / more if is_dark else output
    return finite([output.permute(0, 2, 3, 1)])


def paste_faces(
    frame: np.ndarray,
    faces: Sequence[AlignedFace],
    crops: Iterable[np.ndarray],
    options: SwapOptions,
    symbols: np.ndarray | None = None,
    covers: Sequence[np.ndarray | None] | None = None,
    steady: bool = False,
) -> tuple[np.ndarray, list[int]]:
    """A copy of a frame with the swapped crops of its faces (largest first) blended in.

    crops: [S, S, 3] float32 RGB in [0, 1] each, of the last face first. symbols: what the
    watermark says, see watermark.code; None: none is written. covers: what of each face stays the
    target's, see covering.find_covers; None: nothing. steady: see watermark_crop. Also gives the
    positions in `faces` of those that carry the watermark: the others are too small.
    """
    pasted, marked = frame.copy(), []
    # Largest face last: it is the nearest to the camera, so it lies on top.
    for i, given in zip(reversed(range(len(faces))), crops, strict=False):
        cover = covers[i] if covers else None
        face, fitted = fit_crop(frame, faces[i], given, options, cover)
        crop = fitted.swapped
        if symbols is not None and fitted.side >= SMALLEST:
            crop = watermark_crop(fitted, symbols, steady)
            marked.append(i)
        paste_into(pasted, crop, fitted.mask, face.frame_to_crop)
    return pasted, sorted(marked)


def fit_crop(
    frame: np.ndarray,
    face: AlignedFace,
    crop: np.ndarray,
    options: SwapOptions,
    cover: np.ndarray | None = None,
) -> tuple[AlignedFace, FaceCrop]:
    """A face and its swapped crop, in the target's colours, as they are pasted.

    crop: [S, S, 3] float32 RGB in [0, 1]; cover: of paste_faces' covers. A face that is much larger
    in its frame is cut out anew at that size, and its crop enlarged, with the frame's fine detail.
    """
    size = len(face.crop)
    mask = uncovered(face_mask(face.landmarks, size, options.mask_softness), cover)
    if options.match_colour:
        crop = match_colour(crop, face.crop, mask, face.landmarks)
    if options.match_light:
        crop = match_light(crop, face.crop, mask)
        crop = match_eyes(crop, face.crop, mask, face.landmarks)
        crop = keep_gaze(crop, face.crop, mask, face.landmarks)
        crop = keep_forehead(crop, face.crop, mask, face.landmarks)
    side = min(round(size / geometry.scale_of(face.frame_to_crop)), LARGEST_CROP)
    if side >= ENLARGED_FROM * size:
        larger = _enlarged(frame, face, side)
        crop, face = with_detail(crop, face.crop, larger.crop), larger
        mask = cv2.resize(mask, (side, side), interpolation=cv2.INTER_LINEAR)
    in_frame = geometry.apply(geometry.invert(face.frame_to_crop), face.landmarks)
    return face, FaceCrop(crop, face.crop, mask, face.landmarks, side_in_frame(in_frame))


def _enlarged(frame: np.ndarray, face: AlignedFace, side: int) -> AlignedFace:
    """The same face, cut out of its frame at `side` pixels a side."""
    to_enlarged = geometry.resize_transform(side / len(face.crop))
    frame_to_crop = geometry.compose(face.frame_to_crop, to_enlarged)
    return AlignedFace(
        crop=geometry.warp_to_crop(frame, frame_to_crop, side, cv2.INTER_CUBIC),
        frame_to_crop=frame_to_crop,
        landmarks=geometry.apply(to_enlarged, face.landmarks),
    )
