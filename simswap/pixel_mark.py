"""Writes the invisible mark into swapped crops: crops in, crops out, no networks.

The embedder knows the face that it marks. So it cancels what the face itself contributes to a
wrong value, uses what it contributes to a right one, and places the sync where the face already
resembles it most. What then meets the reader's margins is made as strong as PSNR allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from simswap import geometry, mark_carrier
from simswap.mark_carrier import NUM_PATTERNS, PLANE, Carrier, carrier
from simswap.mark_code import NUM_SYMBOLS, symbols_of

# Strengths of correlations, in units of the evened-out contrast; a face's own are some 0.5.
RIVAL = 1.3  # at most, of a pattern that means another value
MARGIN = 3.2  # more than a rival, of the pattern that means the value
SYNC = 7.5
SYNC_SEARCH = 6  # px; the sync may be placed so far off
NUM_STEPS = 3  # after them strengths are within 4 % of what was asked for
STEP = 1.0  # of the way that the linear model suggests; more oscillates on high contrast
# How far the grain follows the face's own contrast: 0 not at all, 1 in proportion. It is seen on
# smooth skin and hides in brows and hair, but the reader weighs smooth skin more: a resize or
# codec took up to 4 % of 300 marks with 1, 2 % with 0.75, 1.3 % with 0.35; of softer swaps since
# 2.3 % with 0.35, and 2 % with this and 0.1 dB more.
HIDING = 0.25
# dB, over the mark plane; every mark is scaled to it. In the frame it is up to 0.7 less: to paste
# sharpens a little, and pixels are rounded. On a face as small as a resize or a codec leaves it
# legible (both measured), all of this is needed. The larger a face, the coarser the grain and the
# more it is seen (at 900 px as blotches), and the less is lost on the way: so it gets weaker.
PSNR = 42.7
LARGE = 200.0  # px of the frame that the mark plane covers; from here on it weakens
WEAKENING = 0.7  # dB for each doubling; with 1.5 codecs took the marks of large smooth faces
WEAKEST = 50.0  # dB
WHOLE_FACE = 0.3  # of the plane; under a smaller mask the error allowed shrinks with it
SMALLEST = 100.0  # px of the frame that the mark plane must cover; on smaller faces it is lost

LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True, eq=False)
class FaceCrop:
    """A swapped crop about to be pasted: all that the mark depends on.

    swapped: [S, S, 3] float32 RGB in [0, 1]; target: [S, S, 3] uint8 RGB, what it is pasted over;
    mask: [S, S] float32, 1 where `swapped` is kept; landmarks: [5, 2] (x, y) in crop pixels.
    side: px of the frame that the mark plane covers, see side_in_frame.
    """

    swapped: np.ndarray
    target: np.ndarray
    mask: np.ndarray
    landmarks: np.ndarray
    side: float


def side_in_frame(landmarks: np.ndarray) -> float:
    """Pixels of the frame that the mark plane of a face covers; landmarks: [5, 2] in the frame.

    Below SMALLEST a face cannot carry a mark.
    """
    frame_to_plane = geometry.frame_to_crop_transform(landmarks, mark_carrier.TEMPLATE, PLANE)
    return PLANE / geometry.scale_of(frame_to_plane)


def allowed_psnr(side: float) -> float:
    """How far in dB a mark may change the plane of a face that covers `side` px of the frame."""
    return min(PSNR + WEAKENING * max(np.log2(side / LARGE), 0.0), WEAKEST)


def told_if_unmarked(num_faces: int) -> tuple[str, ...]:
    """The notice about faces that are too small for the mark; none if there are none."""
    if not num_faces:
        return ()
    faces = "1 face is" if num_faces == 1 else f"{num_faces} faces are"
    return (f"{faces} too small to carry the invisible mark.",)


def mark_crops(faces: Sequence[FaceCrop], bundle_id: int) -> list[np.ndarray]:
    """The swapped crops ([S, S, 3] float32 RGB in [0, 1]) with the mark of a model in them.

    Only brightness changes, where the mask is not 0. bundle_id: 32 bits, see mark_code.mark_id.
    """
    symbols = symbols_of(bundle_id)
    return [_mark_crop(face, symbols) for face in faces]


def _mark_crop(face: FaceCrop, symbols: np.ndarray) -> np.ndarray:
    size = len(face.mask)
    crop_to_plane = geometry.frame_to_crop_transform(face.landmarks, mark_carrier.TEMPLATE, PLANE)
    mask = face.mask[..., None]
    pasted = (face.swapped * mask) * 255 + face.target * (1 - mask)
    luma, mask = pasted @ LUMA, face.mask
    # A crop aligned like the plane, as the bundled model's are, need not be resampled.
    is_plane = size == PLANE and np.allclose(crop_to_plane, np.eye(2, 3), atol=1e-3)
    if not is_plane:
        luma, mask = (_warp(picture, crop_to_plane, PLANE) for picture in (luma, mask))
    change = _change(luma, np.clip(mask, 0, 1), symbols, allowed_psnr(face.side))
    if not is_plane:
        change = _warp(change, geometry.invert(crop_to_plane), size)
    return np.clip(face.swapped + change[..., None] / 255, 0, 1)


def _change(luma: np.ndarray, mask: np.ndarray, symbols: np.ndarray, psnr: float) -> np.ndarray:
    """What to add to the luma of a plane so that it reads as these symbols: [128, 128], of 255."""
    marks, fine = carrier(), mark_carrier.detail(luma)
    gain = mark_carrier.evening(fine)
    shift, sign = _best_place(marks, mark_carrier.clipped(fine * gain))
    fine, gain, mask = (np.roll(picture, -shift, (0, 1)) for picture in (fine, gain, mask))
    room = mask * marks.window * (gain / gain.mean()) ** -HIDING
    step = STEP / max(float((room * marks.window * gain).mean()), 1e-6)
    strengths, sync = np.zeros((NUM_SYMBOLS, NUM_PATTERNS), np.float32), 0.0
    rows, change = np.arange(NUM_SYMBOLS), np.zeros_like(luma)
    patterns = mark_carrier.value_patterns(symbols)  # [10, 2]
    for number in range(NUM_STEPS):
        whitened = mark_carrier.clipped((fine + mark_carrier.detail(change)) * gain)
        found, found_sync = marks.correlate(whitened)
        if number == 0:
            nearest = np.abs(found[rows[:, None], patterns]).argmax(axis=1)
            chosen = patterns[rows, nearest]
            signs = np.sign(found[rows, chosen])
        # Projected gradient on the smallest change that meets every limit.
        wanted = signs * (strengths[rows, chosen] - step * found[rows, chosen])
        strengths = _beyond(strengths - step * found, step * RIVAL)
        strengths[rows, chosen] = signs * np.maximum(wanted + step * (MARGIN + RIVAL), 0)
        sync = max(sync + step * (SYNC - sign * found_sync), 0.0)
        change = room * marks.spread(strengths, sign * sync)
    return np.roll(_scaled(change, mask, psnr), shift, (0, 1))


def _best_place(marks: Carrier, whitened: np.ndarray) -> tuple[np.ndarray, float]:
    """Shift (y, x) in pixels, and sign, at which a plane resembles the sync most as it is."""
    spectrum = np.fft.rfft2(whitened) * np.conj(np.fft.rfft2(marks.sync))
    nearby = np.arange(-SYNC_SEARCH, SYNC_SEARCH + 1)
    likeness = np.fft.irfft2(spectrum, s=whitened.shape)[np.ix_(nearby, nearby)]
    row, column = np.unravel_index(np.abs(likeness).argmax(), likeness.shape)
    return np.array([nearby[row], nearby[column]]), float(np.sign(likeness[row, column]) or 1)


def _beyond(values: np.ndarray, limit: float) -> np.ndarray:
    """What of each value lies beyond -limit to limit."""
    return values - np.clip(values, -limit, limit)


def _scaled(change: np.ndarray, mask: np.ndarray, psnr: float) -> np.ndarray:
    """The change, weakened or strengthened until its error, as pasted, is what `psnr` allows."""
    error = float(np.mean((change * mask) ** 2))
    allowed = 255**2 / 10 ** (psnr / 10) * min(1.0, float(mask.mean()) / WHOLE_FACE)
    return change * np.sqrt(allowed / max(error, 1e-12))


def _warp(picture: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """A single-channel picture through a transform; averaged first where it shrinks."""
    shrink = 1 / geometry.scale_of(transform)
    if shrink > 1.2:
        small = max(round(len(picture) / shrink), 1)
        factor = len(picture) / small
        small_to_picture = np.array(
            [[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2]], np.float64
        )
        picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        transform = geometry.compose(small_to_picture, transform)
    return cv2.warpAffine(picture, transform, (size, size), flags=cv2.INTER_CUBIC)
