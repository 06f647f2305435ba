"""Holds a swapped face within its target's light: its contrast, its black and white, its colour.

A generator that has learnt from daylight draws daylight's contrast and colours into the dark and
into grey photos. A dark face is therefore shown to it in brighter light, and the result darkened
again. What then goes beyond the target face's own is scaled back; what lies within stays.
"""

from __future__ import annotations

import cv2
import numpy as np

DIM = 0.45  # brightness of [0, 1] up to which a face is shown to the generator in more light
MOST_LIGHT = 8.0  # times
BRIGHTNESS = 95.0  # percentile of luma in the middle of the crop

# Standard deviation of luma in each band, as a multiple of the target's. A face may have a little
# less or more than the one it replaces: brows and beards differ.
LEAST_CONTRAST, MOST_CONTRAST = 0.85, 1.2
SHRINK = 4  # the coarse band is found on a crop so many times smaller
MOST_GAIN = 1.3  # more would raise the generator's own ripples
BANDS = (2.0 / 128, 8.0 / 128)  # sigmas that part them, of the crop's side
DARKEST, BRIGHTEST = 1.0, 99.0  # percentiles of the target's luma
HEADROOM = 0.15  # of the distance between them: so far may luma go beyond
MEAN_REACH = 0.25  # of that distance: so far may its mean lie from the target's
MOST_COLOUR = 1.2  # of the target's mean and standard deviation of colour
GREY = 1e-4  # of [0, 1]: the colour of what has none, after rounding


def light_wanted(crop: np.ndarray) -> float:
    """How many times the light of a crop ([S, S, 3] uint8 RGB) the generator should see: 1 or more.

    Continuous in the crop's brightness, so that a video's faces do not jump.
    """
    middle = slice(len(crop) // 4, -(len(crop) // 4), 2)  # of its pixels a quarter will do
    brightness = float(np.percentile(_luma(crop[middle, middle]), BRIGHTNESS)) / 255
    return min(max(DIM / max(brightness, 1e-6), 1.0), MOST_LIGHT)


def match_light(swapped_crop: np.ndarray, target_crop: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The swapped face with no more contrast and colour than its target's light gives.

    swapped_crop: [S, S, 3] float32 RGB in [0, 1]; target_crop: [S, S, 3] uint8 RGB; mask: [S, S],
    where the face is kept -> [S, S, 3] float32 RGB in [0, 1]; without any colour where the target's
    face has none.
    """
    kept = mask > 0.5
    if not kept.any():
        return swapped_crop
    target = target_crop.astype(np.float32) / 255
    luma, target_luma = _luma(swapped_crop), _luma(target)
    colour, target_colour = swapped_crop - luma[..., None], target - target_luma[..., None]
    low, high = map(float, np.percentile(target_luma[kept], (DARKEST, BRIGHTEST)))
    mean, target_mean = float(luma[kept].mean()), float(target_luma[kept].mean())
    reach = MEAN_REACH * (high - low)
    luma = _with_contrast(luma - mean, target_luma, kept)
    luma += min(max(mean, target_mean - reach), target_mean + reach)
    headroom = HEADROOM * (high - low)
    luma = np.clip(luma, low - headroom, high + headroom)
    colour = _with_colour(colour, target_colour, kept)
    return np.clip(luma[..., None] + colour, 0, 1)


def _with_contrast(luma: np.ndarray, target: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """[S, S] luma of mean 0 whose bands vary as much as the target's, give or take."""
    fitted = np.zeros_like(luma)
    for band, theirs in zip(contrast_bands(luma), contrast_bands(target), strict=True):
        own, others = float(band[kept].std()), float(theirs[kept].std())
        wanted = min(max(own, LEAST_CONTRAST * others), MOST_CONTRAST * others)
        fitted += band * min(wanted / max(own, 1e-6), MOST_GAIN)
    return fitted


def contrast_bands(luma: np.ndarray) -> list[np.ndarray]:
    """Parts of [S, S] luma, from fine to coarse, that add up to it."""
    size, small = len(luma), max(len(luma) // SHRINK, 1)
    fine, coarse = (band * size for band in BANDS)
    blurred = cv2.GaussianBlur(luma, (0, 0), fine)
    # What varies slowly is found on a small picture, at a tenth of the time.
    slow = cv2.resize(blurred, (small, small), interpolation=cv2.INTER_AREA)
    slow = cv2.GaussianBlur(slow, (0, 0), coarse * small / size)
    slow = cv2.resize(slow, (size, size), interpolation=cv2.INTER_LINEAR)
    return [luma - blurred, blurred - slow, slow]


def _luma(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(np.ascontiguousarray(picture), cv2.COLOR_RGB2GRAY)


def _with_colour(colour: np.ndarray, target: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """[S, S, 3] differences from luma: their mean, and how they vary, no stronger than theirs."""
    (mean, own), (target_mean, others) = (_mean_and_spread(part, kept) for part in (colour, target))
    most = MOST_COLOUR * _strength(target_mean)
    mean_share = min(most / max(_strength(mean), 1e-6), 1.0)
    share = min(MOST_COLOUR * others / max(own, 1e-6), 1.0)
    if _strength(target_mean) < GREY and others < GREY:
        mean_share = share = 0.0
    return mean_share * mean + share * (colour - mean)


def _mean_and_spread(colour: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, float]:
    mean, spread = cv2.meanStdDev(colour, mask=kept.astype(np.uint8))
    return mean[:, 0].astype(np.float32), _strength(spread)


def _strength(colour: np.ndarray) -> float:
    return float(np.linalg.norm(colour))
