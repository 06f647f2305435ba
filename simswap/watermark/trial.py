"""Whether a watermark would be read after a codec has been over it, and how weak it may then be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from simswap.watermark.carrier import carrier, value_strengths, whiten
from simswap.watermark.code import NUM_SYMBOLS

# The trial is JPEG of this quality, of the plane or of a face that is smaller. By how many standard
# deviations symbols must then be ahead of their rivals, on average, and the sync of nothing: so
# much outlives H.264 and a resize, which take more of fine waves (by train.checks.watermark).
TRIAL_QUALITY = 50
AHEAD, SYNC_AHEAD = {128: 1.9, 192: 2.2, 256: 2.2}, 6.5
NUM_TRIALS = 3  # after that of the strongest grain


@dataclass(frozen=True, eq=False)
class Part:
    """What a grain says: symbols ([10] or None), the sync (its sign, or 0), or both.

    weakest: the highest PSNR that is tried, in dB. steady: the same patterns for every face.
    """

    symbols: np.ndarray | None
    sync_sign: float
    weakest: float
    steady: bool


class Trial:
    """How far ahead of its rivals a part of a grain is, once a codec has been over it.

    luma: [S, S] float32, 0 to 255; grain: the same, as pasted, before its strength is set;
    side: px of the frame that the plane covers.
    """

    def __init__(self, luma: np.ndarray, grain: np.ndarray, part: Part, side: float) -> None:
        self._size, self._part = len(luma), part
        small = min(round(side), self._size)
        self._luma, self._grain = resized(luma, small), resized(grain, small)

    def ahead(self, scale: float) -> float:
        """How far by a grain of so many times the strength; 1: as far as it should be."""
        picture = cv2.addWeighted(self._grain, scale, self._luma, 1, 0, dtype=cv2.CV_8U)
        _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, TRIAL_QUALITY])
        worn = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE).astype(np.float32)
        plane = whiten(resized(worn, self._size))
        found, sync = carrier(self._size).correlate(plane)
        symbols = self._part.symbols
        if symbols is None:
            return self._part.sync_sign * sync / max(SYNC_AHEAD * float(found.std()), 1e-9)
        strengths, rows = value_strengths(found), np.arange(NUM_SYMBOLS)
        true = strengths[rows, symbols]
        strengths[rows, symbols] = 0
        ahead = float((true - strengths.max(axis=1)).mean())
        return ahead / max(AHEAD[self._size] * float(found.std()), 1e-9)

    def weakest(self, scales: Sequence[float], ahead: float) -> float:
        """The last of falling strengths that is far enough ahead; of the first it is known how far.

        Between two that were tried, how far ahead grows about evenly with the strength.
        """
        first, last = (0, ahead), (len(scales), 0.0)  # the one is far enough ahead, the other not
        for _ in range(NUM_TRIALS):
            if last[0] - first[0] == 1:
                break
            low = scales[last[0]] if last[0] < len(scales) else 0.0
            share = (1 - last[1]) / (first[1] - last[1])
            wanted = low + share * (scales[first[0]] - low)
            number = sum(scale >= wanted for scale in scales) - 1
            number = min(max(number, first[0] + 1), last[0] - 1)
            ahead = self.ahead(scales[number])
            if ahead >= 1:
                first = number, ahead
            else:
                last = number, ahead
        return scales[first[0]]


def resized(picture: np.ndarray, side: int) -> np.ndarray:
    """A square picture at `side` pixels a side; averaged where it shrinks."""
    if side == len(picture):
        return picture
    shrinks = side < len(picture)
    return cv2.resize(
        picture, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
