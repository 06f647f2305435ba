"""Ways to make a result from a source and a target: our swap, and the anchors of the scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from simswap.errors import NoFaceFoundError
from simswap.swap.rendering import align_face, paste_faces
from simswap.swapper import FaceSwapper
from simswap.types import Face, SwapOptions

OPTIONS = SwapOptions()  # what a user gets who chooses nothing


@dataclass(frozen=True, eq=False)
class Outcome:
    """image: [H, W, 3] uint8 RGB, the target's size; faces: those found in the target."""

    image: np.ndarray
    faces: tuple[Face, ...]


class SeenPhoto:
    """A photo ([H, W, 3] uint8 RGB) in which the anchors look for faces once, when they need to."""

    def __init__(self, image: np.ndarray, swapper: FaceSwapper) -> None:
        self.image = image
        self._swapper = swapper

    @cached_property
    def faces(self) -> tuple[Face, ...]:
        """Largest first."""
        return tuple(self._swapper.detect(self.image, OPTIONS.min_score))


Method = Callable[[SeenPhoto, SeenPhoto], Outcome]  # of a source and a target


def swap_method(swapper: FaceSwapper, options: SwapOptions = OPTIONS) -> Method:
    """The pipeline as users meet it; where it finds no face, the target stays untouched."""

    def swap(source: SeenPhoto, target: SeenPhoto) -> Outcome:
        try:
            identity = swapper.identity_of(source.image)
            result = swapper.swap_image(target.image, identity, options)
        except NoFaceFoundError:
            return Outcome(target.image, target.faces)
        return Outcome(result.image, result.faces)

    return swap


def anchor_methods(swapper: FaceSwapper) -> dict[str, Method]:
    """The ends of the scale: nothing done, and the source's own crop pasted without a generator."""
    template, size = swapper.alignment.crop_template, swapper.alignment.crop_size

    def leave(source: SeenPhoto, target: SeenPhoto) -> Outcome:
        return Outcome(target.image, target.faces)

    def paste(source: SeenPhoto, target: SeenPhoto) -> Outcome:
        if not source.faces or not target.faces:
            return Outcome(target.image, target.faces)
        crop = align_face(source.image, source.faces[0], template, size).crop
        aligned = [align_face(target.image, face, template, size) for face in target.faces]
        crops = [crop.astype(np.float32) / 255] * len(aligned)
        return Outcome(paste_faces(target.image, aligned, crops, OPTIONS)[0], target.faces)

    return {"no swap": leave, "source pasted": paste}
