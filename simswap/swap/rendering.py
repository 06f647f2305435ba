"""Carries out what was planned for frames: align, generate, mark, paste."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
from torch import nn

from simswap.swap import stages
from simswap.swap.label import with_label
from simswap.types import Face, Identity, SwapOptions, SwapResult
from simswap.watermark import embedding as pixel_mark
from simswap.weights.bundle import Alignment


@dataclass(frozen=True, eq=False)
class SwapPlan:
    """What to do with one frame: its faces, the identity each gets (by face number), notices."""

    faces: tuple[Face, ...]
    identities: dict[int, Identity]
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Rendering:
    """What turns plans into pictures.

    generator: as stages.for_rendering gives it. mark_id: what the invisible mark says.
    """

    generator: nn.Module
    alignment: Alignment
    mark_id: int

    def results(
        self, frames: Sequence[np.ndarray], plans: Sequence[SwapPlan], options: SwapOptions
    ) -> list[SwapResult]:
        """One result per frame ([H, W, 3] uint8 RGB); one generator batch for all their faces."""
        template, size = self.alignment.crop_template, self.alignment.crop_size
        aligned = [
            [
                stages.align_face(frame, plan.faces[index], template, size)
                for index in plan.identities
            ]
            for frame, plan in zip(frames, plans, strict=True)
        ]
        identities = [identity for plan in plans for identity in plan.identities.values()]
        swapped = iter(())
        if identities:
            embeddings = np.stack([identity.embedding for identity in identities])
            every_face = list(chain.from_iterable(aligned))
            swapped = iter(stages.generate(self.generator, every_face, embeddings))
        return [
            self._pasted(frame, plan, faces, list(islice(swapped, len(faces))), options)
            for frame, plan, faces in zip(frames, plans, aligned, strict=True)
        ]

    def _pasted(
        self,
        frame: np.ndarray,
        plan: SwapPlan,
        faces: Sequence[stages.AlignedFace],
        crops: Sequence[np.ndarray],
        options: SwapOptions,
    ) -> SwapResult:
        if not faces:
            return SwapResult(frame, plan.faces, (), plan.notices)
        swapped, notices, marked = tuple(plan.identities), plan.notices, ()
        mark_id = self.mark_id if options.mark else None
        image = stages.paste_faces(frame, faces, crops, options, mark_id)
        if options.mark:
            pairs = zip(swapped, faces, strict=True)
            marked = tuple(number for number, face in pairs if stages.can_be_marked(face))
            notices += pixel_mark.told_if_unmarked(len(swapped) - len(marked))
        if options.label:
            image = with_label(image)
        return SwapResult(image, plan.faces, swapped, notices, marked)
