"""A picture that the demo refuses, and anybody may look at: drawn to mislead its classifier."""

from __future__ import annotations

import cv2
import numpy as np

BACKGROUND = (0, 115, 164)
# Middle (x, y), half axes, degrees, RGB: found by random changes, each kept if the score rose.
ELLIPSES = (
    ((178, 108), (79, 11), 51, (255, 182, 117)),
    ((-5, 189), (26, 67), 98, (227, 226, 211)),
    ((261, 15), (16, 7), 208, (255, 65, 142)),
    ((178, 27), (89, 37), 126, (238, 35, 158)),
    ((45, 217), (39, 83), 62, (137, 102, 44)),
    ((171, 195), (62, 87), 49, (255, 190, 113)),
    ((231, 257), (65, 56), 213, (255, 108, 223)),
    ((167, 137), (95, 53), 55, (220, 124, 97)),
)


def refused_picture() -> np.ndarray:
    """[256, 256, 3] uint8 RGB; the classifier's score of it is 0.96."""
    image = np.full((256, 256, 3), BACKGROUND, np.uint8)
    for middle, axes, degrees, colour in ELLIPSES:
        cv2.ellipse(image, middle, axes, degrees, 0, 360, colour, -1)
    return cv2.GaussianBlur(image, (0, 0), 3)
