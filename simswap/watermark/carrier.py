"""The watermark's carrier: which pattern of brightness stands for which symbol.

Everything happens on the watermark plane: the luma of a face, 128 x 128 pixels, aligned to one
landmark template whatever the model's own crops are. There a watermark is a sum of cosines of 16 to
31 cycles per plane, of which each has a pseudo-random sign. Lower ones would have to be stronger
than a face's own features, higher ones do not outlive a resize or a video codec (both measured); on
larger faces they do, so that their symbols have finer planes.

A symbol owns 128 cosines and says its value by one of 128 orthogonal patterns of signs (Hadamard),
or that pattern's negative: four of those 256 mean the same value, and the embedder takes the one
that the face itself is nearest to. The other cosines are the sync: one fixed pattern that tells a
reader how its landmarks differ from those of the embedder.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from simswap.watermark.code import NUM_SYMBOLS, NUM_VALUES

TEMPLATE = "simswap_frontal"
PLANE = 128  # px, side of the watermark plane
# Larger faces carry their symbols on finer planes: a finer grain is seen less, and spread over more
# pixels it may be weaker. The sync stays on the first one.
PLANES = (PLANE, 192, 256)
NUM_PATTERNS = 128  # of each symbol, without their negatives
# Half-cycles per 128 px of a plane, as the DCT counts them.
LOWEST, HIGHEST = 32.0, 62.0
LOWEST_SYNC = 36.0
NUM_SYNC = 880  # cosines
SIGNAL_SLOPE, SYNC_SLOPE = 1.0, 1.5  # amplitude grows with frequency, as a face's own falls
SLOPE_REFERENCE = 48.0  # half-cycles, where the amplitude is 1
SEED = 20260802  # Article 50 applies from that day; readers and embedders must agree on it

# Whitening: detail of a face is some ten times stronger at an eye than on a cheek.
DETAIL_SIGMA = 1.6  # px; coarser structure is no carrier
CONTRAST_SIGMA = 5.0  # px; how local the contrast is that is evened out
CONTRAST_FLOOR = 5.0  # of 255: below that nothing is amplified
CLIP = 3.0  # local contrasts; a highlight shall not outvote the rest

# Where on the plane the watermark lies: an ellipse on forehead to chin, faded.
CENTRE, RADII, FADE = (63.5, 61.0), (46.0, 58.0), 0.3


@dataclass(frozen=True, eq=False)
class Carrier:
    """Constants of the watermark on a plane of S x S pixels, all float32 unless said otherwise.

    window: [S, S], 0 to 1. symbol_index, sync_index: rows and columns of their cosines.
    symbol_signs: [10, 128], sync_signs: [num_sync], signs times amplitudes. patterns: [128, 128],
    orthonormal and symmetric. sync: [S, S], the sync as a picture of unit norm. A fine plane has no
    sync: num_sync is 0, `sync` is blank, and its strength 0.
    """

    window: np.ndarray
    symbol_index: tuple[np.ndarray, np.ndarray]
    sync_index: tuple[np.ndarray, np.ndarray]
    symbol_signs: np.ndarray
    sync_signs: np.ndarray
    patterns: np.ndarray
    sync: np.ndarray
    sync_norm: float

    def correlate(self, whitened: np.ndarray) -> tuple[np.ndarray, float]:
        """How strongly a whitened plane [S, S] shows each pattern [10, 128], and the sync."""
        spectrum = cv2.dct(whitened * self.window)
        chips = spectrum[self.symbol_index].reshape(self.symbol_signs.shape) * self.symbol_signs
        sync = float(spectrum[self.sync_index] @ self.sync_signs)
        return chips @ self.patterns, sync / self.sync_norm

    def spread(self, strengths: np.ndarray, sync_strength: float) -> np.ndarray:
        """The [S, S] picture of patterns of these strengths [10, 128], and of the sync."""
        spectrum = np.zeros(self.window.shape, np.float32)
        spectrum[self.symbol_index] = ((strengths @ self.patterns) * self.symbol_signs).ravel()
        spectrum[self.sync_index] = self.sync_signs * np.float32(sync_strength / self.sync_norm)
        return cv2.idct(spectrum)


def detail(luma: np.ndarray) -> np.ndarray:
    """Fine structure of a float32 luma picture, 0 to 255."""
    return luma - cv2.GaussianBlur(luma, (0, 0), DETAIL_SIGMA)


def contrast_gain(fine: np.ndarray) -> np.ndarray:
    """Gain that evens out the local contrast of fine structure."""
    return 1 / (np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), CONTRAST_SIGMA)) + CONTRAST_FLOOR)


def whiten(luma: np.ndarray) -> np.ndarray:
    """Fine structure of a float32 luma picture, 0 to 255: its contrast evened out, outliers cut."""
    fine = detail(luma)
    return np.clip(fine * contrast_gain(fine), -CLIP, CLIP)


@cache
def carrier(plane: int = PLANE) -> Carrier:
    """The one carrier of planes of so many pixels: pseudo-random, the same on every machine."""
    random = np.random.RandomState(SEED)  # its streams are frozen, unlike default_rng's
    index = np.arange(plane) * (PLANE / plane)
    frequency = np.hypot(index[:, None], index[None, :])
    cosines = np.argwhere((frequency >= LOWEST) & (frequency < HIGHEST))
    cosines = cosines[random.permutation(len(cosines))]
    of_cosines = np.hypot(*cosines.T) * (PLANE / plane)
    num_sync = NUM_SYNC if plane == PLANE else 0
    for_sync = np.flatnonzero(of_cosines >= LOWEST_SYNC)[:num_sync]
    is_sync = np.zeros(len(cosines), bool)
    is_sync[for_sync] = True
    for_symbols = np.flatnonzero(~is_sync)[: NUM_SYMBOLS * NUM_PATTERNS]
    symbol_index, sync_index = tuple(cosines[for_symbols].T), tuple(cosines[for_sync].T)
    symbol_signs = _signs(random, of_cosines[for_symbols], SIGNAL_SLOPE)
    sync_signs = _signs(random, of_cosines[for_sync], SYNC_SLOPE)
    spectrum = np.zeros((plane, plane), np.float32)
    spectrum[sync_index] = sync_signs
    window = _window(plane)
    sync = cv2.idct(spectrum) * window
    return Carrier(
        window=window,
        symbol_index=symbol_index,
        sync_index=sync_index,
        symbol_signs=symbol_signs.reshape(NUM_SYMBOLS, NUM_PATTERNS),
        sync_signs=sync_signs,
        patterns=_hadamard(NUM_PATTERNS),
        sync=sync / (float(np.linalg.norm(sync)) or 1.0),
        sync_norm=float(np.linalg.norm(sync_signs)) or 1.0,
    )


def value_strengths(correlations: np.ndarray) -> np.ndarray:
    """[10, 128] correlations with the patterns -> [10, 64] with the values, whatever the sign."""
    return np.abs(correlations).reshape(NUM_SYMBOLS, -1, NUM_VALUES).max(axis=1)


def _signs(random: np.random.RandomState, frequency: np.ndarray, slope: float) -> np.ndarray:
    signs = random.choice([-1.0, 1.0], len(frequency))
    return (signs * (frequency / SLOPE_REFERENCE) ** slope).astype(np.float32)


def _hadamard(size: int) -> np.ndarray:
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix / np.float32(np.sqrt(size))


def _window(plane: int) -> np.ndarray:
    position = np.arange(plane) * (PLANE / plane)
    x, y = (position - CENTRE[0]) / RADII[0], (position - CENTRE[1]) / RADII[1]
    distance = np.hypot(y[:, None], x[None, :])
    ramp = np.clip((1 + FADE / 3 - distance) / FADE, 0, 1)
    return (ramp * ramp * (3 - 2 * ramp)).astype(np.float32)
