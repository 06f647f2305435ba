"""Reads the watermark from pictures of faces, and says how likely chance wrote it.

False positives, by design: of one face, 4 alignments are decoded, in each the 64 likeliest sets of
symbols, and 4 in a mirror with 3 sets each: 268 readings in all. How alignments and sets are chosen
does not depend on the checksum. Noise passes checksum and kind, 28 bits, with probability 2^-28, so
some reading does with at most 268 / 2^28 = 1e-6; no assumption about pixels is in that. Times the
probability that noise is as strong as what was read (Gaussian, for the symbols' 10 x 128
correlations at SYMBOL_TRIALS places and for the sync's at SYNC_TRIALS, twice as many in a mirror)
it is the reading's false_positive: how far beyond chance a watermark is.
All of that is for pictures without one; whoever knows this file can write one.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from simswap.types import Face
from simswap.watermark import carrier as watermark_carrier
from simswap.watermark.alignment import NUM_ALIGNMENTS, SYMBOL_TRIALS, SYNC_TRIALS, find_planes
from simswap.watermark.carrier import carrier
from simswap.watermark.code import NUM_SYMBOLS, NUM_VALUES, REDUNDANT_BITS, bundle_id_of

NUM_SETS = 64  # of symbols that are tried in each alignment
NUM_MIRRORED_SETS = 3  # the same in a mirror
MOST_MIRRORED = 8  # faces, the largest, that are looked at in one; a picture is mirrored as a whole
NUM_READINGS = NUM_ALIGNMENTS * (NUM_SETS + NUM_MIRRORED_SETS)


@dataclass(frozen=True, eq=False)
class WatermarkReading:
    """A watermark found on one face.

    bundle_id: 32 bits, which model wrote it: code.watermark_id of its bundle's name.
    false_positive: at most this is the probability that a face without a watermark reads so.
    face: where; its box and landmarks are in pixels of the picture.
    """

    bundle_id: int
    false_positive: float
    face: Face


@dataclass(frozen=True)
class VideoWatermark:
    """What the frames of a video (or several photos) say together about one model's watermark.

    num_marked of num_frames that were read carry it. false_positive: at most this is the
    probability that frames without a watermark read so.
    """

    bundle_id: int
    num_marked: int
    num_frames: int
    false_positive: float


def read_faces(frame: np.ndarray, faces: Sequence[Face]) -> list[WatermarkReading]:
    """Marks on the faces of a frame ([H, W, 3] uint8 RGB); of faces without one, nothing.

    faces: the largest first. Where none has one, the frame may have been mirrored since.
    """
    readings = [_read(frame, face) for face in faces]
    if not any(readings):
        readings = [_read(frame, face, is_mirrored=True) for face in faces[:MOST_MIRRORED]]
    return [reading for reading in readings if reading is not None]


def combine_readings(frames: Sequence[Sequence[WatermarkReading]]) -> list[VideoWatermark]:
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
    watermarks = [
        VideoWatermark(bundle_id, marked[bundle_id], len(frames), min(1.0, chance * len(frames)))
        for bundle_id, chance in best.items()
    ]
    return sorted(watermarks, key=lambda watermark: watermark.false_positive)


def _read(frame: np.ndarray, face: Face, is_mirrored: bool = False) -> WatermarkReading | None:
    for aligned in find_planes(frame, face, is_mirrored):
        bundle_id, chance = _decode(aligned.plane, NUM_MIRRORED_SETS if is_mirrored else NUM_SETS)
        if bundle_id is not None:
            views = 2 if is_mirrored else 1
            chance = min(1.0, views * SYMBOL_TRIALS * chance)
            chance *= min(1.0, views * SYNC_TRIALS * _outside(aligned.sync))
            # Two independent probabilities, combined by Fisher's method.
            chance *= 1 - math.log(max(chance, 1e-300))
            by_design = NUM_READINGS * 2.0**-REDUNDANT_BITS
            return WatermarkReading(bundle_id, by_design * min(1.0, chance), face)
    return None


def _decode(plane: np.ndarray, num_sets: int) -> tuple[int | None, float]:
    """The id that an aligned, whitened plane reads as, and how likely noise is as strong."""
    correlations, _ = carrier(len(plane)).correlate(plane)
    strengths = watermark_carrier.value_strengths(correlations)  # [10, 64]
    for symbols in islice(likeliest_sets(strengths), num_sets):
        bundle_id = bundle_id_of(symbols)
        if bundle_id is not None:
            return bundle_id, _chance_of(
                strengths.max(axis=1) / max(float(correlations.std()), 1e-9)
            )
    return None, 1.0


def likeliest_sets(strengths: np.ndarray) -> Iterator[np.ndarray]:
    """Sets of symbols [10], by how much weaker they are in all than the strongest of [10, 64]."""
    order = np.argsort(-strengths, axis=1)
    ranked = np.take_along_axis(strengths, order, axis=1)
    rows = np.arange(NUM_SYMBOLS)
    sets = [(0.0, (0,) * NUM_SYMBOLS, 0)]
    while sets:
        loss, ranks, first = heapq.heappop(sets)
        yield order[rows, ranks]
        # Ranks rise from left to right only, so that no set comes twice.
        for place in range(first, NUM_SYMBOLS):
            rank = ranks[place] + 1
            if rank < NUM_VALUES:
                more = float(ranked[place, rank - 1] - ranked[place, rank])
                weaker = (*ranks[:place], rank, *ranks[place + 1 :])
                heapq.heappush(sets, (loss + more, weaker, place))


def _chance_of(peaks: np.ndarray) -> float:
    """Probability that noise is as strong: largest of 128 Gaussians for each of [10] symbols.

    The ten probabilities are combined by Fisher's method, whose tail has a closed form.
    """
    inside = [math.log1p(-min(_outside(float(peak)), 1 - 1e-12)) for peak in peaks]
    evidence = -sum(
        math.log(max(-math.expm1(watermark_carrier.NUM_PATTERNS * share), 1e-300))
        for share in inside
    )
    terms = (evidence**k / math.factorial(k) for k in range(NUM_SYMBOLS))
    return min(1.0, math.exp(-evidence) * sum(terms))


def _outside(deviations: float) -> float:
    """Probability that a Gaussian is so many standard deviations off, to either side."""
    return math.erfc(deviations / math.sqrt(2))
