"""Ways to make a result from a source and a target: our swap, and the anchors of the scale."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from simswap.errors import NoFaceFoundError
from simswap.media.photos import read_photo
from simswap.swap.rendering import align_face, paste_faces
from simswap.swapper import FaceSwapper
from simswap.types import Face, SwapOptions
from train.data.sources import PHOTO_SUFFIXES
from train.errors import TrainingError

OPTIONS = SwapOptions()  # what a user gets who chooses nothing


@dataclass(frozen=True, eq=False)
class Outcome:
    """image: [H, W, 3] uint8 RGB, the target's size; faces: those found in the target."""

    image: np.ndarray
    faces: tuple[Face, ...]


class SeenPhoto:
    """A photo ([H, W, 3] uint8 RGB) in which the anchors look for faces once, when they need to.

    pair: the number of the pair that it belongs to, if it is of one of a list.
    """

    def __init__(self, image: np.ndarray, swapper: FaceSwapper, pair: int | None = None) -> None:
        self.image, self.pair = image, pair
        self._swapper = swapper

    @cached_property
    def faces(self) -> tuple[Face, ...]:
        """Largest first."""
        return tuple(self._swapper.detect(self.image, OPTIONS.min_score))


# Of a source and a target; None where a method was not asked, as others were not for self-swaps.
Method = Callable[[SeenPhoto, SeenPhoto], Outcome | None]


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


def results_method(folder: Path) -> Method:
    """What another system made of the pairs: whole photos called 0.png, 1.jpg, ... (also 0000.png).

    The numbers are the pairs' places in pairs.csv, from 0. A photo that is not there counts as a
    target without a face found. Raises TrainingError for a folder without any.
    """
    files = {
        int(path.stem): path
        for path in (folder.iterdir() if folder.is_dir() else ())
        if path.suffix.lower() in PHOTO_SUFFIXES and path.stem.isdecimal()
    }
    if not files:
        raise TrainingError(
            f"{folder} holds no results: photos whose names are the pairs' numbers, from 0.png on."
        )

    def take(source: SeenPhoto, target: SeenPhoto) -> Outcome | None:
        if source is target:
            return None
        path = files.get(target.pair)
        if path is None:
            return Outcome(target.image, ())
        image = read_photo(path).image
        if image.shape != target.image.shape:
            (height, width), (tall, wide) = image.shape[:2], target.image.shape[:2]
            raise TrainingError(
                f"{path} has {width} x {height} pixels, its target {wide} x {tall}. Paste the "
                "results back into whole photos of the targets' sizes."
            )
        return Outcome(image, target.faces)

    return take
