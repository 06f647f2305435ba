r"""Grey, dark, close and covered targets: does the swap keep their light, and what covers them?

    python -m train.checks.hard_targets --data ../shared/data/portraits

The first pairs of an evaluation folder, each target made grey, made dark, cut so close that the
face fills the picture, and with something drawn before the face (see train.distill.occluders).
Where numbers are fine a picture may not be: `--sheet FILE` draws target and result side by side.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import torch

from simswap import FaceSwapper, SwapOptions
from simswap.errors import NoFaceFoundError
from simswap.geometry import (
    compose,
    frame_to_crop_transform,
    invert,
    resize_transform,
    scale_of,
    warp_to_crop,
)
from simswap.media.photos import write_photo
from simswap.models.parser import INPUT_SIZE, TEMPLATE, FaceParser
from simswap.swap.pasting.light import contrast_bands
from simswap.swap.rendering import align_face
from simswap.types import Face, SwapResult
from simswap.weights.bundle import find_bundle, load_bundle, read_config
from train.checks.parser import parse
from train.distill.occluders import KINDS
from train.distill.painting import OCCLUDER, Scene
from train.errors import TrainingError
from train.evaluate.judge_files import IDENTITY_FILE, models_folder, refuse_teachers, teachers_of
from train.evaluate.judges import IdentityJudge
from train.evaluate.methods import OPTIONS
from train.evaluate.pairs import Pair, find_evaluation_folder, load_pairs
from train.pairing.augmentation import Augmentation, vary_picture
from train.shell import run_from_shell

logger = logging.getLogger(__name__)

GREY = Augmentation(grey=1.0)
DARK = Augmentation(low_light=1.0, low_light_stops=6.0, noise_std=0.02)
THINGS = ("hand", "thing", "surgical mask", "microphone")  # of KINDS, in turn
CLOSE = 0.82  # of the face box's side: what a close-up shows
UNCHANGED = 8  # of 255: the watermark and rounding stay below
SIDE = 900  # px: larger photos are made so small, which changes nothing here but the time
TILE = 220  # px, side of a picture on the sheet


@dataclass
class Figures:
    """What a kind of target came to, a number a pair; and its pictures."""

    values: dict[str, list[float]] = field(default_factory=dict)
    tiles: list[np.ndarray] = field(default_factory=list)
    lost: int = 0  # targets without a face found

    def add(self, **values: float) -> None:
        """One pair's numbers."""
        for name, value in values.items():
            self.values.setdefault(name, []).append(value)


class Targets:
    """Makes targets of each kind and swaps them; the parser sees where a face has its parts."""

    def __init__(self, swapper: FaceSwapper, parser: FaceParser, judge: IdentityJudge) -> None:
        self.swapper, self.parser, self.judge = swapper, parser, judge
        self.random = np.random.default_rng(0)

    def grey(self, pair: Pair, target: np.ndarray, figures: Figures) -> None:
        """Its result has no colour anywhere: the largest distance between channels, of 255."""
        target = vary_picture(target, self.random, GREY)
        if result := self._swap(pair, target, figures):
            pixels = result.image.astype(int)
            figures.add(colour=float(np.ptp(pixels, axis=-1).max()))
            self._light(target, result, figures)

    def dark(self, pair: Pair, target: np.ndarray, figures: Figures) -> None:
        """Contrast of luma inside the face, in bands, as a multiple of the target's."""
        target = vary_picture(target, self.random, DARK)
        if result := self._swap(pair, target, figures):
            self._light(target, result, figures)

    def close(self, pair: Pair, target: np.ndarray, figures: Figures) -> None:
        """A face larger than its photo is found all the same."""
        face = self.swapper.detect(target)[0]
        middle = (face.box[:2] + face.box[2:]) / 2
        half = CLOSE * (face.box[2:] - face.box[:2]) / 2
        left, top = np.maximum(middle - half, 0).astype(int)
        right, bottom = (middle + half).astype(int)
        target = np.ascontiguousarray(target[top:bottom, left:right])
        if result := self._swap(pair, target, figures):
            self._light(target, result, figures)

    def covered(self, pair: Pair, target: np.ndarray, figures: Figures) -> None:
        """Of the pixels of a thing drawn before the face, the share that stays."""
        face = self.swapper.detect(target)[0]
        to_crop = frame_to_crop_transform(face.landmarks, TEMPLATE, INPUT_SIZE)
        # At the crop's own scale, so that the thing is as sharp as the photo.
        factor = scale_of(to_crop)
        size = (round(target.shape[1] * factor), round(target.shape[0] * factor))
        target = cv2.resize(target, size, interpolation=cv2.INTER_AREA)
        to_crop = compose(resize_transform(1 / factor), to_crop)
        crop = warp_to_crop(target, to_crop, INPUT_SIZE)
        labels = parse(self.parser, crop)
        painted = crop.copy()
        name = THINGS[pair.number % len(THINGS)]
        KINDS[name](Scene(self.random, painted, labels, crop[:, ::-1].copy(), labels[:, ::-1]))
        changed = (painted != crop).any(-1)
        drawn = ((labels == OCCLUDER) & changed).astype(np.uint8)
        drawn = cv2.erode(drawn, np.ones((3, 3), np.uint8))  # its edge is blended with the face
        back = invert(to_crop)
        share = cv2.warpAffine(changed.astype(np.float32), back, size)[..., None]
        scene = cv2.warpAffine(painted, back, size, borderMode=cv2.BORDER_REPLICATE)
        target = (target * (1 - share) + scene * share + 0.5).astype(np.uint8)
        thing = cv2.warpAffine(drawn, back, size, flags=cv2.INTER_NEAREST) > 0
        if (result := self._swap(pair, target, figures)) and thing.any():
            apart = np.abs(result.image.astype(int) - target).max(-1)
            figures.add(**{f"{name} unchanged": float((apart[thing] <= UNCHANGED).mean())})

    def plain(self, pair: Pair, target: np.ndarray, figures: Figures) -> None:
        """Cosine to the source, with all that this check is about and without it."""
        bare = SwapOptions(occlusion_mask=False, match_light=False)
        for name, options in (("cosine", OPTIONS), ("cosine without", bare)):
            if result := self._swap(pair, target, figures, options):
                photos = [pair.read_source(), result.image]
                landmarks = [pair.source_landmarks, result.faces[0].landmarks]
                source, swapped = self.judge.embed(photos, landmarks)
                figures.add(**{name: float(source @ swapped)})

    def _swap(
        self, pair: Pair, target: np.ndarray, figures: Figures, options: SwapOptions = OPTIONS
    ) -> SwapResult | None:
        try:
            identity = self.swapper.identity_of(pair.read_source())
            result = self.swapper.swap_image(target, identity, options)
        except NoFaceFoundError:
            figures.lost += 1
            return None
        pictures = [cv2.resize(image, (TILE, TILE)) for image in (target, result.image)]
        figures.tiles.append(np.concatenate(pictures, axis=1))
        return result

    def _light(self, target: np.ndarray, result: SwapResult, figures: Figures) -> None:
        face = result.faces[0]
        own, theirs = (self._contrast(image, face) for image in (result.image, target))
        for band, ratio in zip(("fine", "middle", "coarse"), own / theirs, strict=True):
            figures.add(**{f"{band} contrast": float(ratio)})

    def _contrast(self, photo: np.ndarray, face: Face) -> np.ndarray:
        """[3] standard deviations of luma within the middle of the face, from fine to coarse."""
        crop = align_face(photo, face, TEMPLATE, INPUT_SIZE).crop
        luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32)
        inner = slice(INPUT_SIZE // 5, -INPUT_SIZE // 5)
        return np.array([band[inner, inner].std() for band in contrast_bands(luma)]).clip(1e-3)


Kind = Callable[[Pair, np.ndarray, Figures], None]


def measure(targets: Targets, pairs: Sequence[Pair]) -> dict[str, Figures]:
    """The figures of each kind."""
    kinds: dict[str, Kind] = {
        "plain": targets.plain,
        "grey": targets.grey,
        "dark": targets.dark,
        "close": targets.close,
        "covered": targets.covered,
    }
    figures = {name: Figures() for name in kinds}
    for pair in pairs:
        target = pair.read_target()
        factor = min(SIDE / max(target.shape[:2]), 1.0)
        target = cv2.resize(target, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        for name, kind in kinds.items():
            kind(pair, target, figures[name])
    return figures


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures. Raises SimSwapError."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="bundle folder or Hub repo id (default: the bundled model)")
    parser.add_argument("--data", type=Path, required=True, help="evaluation folder")
    parser.add_argument("--judge", type=Path, help="TorchScript judge (default: in models/ beside)")
    parser.add_argument("--pairs", type=int, default=10, help="how many of them (default 10)")
    parser.add_argument("--sheet", type=Path, help="PNG to draw targets and results into")
    given = parser.parse_args(arguments)
    folder = find_evaluation_folder(given.data)
    path = given.judge or models_folder(given.data, folder) / IDENTITY_FILE
    refuse_teachers([path], teachers_of(read_config(find_bundle(given.model)).training))
    swapper, face_parser = FaceSwapper.from_pretrained(given.model), load_bundle(given.model).parser
    if face_parser is None:
        raise TrainingError(f"{given.model} has no face parser.")
    pairs = load_pairs(folder, limit=given.pairs)
    with torch.inference_mode():
        figures = measure(Targets(swapper, face_parser.eval(), IdentityJudge(path)), pairs)
    for kind, found in figures.items():
        logger.info("%s: %d targets without a face found", kind, found.lost)
        for name, values in found.values.items():
            middle, least, most = np.median(values), min(values), max(values)
            logger.info("  %s: median %.3f, %.3f to %.3f", name, middle, least, most)
    if given.sheet:
        lines = [np.concatenate(found.tiles, axis=1) for found in figures.values() if found.tiles]
        width = max(line.shape[1] for line in lines)
        lines = [np.pad(line, ((0, 8), (0, width - line.shape[1]), (0, 0))) for line in lines]
        write_photo(given.sheet, np.concatenate(lines), model=swapper.name)


if __name__ == "__main__":
    run_from_shell("check_hard_targets", main)
