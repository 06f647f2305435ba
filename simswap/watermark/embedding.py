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
from simswap.watermark.trial import Part, Trial, resized

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
# dB, over the watermark plane; a grain is as weak as its trials allow, between the strongest and
# the weakest of its plane. In the frame it is up to 0.7 dB less: to paste sharpens a little, and
# pixels are rounded.
STRONGEST, STEP_PSNR = 42.7, 0.75
WEAKEST, WEAKEST_SYNC = {128: 49.0, 192: 49.0, 256: 51.0}, 51.0
HARDLY_AHEAD = 0.8  # in its trial, of the strongest grain: then it hides less
WHOLE_FACE = 0.3  # of the plane; under a smaller mask the error allowed shrinks with it
# On skin darker than BRIGHT (luma of 255, evened out over BRIGHT_SIGMA px) the grain shrinks with
# it, down to a share: as strong as on bright skin it would be the first thing seen on a dark photo.
BRIGHT, BRIGHT_SIGMA, DARKEST = 70.0, 8.0, 0.3
BRIGHT_SHRINK = 4  # evened out on a plane so many times smaller than the first


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
    own, target = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (face.swapped, face.target))
    target = target.astype(np.float32)
    luma, mask = target + (own * 255 - target) * face.mask, face.mask
    # A crop aligned like the plane, as the bundled model's are, is only of another size.
    is_aligned = np.allclose(crop_to_plane, geometry.resize_transform(plane / size), atol=1e-3)
    if is_aligned:
        luma, mask = resized(luma, plane), resized(mask, plane)
    else:
        luma, mask = (_warp(picture, crop_to_plane, plane) for picture in (luma, mask))
    grain = _grain_of(luma, np.clip(mask, 0, 1), symbols, face.side, steady) / 255
    if is_aligned:
        grain = resized(grain, size)
    else:
        grain = _warp(grain, geometry.invert(crop_to_plane), size)
    marked = cv2.add(face.swapped, cv2.merge([grain] * 3))
    return np.clip(marked, 0, 1, out=marked)


class _TooWeakError(Exception):
    """The patterns that lie still do not outlive a codec on this face."""


def _grain_of(
    luma: np.ndarray, mask: np.ndarray, symbols: np.ndarray, side: float, steady: bool
) -> np.ndarray:
    """What to add to a plane so that it reads as these symbols: [S, S] float32, of 255.

    luma: [S, S] float32, 0 to 255, S one of PLANES; mask: [S, S], 1 where the grain is kept;
    side: px of the frame that the plane covers.
    """
    coarse, coarse_mask = (resized(picture, PLANE) for picture in (luma, mask))
    shift, sign = np.zeros(2), 1.0
    if not steady:
        shift, sign = _best_place(watermark_carrier.whiten(coarse))
    try:
        if len(luma) == PLANE:
            both = Part(symbols, sign, WEAKEST[PLANE], steady)
            return _weakest(luma, mask, both, shift, side)
        only_sync = Part(None, sign, WEAKEST_SYNC, steady)
        sync = resized(_weakest(coarse, coarse_mask, only_sync, shift, side), len(luma))
        only_symbols = Part(symbols, 0.0, WEAKEST[len(luma)], steady)
        return sync + _weakest(luma + sync * mask, mask, only_symbols, shift, side)
    except _TooWeakError:
        return _grain_of(luma, mask, symbols, side, steady=False)


def _weakest(
    luma: np.ndarray, mask: np.ndarray, part: Part, shift: np.ndarray, side: float
) -> np.ndarray:
    """The weakest grain that stands its trial, as far as few trials tell; if none, the strongest.

    shift: (y, x) in pixels of the first plane, where the sync is placed.
    Raises _TooWeakError if none does of a steady part.
    """
    shift = np.rint(shift * len(luma) / PLANE).astype(int)
    luma, mask = (np.roll(picture, -shift, (0, 1)) for picture in (luma, mask))
    brightness = _brightness(luma)
    form = _form(luma, mask, brightness, part, HIDDEN)
    trial = Trial(luma, form * mask, part, side)
    darker = -10 * np.log10(np.average(brightness**2, weights=mask + 1e-6))  # dB
    steps = np.arange(STRONGEST, part.weakest, STEP_PSNR) + darker
    scales = _scales(form * mask, mask, steps)
    ahead = trial.ahead(scales[0])
    if ahead < 1 and part.steady:
        raise _TooWeakError
    if ahead < HARDLY_AHEAD:
        form = _form(luma, mask, brightness, part, LESS_HIDDEN)
        scales = _scales(form * mask, mask, steps)
    scale = trial.weakest(scales, ahead) if ahead >= 1 else scales[0]
    return np.roll(form * scale, shift, (0, 1))


def _form(
    luma: np.ndarray, mask: np.ndarray, brightness: np.ndarray, part: Part, hiding: float
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
    sides = len(luma), len(luma)
    small = resized(luma, PLANE // BRIGHT_SHRINK)
    local = cv2.GaussianBlur(small, (0, 0), BRIGHT_SIGMA / BRIGHT_SHRINK)
    local = cv2.resize(local, sides, interpolation=cv2.INTER_LINEAR)
    return np.clip(local / BRIGHT, DARKEST, 1)


def _best_place(whitened: np.ndarray) -> tuple[np.ndarray, float]:
    """Shift (y, x) in pixels, and sign, at which a plane resembles the sync most as it is."""
    spectrum = np.fft.rfft2(whitened) * np.conj(np.fft.rfft2(carrier().sync))
    nearby = np.arange(-SYNC_SEARCH, SYNC_SEARCH + 1)
    likeness = np.fft.irfft2(spectrum, s=whitened.shape)[np.ix_(nearby, nearby)]
    row, column = np.unravel_index(np.abs(likeness).argmax(), likeness.shape)
    return np.array([nearby[row], nearby[column]]), float(np.sign(likeness[row, column]) or 1)


def _scales(grain: np.ndarray, mask: np.ndarray, steps: np.ndarray) -> list[float]:
    """How many times the strength makes a grain's error, as pasted, what each PSNR allows."""
    error = max(float(np.mean(grain * grain)), 1e-12)
    allowed = 255**2 / 10 ** (steps / 10) * min(1.0, float(mask.mean()) / WHOLE_FACE)
    return np.sqrt(allowed / error).tolist()


def _warp(picture: np.ndarray, transform: np.ndarray, size: int) -> np.ndarray:
    """A single-channel picture through a transform; averaged first where it shrinks."""
    shrink = 1 / geometry.scale_of(transform)
    if shrink > 1.2:
        small = max(round(len(picture) / shrink), 1)
        factor = len(picture) / small
        picture = cv2.resize(picture, (small, small), interpolation=cv2.INTER_AREA)
        transform = geometry.compose(geometry.resize_transform(factor), transform)
    return cv2.warpAffine(picture, transform, (size, size), flags=cv2.INTER_CUBIC)
