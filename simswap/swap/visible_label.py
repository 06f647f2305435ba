"""The visible label: a small word in a corner that tells people what they look at."""

from __future__ import annotations

import cv2
import numpy as np

TEXT = "AI modified"  # in the words of the EU's Code of Practice for labels
HEIGHT = 0.024  # of the picture's shorter side, of capital letters ...
MIN_HEIGHT = 9.0  # ... but at least so many px, to stay legible
MAX_WIDTH = 0.5  # of the picture's width
MARGIN = 1.0  # to the corner's edges, in letter heights
FONT = cv2.FONT_HERSHEY_SIMPLEX
FONT_HEIGHT = 21.0  # px of its capital letters at scale 1


def with_label(frame: np.ndarray) -> np.ndarray:
    """A copy of a frame ([H, W, 3] uint8 RGB) with the label in its lower right corner.

    White letters with a dark rim can be read on light and on dark alike.
    """
    height, width = frame.shape[:2]
    letters = max(HEIGHT * min(height, width), MIN_HEIGHT)
    natural = cv2.getTextSize(TEXT, FONT, 1.0, 1)[0][0]
    scale = min(letters / FONT_HEIGHT, MAX_WIDTH * width / natural)
    stroke = max(round(2 * scale), 1)
    (text_width, _), _ = cv2.getTextSize(TEXT, FONT, scale, stroke)
    margin = round(MARGIN * scale * FONT_HEIGHT)
    corner = (width - text_width - margin, height - margin)
    labelled = frame.copy()
    rim = stroke + 2 * max(round(scale * 1.5), 1)
    for colour, thickness in (((0, 0, 0), rim), ((255, 255, 255), stroke)):
        cv2.putText(labelled, TEXT, corner, FONT, scale, colour, thickness, cv2.LINE_AA)
    return labelled
