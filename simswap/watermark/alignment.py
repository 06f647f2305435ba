"""Finds how the watermark may lie in a picture of a face: planes that a reader can decode.

Landmarks found in a processed picture differ from those that the embedder had: by up to a tenth in
scale, 11 degrees and a tenth of the face's width (measured). So the sync is looked for over all
such differences at once, by correlation in the frequency domain, and the best of them are refined:
first by the sync, then by the symbols too, whatever they say. The sync alone leaves half a pixel
to chance, which costs a symbol or two of a watermark that a codec has worn (measured).

Symbols are looked for on every plane whose waves a face of this size can show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import product

import cv2
import numpy as np

from simswap import geometry
from simswap.types import Face
from simswap.watermark import carrier as watermark_carrier
from simswap.watermark.carrier import PLANE, PLANES, carrier
from simswap.watermark.embedding import LUMA

NUM_ALIGNMENTS = 4

MARGIN = 16  # px of the plane on each side that are searched too
SIDE = PLANE + 2 * MARGIN
MIRROR = np.array([[-1.0, 0, PLANE - 1], [0, 1, 0]])
SCALES = np.arange(0.86, 1.19, 0.025)
ANGLES = np.arange(-12.0, 12.1, 1.5)  # degrees
MAX_SHIFT = 18.0  # px of the plane
NUM_FREQUENCIES = 40  # cycles per SIDE that are compared
SEARCH_SIDE = 120  # samples over SIDE: 1.3 px, a fraction of the sync's shortest wave
NUM_REFINED = 8
Steps = Sequence[tuple[float, float, float]]  # scale, degrees, px
BY_SYNC: Steps = ((0.012, 0.75, 0.8), (0.006, 0.4, 0.4), (0.003, 0.2, 0.2))
FINER: Steps = (*BY_SYNC[1:], (0.0015, 0.1, 0.1))
BY_SYMBOLS: Mapping[int, Steps] = {plane: FINER for plane in PLANES} | {PLANE: BY_SYNC[1:]}
ROUNDS = 3  # of each step
SAME = np.array([0.012, 0.75, 0.8, 0.8])  # alignments that differ less are one
SYNC_TRIALS = 5.3e6  # 238 turns times 37 x 37 px in steps of a quarter of a pixel: all it may reach
NUM_FINE = 3  # of the refined alignments, those in which fine symbols are looked for
SMALLEST_READ = 60.0  # px of the frame for each 128 of a plane; below, its waves are gone
# Alignments that symbols are compared in.
SYMBOL_TRIALS = sum(1 + 8 * ROUNDS * len(steps) for steps in BY_SYMBOLS.values())


@dataclass(frozen=True, eq=False)
class AlignedPlane:
    """Whitened luma of a face ([S, S] float32) as it lies if a watermark is there.

    sync: likeness to the sync, in standard deviations of that of pictures without a watermark.
    """

    plane: np.ndarray
    sync: float


@dataclass(frozen=True, eq=False)
class _Found:
    energy: float
    alignment: np.ndarray
    plane: int
    sync: float


def find_planes(frame: np.ndarray, face: Face, is_mirrored: bool = False) -> list[AlignedPlane]:
    """At most NUM_ALIGNMENTS, the likeliest first, of a face of a frame ([H, W, 3] uint8 RGB).

    is_mirrored: look at it in a mirror.
    """
    to_plane = geometry.frame_to_crop_transform(face.landmarks, watermark_carrier.TEMPLATE, PLANE)
    if is_mirrored:
        to_plane = geometry.compose(to_plane, MIRROR)
    to_side = to_plane + np.array([[0, 0, MARGIN], [0, 0, MARGIN]])
    whitened = _whitened(frame, to_side, SIDE)
    guesses, noise = _search(whitened)
    by_sync = partial(_sync_in, whitened)
    refined = sorted((_climb(guess, BY_SYNC, by_sync) for guess in guesses), key=lambda r: -r[0])
    found = []
    for plane in PLANES:
        if plane > PLANE:
            times = plane / PLANE
            if PLANE / geometry.scale_of(to_plane) < SMALLEST_READ * times:
                break
            enlarged = geometry.compose(to_side, geometry.resize_transform(times))
            whitened, refined = _whitened(frame, enlarged, round(SIDE * times)), refined[:NUM_FINE]
        by_symbols = partial(_symbols_in, whitened)
        for likeness, guess in refined:
            energy, alignment = _climb(guess, BY_SYMBOLS[plane], by_symbols)
            found.append(_Found(energy, alignment, plane, likeness / noise))
    planes = []
    for best in _distinct(found):
        # Cut from the frame once more: turned twice, the watermark's finest waves would fade.
        side_to_plane = geometry.invert(_plane_to_side(best.alignment))
        to_fine = geometry.resize_transform(best.plane / PLANE)
        transform = geometry.compose(geometry.compose(to_side, side_to_plane), to_fine)
        planes.append(AlignedPlane(_whitened(frame, transform, best.plane), best.sync))
    return planes


def _whitened(frame: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    # Interpolated linearly, the watermark's finest waves would fade.
    crop = geometry.warp_to_crop(frame, transform, size, cv2.INTER_CUBIC)
    return watermark_carrier.whiten(crop.astype(np.float32) @ LUMA)


def _search(whitened: np.ndarray) -> tuple[list[np.ndarray], float]:
    """The likeliest alignments, [4] each: scale, degrees, x and y shift in pixels of the plane.

    And how much likeness to the sync varies where there is none: its standard deviation.
    """
    grid, bank = _sync_bank()
    spectra = _low(np.fft.rfft2(whitened).astype(np.complex64)) * bank
    padded = np.zeros((len(bank), SEARCH_SIDE, SEARCH_SIDE // 2 + 1), np.complex64)
    count = NUM_FREQUENCIES
    padded[:, :count, : count + 1] = spectra[:, :count]
    padded[:, -count:, : count + 1] = spectra[:, count:]
    reach = round(MAX_SHIFT * SEARCH_SIDE / SIDE)
    nearby = np.arange(-reach, reach + 1)
    # Padded, the transform divides by more samples than the spectrum came from.
    likeness = np.fft.irfft2(padded, s=(SEARCH_SIDE, SEARCH_SIDE)) * (SEARCH_SIDE / SIDE) ** 2
    likeness = likeness[:, nearby[:, None], nearby[None, :]].reshape(len(bank), -1)
    noise = max(float(likeness.std()), 1e-9)
    likeness = np.abs(likeness)
    place = likeness.argmax(axis=1)
    best = np.argsort(-likeness.max(axis=1))[:NUM_REFINED]
    row, column = np.divmod(place[best], len(nearby))
    shifts = np.stack([nearby[column], nearby[row]], axis=1) * (SIDE / SEARCH_SIDE)
    return list(np.concatenate([grid[best], shifts], axis=1)), noise


def _climb(
    alignment: np.ndarray, steps: Steps, worth: Callable[[np.ndarray], float]
) -> tuple[float, np.ndarray]:
    """The best alignment near another, and its worth."""
    best = worth(alignment)
    for scale, degrees, pixels in steps:
        moves = np.diag([scale, degrees, pixels, pixels])[[2, 3, 0, 1]]
        for _ in range(ROUNDS):
            has_moved = False
            for move, sign in product(moves, (1, -1)):
                other = worth(alignment + sign * move)
                if other > best:
                    alignment, best, has_moved = alignment + sign * move, other, True
            if not has_moved:
                break
    return best, alignment


def _distinct(found: Sequence[_Found]) -> list[_Found]:
    """The best few, without those that are as good as the same."""
    kept: list[_Found] = []
    for one in sorted(found, key=lambda one: -one.energy):
        if all(
            one.plane != other.plane or (np.abs(one.alignment - other.alignment) > SAME).any()
            for other in kept
        ):
            kept.append(one)
    return kept[:NUM_ALIGNMENTS]


def _sync_in(whitened: np.ndarray, alignment: np.ndarray) -> float:
    return abs(float(np.vdot(_turned(whitened, alignment), carrier().sync)))


def _symbols_in(whitened: np.ndarray, alignment: np.ndarray) -> float:
    """How clear a watermark is in an alignment: energy of its sync and of the best values."""
    turned = _turned(whitened, alignment)
    correlations, sync = carrier(len(turned)).correlate(turned)
    return sync**2 + float((watermark_carrier.value_strengths(correlations).max(axis=1) ** 2).sum())


def _turned(whitened: np.ndarray, alignment: np.ndarray) -> np.ndarray:
    """The plane in a searched square ([S, S]) of any fineness."""
    transform, times = _plane_to_side(alignment), len(whitened) / SIDE
    if times > 1:
        transform = geometry.compose(geometry.resize_transform(1 / times), transform)
        transform = geometry.compose(transform, geometry.resize_transform(times))
    size, flags = round(PLANE * times), cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(whitened, transform, (size, size), flags=flags)


def _plane_to_side(alignment: np.ndarray) -> np.ndarray:
    transform = _about_middle(*alignment[:2])
    transform[:, 2] += alignment[2:] + transform[:, :2] @ [MARGIN, MARGIN]
    return transform


@lru_cache(maxsize=1)
def _sync_bank() -> tuple[np.ndarray, np.ndarray]:
    """Alignments [N, 2] (scale, degrees), and the sync's conjugate spectrum in each."""
    sync = np.pad(carrier().sync, MARGIN)
    grid = np.array(list(product(SCALES, ANGLES)))
    spectra = []
    for turn in grid:
        turned = cv2.warpAffine(sync, _about_middle(*turn), (SIDE, SIDE), flags=cv2.INTER_CUBIC)
        spectra.append(_low(np.conj(np.fft.rfft2(turned / np.linalg.norm(turned)))))
    return grid, np.stack(spectra).astype(np.complex64)


def _low(spectrum: np.ndarray) -> np.ndarray:
    """The low rows of a half spectrum: frequencies 0 to 39, then -40 to -1, by 0 to 40."""
    count = NUM_FREQUENCIES
    return np.concatenate([spectrum[:count, : count + 1], spectrum[-count:, : count + 1]])


def _about_middle(scale: float, degrees: float) -> np.ndarray:
    """[2, 3]: scaled and turned about the middle of the searched square."""
    middle, angle = (SIDE - 1) / 2, np.radians(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    return np.concatenate([linear, (middle - linear @ [middle, middle])[:, None]], axis=1)
