"""The grain that a mark is: what to add to the luma of a mark plane so that it reads as symbols.

The embedder knows the face that it marks. So it cancels what the face itself contributes to a
wrong value, uses what it contributes to a right one, and places the sync where the face already
resembles it most. Then it tries how weak the grain may be and still outlive a codec.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from simswap.watermark import carrier as mark_carrier
from simswap.watermark.carrier import NUM_PATTERNS, PLANE, carrier
from simswap.watermark.code import NUM_SYMBOLS

# Strengths of correlations, in units of the evened-out contrast; a face's own are some 0.5.
RIVAL = 1.3  # at most, of a pattern that means another value
MARGIN = 3.2  # more than a rival, of the pattern that means the value
SYNC = 7.5
SYNC_SEARCH = 6  # px; the sync may be placed so far off
NUM_STEPS = 3  # after them strengths are within 4 % of what was asked for
STEP = 1.0  # of the way that the linear model suggests; more oscillates on high contrast
# How far the grain follows the face's own contrast: 1 in proportion, so that it hides in brows and
# hair; 0 not at all. The reader weighs smooth skin more, so that less hiding outlives more; but of
# a film encoded twice 0.25 outlived less than 0.6.
HIDDEN, LESS_HIDDEN = 1.0, 0.6
# dB, over the mark plane; a grain is as weak as its trial allows, found by bisection between the
# strongest and the weakest of its plane. In the frame it is up to 0.7 dB less: to paste sharpens a
# little, and pixels are rounded.
STRONGEST, STEP_PSNR = 42.7, 0.75
WEAKEST, WEAKEST_SYNC = {128: 49.0, 192: 49.0, 256: 51.0}, 51.0
# The trial is JPEG of this quality, of the plane or of a face that is smaller. By how many standard
# deviations symbols must then be ahead of their rivals, on average, and the sync of nothing: so
# much outlives H.264 and a resize, which take more of fine waves (by train.checks.watermark).
TRIAL_QUALITY = 50
AHEAD, SYNC_AHEAD = {128: 1.9, 192: 2.2, 256: 2.2}, 6.5
HARDLY_AHEAD = 0.8  # of that, by the strongest grain: then it hides less
WHOLE_FACE = 0.3  # of the plane; under a smaller mask the error allowed shrinks with it


@dataclass(frozen=True, eq=False)
class Part:
    """What a grain says: symbols ([10] or None), the sync (its sign, or 0), or both.

    weakest: dB.
    """

    symbols: np.ndarray | None
    sync_sign: float
    weakest: float


# Marked luma of a plane -> how far ahead it is after its trial, 1 for as far as it should be.
Trial = Callable[[np.ndarray], float]


def grain_of(luma: np.ndarray, mask: np.ndarray, symbols: np.ndarray, side: float) -> np.ndarray:
    """What to add to a plane so that it reads as these symbols: [S, S] float32, of 255.

    luma: [S, S] float32, 0 to 255, S one of PLANES; mask: [S, S], 1 where the grain
    is kept; side: px of the frame that the plane covers.
    """
    coarse, coarse_mask = (_resized(picture, PLANE) for picture in (luma, mask))
    shift, sign = _best_place(mark_carrier.whiten(coarse))

    def rolled(picture: np.ndarray, back: int = -1) -> np.ndarray:
        return np.roll(picture, back * np.rint(shift * len(picture) / PLANE).astype(int), (0, 1))

    def weakest(luma: np.ndarray, mask: np.ndarray, part: Part, trial: Trial) -> np.ndarray:
        grain = _weakest(rolled(luma), rolled(mask), part, trial)
        return rolled(grain, 1)

    def of_symbols(marked: np.ndarray) -> float:
        return _symbols_ahead(_worn(marked, side), symbols)

    def of_sync(marked: np.ndarray) -> float:
        return _sync_ahead(_worn(marked, side), sign)

    if len(luma) == PLANE:
        return weakest(luma, mask, Part(symbols, sign, WEAKEST[PLANE]), of_symbols)
    sync = weakest(coarse, coarse_mask, Part(None, sign, WEAKEST_SYNC), of_sync)
    sync = _resized(sync, len(luma))
    only_symbols = Part(symbols, 0.0, WEAKEST[len(luma)])
    return sync + weakest(luma + sync * mask, mask, only_symbols, of_symbols)


def _weakest(luma: np.ndarray, mask: np.ndarray, part: Part, trial: Trial) -> np.ndarray:
    """The weakest grain that stands its trial; if none does, the strongest."""
    steps = np.arange(STRONGEST, part.weakest, STEP_PSNR)
    form = _form(luma, mask, part, HIDDEN)
    ahead = trial(luma + _scaled(form, mask, STRONGEST) * mask)
    if ahead < HARDLY_AHEAD:
        form = _form(luma, mask, part, LESS_HIDDEN)
    if ahead < 1:
        return _scaled(form, mask, STRONGEST)
    first, last = 0, len(steps)  # steps[first] outlives it, steps[last] does not
    middle = last - 1  # enough for most large faces
    while last - first > 1:
        if trial(luma + _scaled(form, mask, steps[middle]) * mask) >= 1:
            first = middle
        else:
            last = middle
        middle = (first + last) // 2
    return _scaled(form, mask, steps[first])


def _form(luma: np.ndarray, mask: np.ndarray, part: Part, hiding: float) -> np.ndarray:
    """A grain of any strength."""
    marks, fine = carrier(len(luma)), mark_carrier.detail(luma)
    gain = mark_carrier.evening(fine)
    room = mask * marks.window * (gain / gain.mean()) ** -hiding
    step = STEP / max(float((room * marks.window * gain).mean()), 1e-6)
    strengths, sync = np.zeros((NUM_SYMBOLS, NUM_PATTERNS), np.float32), 0.0
    rows, grain = np.arange(NUM_SYMBOLS), np.zeros_like(luma)
    if part.symbols is not None:
        patterns = mark_carrier.value_patterns(part.symbols)  # [10, 2]
    for number in range(NUM_STEPS):
        whitened = mark_carrier.clipped((fine + mark_carrier.detail(grain)) * gain)
        found, found_sync = marks.correlate(whitened)
        # Projected gradient on the smallest change that meets every limit.
        if part.symbols is not None:
            if number == 0:
                nearest = np.abs(found[rows[:, None], patterns]).argmax(axis=1)
                chosen = patterns[rows, nearest]
                signs = np.sign(found[rows, chosen])
            wanted = signs * (strengths[rows, chosen] - step * found[rows, chosen])
            strengths = _beyond(strengths - step * found, step * RIVAL)
            strengths[rows, chosen] = signs * np.maximum(wanted + step * (MARGIN + RIVAL), 0)
        if part.sync_sign:
            sync = max(sync + step * (SYNC - part.sync_sign * found_sync), 0.0)
        grain = room * marks.spread(strengths, part.sync_sign * sync)
    return grain


def _best_place(whitened: np.ndarray) -> tuple[np.ndarray, float]:
    """Shift (y, x) in pixels, and sign, at which a plane resembles the sync most as it is."""
    spectrum = np.fft.rfft2(whitened) * np.conj(np.fft.rfft2(carrier().sync))
    nearby = np.arange(-SYNC_SEARCH, SYNC_SEARCH + 1)
    likeness = np.fft.irfft2(spectrum, s=whitened.shape)[np.ix_(nearby, nearby)]
    row, column = np.unravel_index(np.abs(likeness).argmax(), likeness.shape)
    return np.array([nearby[row], nearby[column]]), float(np.sign(likeness[row, column]) or 1)


def _worn(luma: np.ndarray, side: float) -> np.ndarray:
    """A plane after its trial, whitened."""
    side = min(round(side), len(luma))
    picture = np.rint(np.clip(_resized(luma, side), 0, 255)).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, TRIAL_QUALITY])
    worn = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE).astype(np.float32)
    return mark_carrier.whiten(_resized(worn, len(luma)))


def _symbols_ahead(whitened: np.ndarray, symbols: np.ndarray) -> float:
    found, _ = carrier(len(whitened)).correlate(whitened)
    strengths, rows = mark_carrier.value_strengths(found), np.arange(NUM_SYMBOLS)  # [10, 64]
    true = strengths[rows, symbols]
    strengths[rows, symbols] = 0
    ahead = float((true - strengths.max(axis=1)).mean())
    return ahead / max(AHEAD[len(whitened)] * float(found.std()), 1e-9)


def _sync_ahead(whitened: np.ndarray, sign: float) -> float:
    found, sync = carrier().correlate(whitened)
    return sign * sync / max(SYNC_AHEAD * float(found.std()), 1e-9)


def _scaled(grain: np.ndarray, mask: np.ndarray, psnr: float) -> np.ndarray:
    """The grain, weakened or strengthened until its error, as pasted, is what `psnr` allows."""
    error = float(np.mean((grain * mask) ** 2))
    allowed = 255**2 / 10 ** (psnr / 10) * min(1.0, float(mask.mean()) / WHOLE_FACE)
    return grain * np.sqrt(allowed / max(error, 1e-12))


def _beyond(values: np.ndarray, limit: float) -> np.ndarray:
    """What of each value lies beyond -limit to limit."""
    return values - np.clip(values, -limit, limit)


def _resized(picture: np.ndarray, side: int) -> np.ndarray:
    if side == len(picture):
        return picture
    shrinks = side < len(picture)
    return cv2.resize(
        picture, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )
