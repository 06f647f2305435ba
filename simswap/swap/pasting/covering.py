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
from simswap.swap.rendering import AlignedFace
from simswap.types import SwapOptions

NO_FACE = ("background", "hair", "occluder")  # always kept; more as SwapOptions.keep says
_OCCLUDER = CLASSES.index("occluder")
DOUBTED, SURE = 0.45, 0.75  # share of a place that is no face: nothing, all of it stays
LEAST_CORE = 0.004  # of the crop's area that is surely no face; smaller islands are dropped
GROWTH = 5  # px of the parser's map: a thing before the face is kept with a narrow rim around it
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
        covers.append(cover_of(seen[kept].sum(0), thing))
    return covers


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
