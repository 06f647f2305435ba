"""Writes the watermark into swapped crops: crops in, crops out, no networks.

The embedder knows the face that it watermarks. So it cancels what the face itself contributes to a
wrong value, uses what it contributes to a right one, and places the sync where the face already
resembles it most. Then it tries how weak the watermark may be and still outlive a codec.

From frame to frame of a film such choices would change, and the grain would flicker. There it keeps
to the same patterns at the same place, so that it lies still on the face, if they stand the trial.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from simswap import geometry
from simswap.watermark import carrier as watermark_carrier
from simswap.watermark.carrier import (
    CLIP,
    NUM_PATTERNS,
    NUM_VALUES,
    PLANE,
    PLANES,
    TEMPLATE,
    carrier,
)
from simswap.watermark.code import NUM_SYMBOLS

SMALLEST = 100.0  # px of the frame that the watermark plane must cover; on smaller faces it is lost
FINE_FROM = 135.0  # px of the frame for each 128 of a finer plane, so that it outlives a halving

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

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
# dB, over the watermark plane; a grain is as weak as its trial allows, found by bisection between
# the strongest and the weakest of its plane. In the frame it is up to 0.7 dB less: to paste
# sharpens a little, and pixels are rounded.
STRONGEST, STEP_PSNR = 42.7, 0.75
WEAKEST, WEAKEST_SYNC = {128: 49.0, 192: 49.0, 256: 51.0}, 51.0
# The trial is JPEG of this quality, of the plane or of a face that is smaller. By how many standard
# deviations symbols must then be ahead of their rivals, on average, and the sync of nothing: so
# much outlives H.264 and a resize, which take more of fine waves (by train.checks.watermark).
TRIAL_QUALITY = 50
AHEAD, SYNC_AHEAD = {128: 1.9, 192: 2.2, 256: 2.2}, 6.5
HARDLY_AHEAD = 0.8  # of that, by the strongest grain: then it hides less
WHOLE_FACE = 0.3  # of the plane; under a smaller mask the error allowed shrinks with it
# On skin darker than BRIGHT (luma of 255, evened out over BRIGHT_SIGMA px) the grain shrinks with
# it, down to a share: as strong as on bright skin it would be the first thing seen on a dark photo.
BRIGHT, BRIGHT_SIGMA, DARKEST = 70.0, 8.0, 0.3


@dataclass(frozen=True, eq=False)
class FaceCrop:
    """A swapped crop about to be pasted: all that the watermark depends on.

    swapped: [S, S, 3] float32 RGB in [0, 1]; target: [S, S, 3] uint8 RGB, what it is pasted over;
    mask: [S, S] float32, 1 where `swapped` is kept; landmarks: [5, 2] (x, y) in crop pixels.
    side: px of the frame that the watermark plane covers, see side_in_frame.
    """

    swapped: np.ndarray
    target: np.ndarray
    mask: np.ndarray
    landmarks: np.ndarray
    side: float


def side_in_frame(landmarks: np.ndarray) -> float:
    """Pixels of the frame that the watermark plane of a face covers.

    landmarks: [5, 2] in the frame. Below SMALLEST a face cannot carry a watermark.
    """
    frame_to_plane = geometry.frame_to_crop_transform(landmarks, TEMPLATE, PLANE)
    return PLANE / geometry.scale_of(frame_to_plane)


def plane_of(side: float) -> int:
    """Pixels of the plane for the symbols of a face that covers `side` px, one of PLANES."""
    return max(plane for plane in PLANES if plane == PLANE or side >= FINE_FROM * plane / PLANE)


def too_small(num_faces: int) -> str:
    """The notice about faces that cannot carry the watermark."""
    faces = "1 face is" if num_faces == 1 else f"{num_faces} faces are"
    return f"{faces} too small to carry the watermark."


def watermark_crop(face: FaceCrop, symbols: np.ndarray, steady: bool = False) -> np.ndarray:
    """The swapped crop ([S, S, 3] float32 RGB in [0, 1]) with a watermark in it.

    Only brightness changes, where the mask is not 0. symbols: [10], see code.symbols_of.
    steady: the same grain as in the frames around, where that outlives a codec.
    """
    size, plane = len(face.mask), plane_of(face.side)
    crop_to_plane = geometry.compose(
        geometry.frame_to_crop_transform(face.landmarks, TEMPLATE, PLANE),
        geometry.resize_transform(plane / PLANE),
    )
    mask = face.mask[..., None]
    pasted = (face.swapped * mask) * 255 + face.target * (1 - mask)
    luma, mask = pasted @ LUMA, face.mask
    # A crop aligned like the plane, as the bundled model's are, need not be resampled.
    is_plane = size == plane and np.allclose(crop_to_plane, np.eye(2, 3), atol=1e-3)
    if not is_plane:
        luma, mask = (_warp(picture, crop_to_plane, plane) for picture in (luma, mask))
    grain = _grain_of(luma, np.clip(mask, 0, 1), symbols, face.side, steady)
    if not is_plane:
        grain = _warp(grain, geometry.invert(crop_to_plane), size)
    return np.clip(face.swapped + grain[..., None] / 255, 0, 1)


class _TooWeakError(Exception):
    """The patterns that lie still do not outlive a codec on this face."""


@dataclass(frozen=True, eq=False)
class _Part:
    """What a grain says: symbols ([10] or None), the sync (its sign, or 0), or both.

    weakest: the highest PSNR that is tried, in dB. steady: the same patterns for every face.
    """

    symbols: np.ndarray | None
    sync_sign: float
    weakest: float
    steady: bool


def _grain_of(
    luma: np.ndarray, mask: np.ndarray, symbols: np.ndarray, side: float, steady: bool
) -> np.ndarray:
    """What to add to a plane so that it reads as these symbols: [S, S] float32, of 255.

    luma: [S, S] float32, 0 to 255, S one of PLANES; mask: [S, S], 1 where the grain is kept;
    side: px of the frame that the plane covers.
    """
    coarse, coarse_mask = (_resized(picture, PLANE) for picture in (luma, mask))
    shift, sign = np.zeros(2), 1.0
    if not steady:
        shift, sign = _best_place(watermark_carrier.whiten(coarse))
    try:
        if len(luma) == PLANE:
            both = _Part(symbols, sign, WEAKEST[PLANE], steady)
            return _weakest(luma, mask, both, shift, side)
        only_sync = _Part(None, sign, WEAKEST_SYNC, steady)
        sync = _resized(_weakest(coarse, coarse_mask, only_sync, shift, side), len(luma))
        only_symbols = _Part(symbols, 0.0, WEAKEST[len(luma)], steady)
        return sync + _weakest(luma + sync * mask, mask, only_symbols, shift, side)
    except _TooWeakError:
        return _grain_of(luma, mask, symbols, side, steady=False)


def _weakest(
    luma: np.ndarray, mask: np.ndarray, part: _Part, shift: np.ndarray, side: float
) -> np.ndarray:
    """The weakest grain that stands its trial; if none does, the strongest.

    shift: (y, x) in pixels of the first plane, where the sync is placed.
    Raises _TooWeakError if none does of a steady part.
    """
    shift = np.rint(shift * len(luma) / PLANE).astype(int)
    luma, mask = (np.roll(picture, -shift, (0, 1)) for picture in (luma, mask))
    brightness = _brightness(luma)
    darker = -10 * np.log10(np.average(brightness**2, weights=mask + 1e-6))  # dB
    steps = np.arange(STRONGEST, part.weakest, STEP_PSNR) + darker
    form = _form(luma, mask, brightness, part, HIDDEN)
    ahead = _ahead(luma + _scaled(form, mask, steps[0]) * mask, part, side)
    if ahead < 1 and part.steady:
        raise _TooWeakError
    if ahead < HARDLY_AHEAD:
        form = _form(luma, mask, brightness, part, LESS_HIDDEN)
    first, last = 0, len(steps)  # steps[first] outlives it, steps[last] does not
    middle = last - 1  # enough for most large faces
    while ahead >= 1 and last - first > 1:
        if _ahead(luma + _scaled(form, mask, steps[middle]) * mask, part, side) >= 1:
            first = middle
        else:
            last = middle
        middle = (first + last) // 2
    return np.roll(_scaled(form, mask, steps[first]), shift, (0, 1))


def _form(
    luma: np.ndarray, mask: np.ndarray, brightness: np.ndarray, part: _Part, hiding: float
) -> np.ndarray:
    """The grain for this face, before its strength is set; hiding: HIDDEN or LESS_HIDDEN."""
    watermarks, fine = carrier(len(luma)), watermark_carrier.detail(luma)
    gain = watermark_carrier.contrast_gain(fine)
    room = mask * watermarks.window * (gain / gain.mean()) ** -hiding * brightness
    step = STEP / max(float((room * watermarks.window * gain).mean()), 1e-6)
    strengths, sync = np.zeros((NUM_SYMBOLS, NUM_PATTERNS), np.float32), 0.0
    rows, grain = np.arange(NUM_SYMBOLS), np.zeros_like(luma)
    if part.symbols is not None:
        # The two patterns that mean each value, [10, 2].
        patterns = np.stack([part.symbols, part.symbols + NUM_VALUES], axis=-1)
    for number in range(NUM_STEPS):
        whitened = np.clip((fine + watermark_carrier.detail(grain)) * gain, -CLIP, CLIP)
        found, found_sync = watermarks.correlate(whitened)
        # Projected gradient on the smallest change that meets every limit.
        if part.symbols is not None:
            if number == 0:
                chosen, signs = part.symbols, np.ones(NUM_SYMBOLS)
                if not part.steady:
                    nearest = np.abs(found[rows[:, None], patterns]).argmax(axis=1)
                    chosen = patterns[rows, nearest]
                    signs = np.sign(found[rows, chosen])
            wanted = signs * (strengths[rows, chosen] - step * found[rows, chosen])
            free = strengths - step * found
            strengths = free - np.clip(free, -step * RIVAL, step * RIVAL)
            strengths[rows, chosen] = signs * np.maximum(wanted + step * (MARGIN + RIVAL), 0)
        if part.sync_sign:
            sync = max(sync + step * (SYNC - part.sync_sign * found_sync), 0.0)
        grain = room * watermarks.spread(strengths, part.sync_sign * sync)
    return grain


def _brightness(luma: np.ndarray) -> np.ndarray:
    """How strong the grain may be by how bright a plane is: [S, S], DARKEST to 1."""
    local = cv2.GaussianBlur(luma, (0, 0), BRIGHT_SIGMA * len(luma) / PLANE)
    return np.clip(local / BRIGHT, DARKEST, 1)


def _best_place(whitened: np.ndarray) -> tuple[np.ndarray, float]:
    """Shift (y, x) in pixels, and sign, at which a plane resembles the sync most as it is."""
    spectrum = np.fft.rfft2(whitened) * np.conj(np.fft.rfft2(carrier().sync))
    nearby = np.arange(-SYNC_SEARCH, SYNC_SEARCH + 1)
    likeness = np.fft.irfft2(spectrum, s=whitened.shape)[np.ix_(nearby, nearby)]
    row, column = np.unravel_index(np.abs(likeness).argmax(), likeness.shape)
    return np.array([nearby[row], nearby[column]]), float(np.sign(likeness[row, column]) or 1)


def _ahead(marked: np.ndarray, part: _Part, side: float) -> float:
    """How far ahead of its rivals a part is after its trial; 1: as far as it should be.

    marked: [S, S] float32 luma, 0 to 255; side: px of the frame that the plane covers.
    """
    size = len(marked)
    small = min(round(side), size)
    picture = np.rint(np.clip(_resized(marked, small), 0, 255)).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, TRIAL_QUALITY])
    worn = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE).astype(np.float32)
    found, sync = carrier(size).correlate(watermark_carrier.whiten(_resized(worn, size)))
    if part.symbols is None:
        return part.sync_sign * sync / max(SYNC_AHEAD * float(found.std()), 1e-9)
    strengths, rows = watermark_carrier.value_strengths(found), np.arange(NUM_SYMBOLS)  # [10, 64]
    true = strengths[rows, part.symbols]
    strengths[rows, part.symbols] = 0
    ahead = float((true - strengths.max(axis=1)).mean())
    return ahead / max(AHEAD[size] * float(found.std()), 1e-9)


def _scaled(grain: np.ndarray, mask: np.ndarray, psnr: float) -> np.ndarray:
    """The grain, weakened or strengthened until its error, as pasted, is what `psnr` allows."""
    error = float(np.mean((grain * mask) ** 2))
    allowed = 255**2 / 10 ** (psnr / 10) * min(1.0, float(mask.mean()) / WHOLE_FACE)
    return grain * np.sqrt(allowed / max(error, 1e-12))


def _resized(picture: np.ndarray, side: int) -> np.ndarray:
    if side == len(picture):
        return picture
    shrinks = side < len(picture)
    return cv2.resize(
        picture, (side, side), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    )


def _warp(picture: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """A single-channel picture through a transform; averaged first where it shrinks."""
    shrink = 1 / geometry.scale_of(transform)
    if shrink > 1.2:
        small = max(round(len(picture) / shrink), 1)
        factor = len(picture) / small
        picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        transform = geometry.compose(geometry.resize_transform(factor), transform)
    return cv2.warpAffine(picture, transform, (size, size), flags=cv2.INTER_CUBIC)
