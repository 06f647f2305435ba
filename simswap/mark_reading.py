"""Reads the invisible mark from pictures of faces, and says how likely chance wrote it.

Landmarks found in a processed picture differ from those that the embedder had: by up to a tenth in
scale, some degrees and a tenth of the face's width (measured). So the sync is looked for over all
such differences at once, by correlation in the frequency domain, and the best of them are refined.

False positives, by design: of one face, 4 alignments are decoded, and in each up to 5 unsure
symbols are swapped for their second best: 128 readings in all. Noise passes checksum and kind, 28
bits, with probability 2^-28, so some reading does with at most 128 / 2^28 = 4.8e-7; no assumption
about pixels is in that. Times the probability that noise is as strong as what was read (Gaussian,
for the symbols' 10 x 128 correlations and for the sync's at SYNC_TRIALS places) it is the reading's
false_positive: how far beyond chance a mark is.
All of that is for pictures without a mark; whoever knows this file can write one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import cv2
import numpy as np

from simswap import geometry, mark_carrier
from simswap.mark_carrier import PLANE, carrier
from simswap.mark_code import NUM_SYMBOLS, REDUNDANT_BITS, bundle_id_of
from simswap.pixel_mark import LUMA
from simswap.types import Face

NUM_ALIGNMENTS = 4
NUM_UNSURE = 5
NUM_READINGS = NUM_ALIGNMENTS * 2**NUM_UNSURE

MARGIN = 16  # px of the plane on each side that are searched too
SIDE = PLANE + 2 * MARGIN
SCALES = np.arange(0.86, 1.19, 0.025)
ANGLES = np.arange(-9.0, 9.1, 1.5)  # degrees
MAX_SHIFT = 18.0  # px of the plane
NUM_FREQUENCIES = 40  # cycles per SIDE that are compared
SEARCH_SIDE = 120  # samples over SIDE: 1.3 px, a fraction of the sync's shortest wave
NUM_REFINED = 8
REFINEMENTS = ((0.012, 0.75, 0.8), (0.006, 0.4, 0.4), (0.003, 0.2, 0.2))  # scale, degrees, px
ROUNDS = 3  # of each refinement
SYNC_TRIALS = 4e6  # 182 turns times 37 x 37 px in steps of a quarter of a pixel: all it may reach


@dataclass(frozen=True, eq=False)
class MarkReading:
    """A mark found on one face.

    bundle_id: 32 bits, which model wrote it: mark_code.mark_id of its bundle's name.
    false_positive: at most this is the probability that a face without a mark reads so.
    face: where; its box and landmarks are in pixels of the picture.
    """

    bundle_id: int
    false_positive: float
    face: Face


@dataclass(frozen=True)
class VideoMark:
    """What the frames of a video (or several photos) say together about one model's mark.

    num_marked of num_frames that were read carry it. false_positive: at most this is the
    probability that frames without a mark read so.
    """

    bundle_id: int
    num_marked: int
    num_frames: int
    false_positive: float


def read_faces(frame: np.ndarray, faces: Sequence[Face]) -> list[MarkReading]:
    """Marks on the faces of a frame ([H, W, 3] uint8 RGB); of faces without one, nothing."""
    readings = []
    for face in faces:
        found = _read(_plane_of(frame, face))
        if found is not None:
            readings.append(MarkReading(*found, face))
    return readings


def combine_readings(frames: Sequence[Sequence[MarkReading]]) -> list[VideoMark]:
    """One verdict per model over the readings of many frames, the surest first.

    frames: what read_faces gave for each frame, nothing included. Frames resemble each other, so
    that they are no independent witnesses: the best one counts, times the number of frames.
    """
    best: dict[int, float] = {}
    marked: dict[int, int] = {}
    for readings in frames:
        for reading in readings:
            known = best.get(reading.bundle_id, 1.0)
            best[reading.bundle_id] = min(known, reading.false_positive)
        for bundle_id in {reading.bundle_id for reading in readings}:
            marked[bundle_id] = marked.get(bundle_id, 0) + 1
    marks = [
        VideoMark(bundle_id, marked[bundle_id], len(frames), min(1.0, chance * len(frames)))
        for bundle_id, chance in best.items()
    ]
    return sorted(marks, key=lambda mark: mark.false_positive)


def _plane_of(frame: np.ndarray, face: Face) -> np.ndarray:
    """The luma around a face, [160, 160] float32: the mark plane and MARGIN around it."""
    transform = geometry.frame_to_crop_transform(face.landmarks, mark_carrier.TEMPLATE, PLANE)
    transform = transform + np.array([[0, 0, MARGIN], [0, 0, MARGIN]])
    if geometry.scale_of(transform) < 1:
        return geometry.warp_to_crop(frame, transform, SIDE).astype(np.float32) @ LUMA
    # Enlarged linearly, the mark's finest waves would fade.
    border = cv2.BORDER_REPLICATE
    crop = cv2.warpAffine(frame, transform, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=border)
    return crop.astype(np.float32) @ LUMA


def _read(luma: np.ndarray) -> tuple[int, float] | None:
    """The bundle id in a [160, 160] luma picture around a face, and its false_positive."""
    whitened = mark_carrier.whiten(luma)
    guesses, noise = _search(whitened)
    refined = [_refine(whitened, guess) for guess in guesses]
    refined.sort(key=lambda alignment: -alignment[0])
    for likeness, plane in refined[:NUM_ALIGNMENTS]:
        bundle_id, chance = _decode(plane)
        if bundle_id is not None:
            chance *= min(1.0, SYNC_TRIALS * _outside(likeness / noise))
            # Two independent probabilities, combined by Fisher's method.
            chance *= 1 - math.log(max(chance, 1e-300))
            return bundle_id, NUM_READINGS * 2.0**-REDUNDANT_BITS * min(1.0, chance)
    return None


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


def _refine(whitened: np.ndarray, guess: np.ndarray) -> tuple[float, np.ndarray]:
    """Climb to the best alignment near a guess: its likeness to the sync, and the plane there."""
    likeness, plane = _aligned(whitened, guess)
    for scale, degrees, pixels in REFINEMENTS:
        moves = np.diag([scale, degrees, pixels, pixels])[[2, 3, 0, 1]]
        for _ in range(ROUNDS):
            has_moved = False
            for move, sign in product(moves, (1, -1)):
                other, other_plane = _aligned(whitened, guess + sign * move)
                if other > likeness:
                    guess = guess + sign * move
                    likeness, plane, has_moved = other, other_plane, True
            if not has_moved:
                break
    return likeness, plane


def _aligned(whitened: np.ndarray, alignment: np.ndarray) -> tuple[float, np.ndarray]:
    plane_to_side = _turned(*alignment[:2])
    plane_to_side[:, 2] += alignment[2:] + plane_to_side[:, :2] @ [MARGIN, MARGIN]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    plane = cv2.warpAffine(whitened, plane_to_side, (PLANE, PLANE), flags=flags)
    return abs(float(np.vdot(plane, carrier().sync))), plane


def _decode(plane: np.ndarray) -> tuple[int | None, float]:
    """The id that an aligned, whitened plane reads as, and how likely noise is as strong."""
    correlations, _ = carrier().correlate(plane)
    strengths = mark_carrier.value_strengths(correlations)  # [10, 64]
    ranked = np.argsort(-strengths, axis=1)[:, :2]
    first, second = np.take_along_axis(strengths, ranked, axis=1).T
    unsure = np.argsort(first - second)[:NUM_UNSURE]
    rows, rank = np.arange(NUM_SYMBOLS), np.zeros(NUM_SYMBOLS, int)
    for rank[unsure] in product((0, 1), repeat=NUM_UNSURE):
        bundle_id = bundle_id_of(ranked[rows, rank])
        if bundle_id is not None:
            return bundle_id, _chance_of(first / max(float(correlations.std()), 1e-9))
    return None, 1.0


def _chance_of(peaks: np.ndarray) -> float:
    """Probability that noise is as strong: largest of 128 Gaussians for each of [10] symbols.

    The ten probabilities are combined by Fisher's method, whose tail has a closed form.
    """
    inside = [math.log1p(-min(_outside(float(peak)), 1 - 1e-12)) for peak in peaks]
    evidence = -sum(
        math.log(max(-math.expm1(mark_carrier.NUM_PATTERNS * share), 1e-300)) for share in inside
    )
    terms = (evidence**k / math.factorial(k) for k in range(NUM_SYMBOLS))
    return min(1.0, math.exp(-evidence) * sum(terms))


def _outside(deviations: float) -> float:
    """Probability that a Gaussian is so many standard deviations off, to either side."""
    return math.erfc(deviations / math.sqrt(2))


@lru_cache(maxsize=1)
def _sync_bank() -> tuple[np.ndarray, np.ndarray]:
    """Alignments [N, 2] (scale, degrees), and the sync's conjugate spectrum in each."""
    sync = np.pad(carrier().sync, MARGIN)
    grid = np.array(list(product(SCALES, ANGLES)))
    spectra = []
    for scale, degrees in grid:
        turned = cv2.warpAffine(sync, _turned(scale, degrees), (SIDE, SIDE), flags=cv2.INTER_CUBIC)
        spectra.append(_low(np.conj(np.fft.rfft2(turned / np.linalg.norm(turned)))))
    return grid, np.stack(spectra).astype(np.complex64)


def _low(spectrum: np.ndarray) -> np.ndarray:
    """The low rows of a half spectrum: frequencies 0 to 39, then -40 to -1, by 0 to 40."""
    count = NUM_FREQUENCIES
    return np.concatenate([spectrum[:count, : count + 1], spectrum[-count:, : count + 1]])


def _turned(scale: float, degrees: float) -> np.ndarray:
    """[2, 3]: scaled and turned about the middle of the searched square."""
    middle, angle = (SIDE - 1) / 2, np.radians(degrees)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]])
    return np.concatenate([linear, (middle - linear @ [middle, middle])[:, None]], axis=1)
