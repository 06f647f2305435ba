"""Carries out what was planned for frames: align, generate, blend, watermark, paste."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, islice

import numpy as np
from torch import nn

from simswap import geometry
from simswap.swap.alignment import AlignedFace, align_face
from simswap.swap.blending import match_colour, paste_into, restore_detail
from simswap.swap.inference import generate
from simswap.swap.label import with_label
from simswap.swap.masks import face_mask
from simswap.swap.selection import SwapPlan
from simswap.types import SwapOptions, SwapResult
from simswap.watermark.embedding import (
    SMALLEST,
    FaceCrop,
    mark_crop,
    side_in_frame,
    told_if_unmarked,
)
from simswap.weights.bundle_config import Alignment


def render(
    frames: Sequence[np.ndarray],
    plans: Sequence[SwapPlan],
    generator: nn.Module,
    alignment: Alignment,
    options: SwapOptions,
    mark_id: int,
) -> list[SwapResult]:
    """One result per frame ([H, W, 3] uint8 RGB); one generator batch for the faces of all.

    generator: as inference.for_rendering gives it. mark_id: what the watermark says.
    """
    aligned = [
        [
            align_face(frame, plan.faces[i], alignment.crop_template, alignment.crop_size)
            for i in plan.identities
        ]
        for frame, plan in zip(frames, plans, strict=True)
    ]
    embeddings = [one.embedding for plan in plans for one in plan.identities.values()]
    every_face = list(chain.from_iterable(aligned))
    crops = iter(generate(generator, every_face, np.stack(embeddings)) if every_face else ())
    return [
        _finish(frame, plan, faces, list(islice(crops, len(faces))), options, mark_id)
        for frame, plan, faces in zip(frames, plans, aligned, strict=True)
    ]


def paste_faces(
    frame: np.ndarray,
    faces: Sequence[AlignedFace],
    crops: Sequence[np.ndarray],
    options: SwapOptions,
    mark_id: int | None = None,
) -> tuple[np.ndarray, list[int]]:
    """A copy of a frame with the swapped crops of its faces (largest first) blended in.

    crops: [S, S, 3] float32 RGB in [0, 1] each. mark_id: what the watermark says, see
    watermark.code; None: none is written. Also gives the positions in `faces` of those that carry
    it: the others are too small.
    """
    pasted, marked = frame.copy(), []
    # Largest face last: it is the nearest to the camera, so it lies on top.
    for i in reversed(range(len(faces))):
        face, fitted = fit_crop(frame, faces[i], crops[i], options)
        crop = fitted.swapped
        if mark_id is not None and fitted.side >= SMALLEST:
            crop = mark_crop(fitted, mark_id)
            marked.append(i)
        paste_into(pasted, crop, fitted.mask, face.frame_to_crop)
    return pasted, sorted(marked)


def fit_crop(
    frame: np.ndarray, face: AlignedFace, crop: np.ndarray, options: SwapOptions
) -> tuple[AlignedFace, FaceCrop]:
    """A face at the size that it has in its frame, and its swapped crop in its colours and detail.

    crop: [S, S, 3] float32 RGB in [0, 1].
    """
    mask = face_mask(face.landmarks, len(face.crop), options.mask_softness)
    if options.match_colour:
        crop = match_colour(crop, face.crop, mask)
    fitted, crop = restore_detail(frame, face, crop)
    if fitted is not face:
        mask = face_mask(fitted.landmarks, len(fitted.crop), options.mask_softness)
    in_frame = geometry.apply(geometry.invert(fitted.frame_to_crop), fitted.landmarks)
    side = side_in_frame(in_frame)
    return fitted, FaceCrop(crop, fitted.crop, mask, fitted.landmarks, side)


def _finish(
    frame: np.ndarray,
    plan: SwapPlan,
    faces: Sequence[AlignedFace],
    crops: Sequence[np.ndarray],
    options: SwapOptions,
    mark_id: int,
) -> SwapResult:
    if not faces:
        return SwapResult(frame, plan.faces, (), plan.notices)
    swapped, notices = tuple(plan.identities), plan.notices
    image, marked = paste_faces(frame, faces, crops, options, mark_id if options.mark else None)
    if options.mark:
        notices += told_if_unmarked(len(faces) - len(marked))
    if options.label:
        image = with_label(image)
    return SwapResult(image, plan.faces, swapped, notices, tuple(swapped[i] for i in marked))
