"""What covers a target's face, or is none of it, and so stays the target's.

The mask's outline is geometry of five landmarks and knows nothing of hands, hair and microphones. A
face parser sees them. It may only take away where it is sure: a doubt must not punch a hole.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch

from simswap.errors import OptionError
from simswap.models.parser import CLASSES, INPUT_SIZE
from simswap.runtime.networks import Network
from simswap.runtime.pixels import network_input
from simswap.swap.pasting.eyes import eye_region
from simswap.swap.rendering import AlignedFace
from simswap.types import SwapOptions

NO_FACE = ("background", "hair", "occluder")  # always kept; more as SwapOptions.keep says
_SKIN, _GLASSES, _OCCLUDER = (CLASSES.index(name) for name in ("skin", "glasses", "occluder"))
DOUBTED, SURE = 0.45, 0.75  # share of a place that is no face: nothing, all of it stays
LEAST_CORE = 0.004  # of the crop's area that is surely no face; smaller islands are dropped
GROWTH = 5  # px of the parser's map: a thing before the face is kept with a narrow rim around it
# Eyes behind sunglasses: how much of them is glasses, how light is what shows, and how uneven, as
# shares of the skin's lightness. By the first they are none, by the second they are surely some.
BEHIND = (0.7, 0.8), (0.55, 0.45), (0.19, 0.15)
SOFT_EDGE = 0.6  # sigma, in px of the parser's map


@torch.inference_mode()
def find_covers(
    parser: Network | None, faces: Sequence[AlignedFace], options: SwapOptions
) -> list[np.ndarray | None]:
    """How far each place of each face's crop stays the target's: [S', S'] float32 in [0, 1].

    parser: see models.parser; without one nothing is known of a face: None. Raises OptionError if
    options ask to keep what only a parser sees, and there is none.
    """
    if parser is None and options.keep:
        raise OptionError(
            f"keep={','.join(options.keep)!r} needs a face parser, which this model lacks. "
            "Leave it out, or use the bundled model."
        )
    names = (NO_FACE if options.occlusion_mask else ()) + options.keep
    kept = [CLASSES.index(name) for name in names]
    if parser is None or not kept:
        return [None] * len(faces)
    size, covers = (INPUT_SIZE, INPUT_SIZE), []
    for face in faces:  # one by one, for bounded memory
        crop = face.crop
        if len(crop) != INPUT_SIZE:
            crop = cv2.resize(crop, size, interpolation=cv2.INTER_AREA)
        shares = parser(network_input(torch.from_numpy(crop[None]).to(parser.device)))
        seen = shares[0].cpu().numpy()
        thing = seen[_OCCLUDER] if options.occlusion_mask else np.zeros_like(seen[0])
        share = seen[kept].sum(0)
        cover = cover_of(share, thing)
        if options.occlusion_mask and (sure := _sunglasses(face, crop, seen)):
            both = cover_of(share + seen[_GLASSES], thing + seen[_GLASSES])
            cover = np.maximum(cover, sure * both)
        covers.append(cover)
    return covers


def _sunglasses(face: AlignedFace, crop: np.ndarray, seen: np.ndarray) -> float:
    """How sure it is that glasses show no eye, and so are a thing before the face: 0 to 1.

    It changes steadily with the picture, so that in a video nothing pops up.
    crop: the face's, [S', S', 3] uint8; seen: [C, S, S], a parser's shares.
    """
    across, size = np.hypot(*(face.landmarks[1] - face.landmarks[0])), seen.shape[-1]
    if not 1 <= across <= len(face.crop):
        return 0.0
    luma = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    luma = cv2.resize(luma, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32)
    skin = luma[seen[_SKIN] > SURE]
    eyes = eye_region(face.landmarks * (size / len(face.crop)), size) > 0
    if not skin.size or not eyes.any():
        return 0.0
    usual, behind = max(float(np.median(skin)), 1.0), luma[eyes]
    figures = seen[_GLASSES][eyes].mean(), behind.mean() / usual, behind.std() / usual
    sure = [
        (value - none) / (full - none) for value, (none, full) in zip(figures, BEHIND, strict=True)
    ]
    return float(np.prod(np.clip(sure, 0, 1)))


def cover_of(share: np.ndarray, thing: np.ndarray) -> np.ndarray:
    """What stays the target's in each place: [S, S] float32 in [0, 1].

    share: [S, S], a parser's, of all that is kept; thing: [S, S], of it what lies before the face.
    Only regions with a core that is surely kept count, and what adjoins such a core.
    """
    likely = (share > DOUBTED).astype(np.uint8)
    if not likely.any():
        return np.zeros(share.shape, np.float32)
    num, regions = cv2.connectedComponents(likely)
    cores = np.bincount(regions[(share > SURE) & (likely > 0)], minlength=num)
    is_kept = cores >= LEAST_CORE * share.size
    is_kept[0] = False
    ramp = np.clip((share - DOUBTED) / (SURE - DOUBTED), 0, 1) * is_kept[regions]
    before = ramp * (thing > DOUBTED)
    ramp = np.maximum(ramp, cv2.dilate(before, np.ones((GROWTH, GROWTH), np.uint8)))
    return cv2.GaussianBlur(ramp.astype(np.float32), (0, 0), SOFT_EDGE)
