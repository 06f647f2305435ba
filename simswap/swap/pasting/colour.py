"""Pulls a swapped face's lightness and colours, place by place, to its target's.

A brow may come where the target shows skin, and go where it shows one. To match the colours of one
with the other would tint both: skin yellow, brows violet. So a place is held against what the
target shows nearby *where it is as light*, and colour counts as a share of lightness.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from simswap.swap.pasting.light import GREY
from simswap.watermark.embedding import LUMA

# Surroundings that are matched over, as a share of the crop's side. Lightness carries the new
# features, so it is matched over wide areas.
LIGHTNESS_REACH, COLOUR_REACH = 0.12, 0.1
MATCH_SHRINK = 4  # they are matched on a crop so many times smaller
MOST_LIGHTER = 0.15  # or darker, of [0, 1]
MOST_TINTED = 0.25  # of colour as a share of lightness
DARK = 0.08  # added to lightness: colour as a share of black would be noise
LEVELS = 9  # of lightness
LEVEL_SIGMA = 0.7  # levels that still count as the same
NEARNESS = (0.03, 1.0), (0.12, 0.05)  # sigma, of the crop's side, and how it counts
FARTHEST = 0.002  # how the rest of the face counts
EYE = 0.2, 0.11  # half axes, of the eyes' distance
MOUTH = 0.2  # half its height, of that; its width is known
NEARBY = 0.025  # of the crop's side: so far may what is pale have moved
SAME = 0.06  # difference of lightness at which two places may show the same
BEYOND = 0.06, 0.02  # so far from what is usual: along the face's mean colour, beside it
RED = np.array([0.701, -0.299, -0.299], np.float32)  # where a face has no colour


def match_colour(
    swapped_crop: np.ndarray, target_crop: np.ndarray, mask: np.ndarray, landmarks: np.ndarray
) -> np.ndarray:
    """Pull the swapped face's lightness and colour, place by place, to the target face's.

    swapped_crop: [S, S, 3] float32 RGB in [0, 1]; target_crop: the same, or uint8; mask: [S, S];
    landmarks: [5, 2] in crop pixels -> [S, S, 3] float32 RGB in [0, 1]. Every change is bounded, so
    that a hand or a mask in front of the target tints the result little.
    """
    if float(mask.sum()) < 1:  # nothing of the face is kept, so there is nothing to match
        return swapped_crop
    if target_crop.dtype == np.uint8:
        target_crop = target_crop.astype(np.float32) / 255
    axes = _axes(target_crop, mask)
    own, theirs = (_Planes.of(cv2.transform(crop, axes)) for crop in (swapped_crop, target_crop))
    grid = _grid(theirs.shrunk(), _shrunk(mask))
    matched = _shifted(own, theirs, mask, grid)
    least, most = _bounds(matched.lightness, theirs, grid, _eyes_and_mouth(landmarks, len(mask)))
    furthest = cv2.merge([np.full_like(mask, MOST_TINTED)] * 2)
    colours = cv2.max(cv2.min(matched.colours, most), least)
    colours = cv2.max(cv2.min(colours, own.colours + furthest), own.colours - furthest)
    lightness = np.clip(matched.lightness, 0, 1)
    along, beside = (share * (lightness + DARK) for share in cv2.split(colours))
    picture = cv2.merge([lightness, along, beside])
    return np.clip(cv2.transform(picture, np.linalg.inv(axes)), 0, 1)


@dataclass(frozen=True, eq=False)
class _Planes:
    """A crop: lightness [S, S], and colours as shares of it [S, S, 2]."""

    lightness: np.ndarray
    colours: np.ndarray

    @classmethod
    def of(cls, picture: np.ndarray) -> _Planes:
        """From [S, S, 3] luma and colours."""
        lightness, along, beside = cv2.split(picture)
        share_of = lightness + DARK
        return cls(lightness, cv2.merge([along / share_of, beside / share_of]))

    def shrunk(self) -> _Planes:
        """As small as local means are found on."""
        return _Planes(_shrunk(self.lightness), _shrunk(self.colours))


def _shifted(own: _Planes, theirs: _Planes, mask: np.ndarray, grid: np.ndarray) -> _Planes:
    """Lightness and colours that are around each place what the target's are."""
    small, small_theirs, kept = own.shrunk(), theirs.shrunk(), _shrunk(mask)
    shift = _local_mean(small_theirs.lightness - small.lightness, kept, LIGHTNESS_REACH)
    shift = np.clip(shift, -MOST_LIGHTER, MOST_LIGHTER)
    # What the target shows at a place need not be usual there; what a swap adds to that is a tint.
    tint = small.colours - _usual(grid, small.lightness + shift)
    tint -= small_theirs.colours - _usual(grid, small_theirs.lightness)
    tint = _local_mean(tint, kept, COLOUR_REACH)
    side = len(mask)
    return _Planes(own.lightness + _enlarged(shift, side), own.colours - _enlarged(tint, side))


def _bounds(
    lightness: np.ndarray, theirs: _Planes, grid: np.ndarray, features: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The least and the most of each colour at places so light: [S, S, 2] each.

    features: [S, S] uint8, 1 in eyes and mouth.
    """
    usual = _usual(grid, lightness)
    beyond = cv2.merge([np.full_like(lightness, share) for share in BEYOND])
    least, most = usual - beyond, usual + beyond
    # Where both show the same, the target's grain is usual, too.
    same = (cv2.absdiff(lightness, theirs.lightness) < SAME).view(np.uint8)
    cv2.copyTo(cv2.min(least, theirs.colours), same, least)
    cv2.copyTo(cv2.max(most, theirs.colours), same, most)
    # White and blue of eyes, and teeth, may be as pale as the target's nearby, which skin is not.
    around = np.ones((2 * round(NEARBY * len(lightness)) + 1,) * 2, np.uint8)
    pale = cv2.merge([cv2.erode(cv2.extractChannel(theirs.colours, 0), around), least[..., 1]])
    cv2.copyTo(cv2.min(least, pale), features, least)
    return least, most


def _eyes_and_mouth(landmarks: np.ndarray, size: int) -> np.ndarray:
    """Where they are in a crop: [S, S] uint8, 1 there."""
    marks = np.zeros((size, size), np.uint8)
    left, right, _, *corners = landmarks.astype(np.float64)
    across = right - left
    width, mouth = float(np.linalg.norm(across)), float(np.linalg.norm(corners[1] - corners[0]))
    ellipses = [(eye, (EYE[0] * width, EYE[1] * width)) for eye in (left, right)]
    ellipses.append(((corners[0] + corners[1]) / 2, (mouth / 2, MOUTH * width)))
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    for middle, half_axes in ellipses:
        place = np.clip(np.rint(middle), -size, 2 * size).astype(int).tolist()
        axes = np.clip(np.rint(half_axes), 1, size).astype(int).tolist()
        cv2.ellipse(marks, place, axes, angle, 0, 360, 1, cv2.FILLED)
    return marks


def _axes(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """[3, 3], RGB to luma, to colour along the face's mean colour, and to colour beside that hue.

    Colour is what a pixel differs by from a grey of its luma.
    """
    mean = np.array(cv2.mean(picture, mask=(mask > 0.5).astype(np.uint8))[:3], np.float32)
    colour = mean - LUMA @ mean
    if np.linalg.norm(colour) < GREY:
        colour = RED
    along = colour / np.linalg.norm(colour)
    beside = np.cross(along, LUMA)
    beside /= np.linalg.norm(beside)
    return np.stack([LUMA, *(axis - axis.sum() * LUMA for axis in (along, beside))])


def _grid(target: _Planes, mask: np.ndarray) -> np.ndarray:
    """The target's colours by lightness and place: [LEVELS, S, S, 2], of the nearest that there is.

    A bilateral grid (Chen et al. 2007).
    """
    levels = np.arange(LEVELS, dtype=np.float32)
    apart = (target.lightness[..., None] * (LEVELS - 1) - levels) / LEVEL_SIGMA  # [S, S, LEVELS]
    weight = mask[..., None] * np.exp(-apart * apart / 2)
    colours = [weight * colour[..., None] for colour in cv2.split(target.colours)]
    values = np.concatenate([weight, *colours], axis=-1)
    total = 1e-6 * np.repeat(np.array([1, *target.colours.mean((0, 1))], np.float32), LEVELS)
    total = total + FARTHEST * values.mean((0, 1))
    for sigma, trust in NEARNESS:
        total = total + trust * cv2.GaussianBlur(values, (0, 0), sigma * len(mask))
    weight, *colours = np.split(total, 3, axis=-1)
    grid = np.stack([colour / weight for colour in colours], axis=-1)  # [S, S, LEVELS, 2]
    return np.ascontiguousarray(grid.transpose(2, 0, 1, 3))


def _usual(grid: np.ndarray, lightness: np.ndarray) -> np.ndarray:
    """What a grid has at each place and lightness, [S, S], of whatever size: [S, S, 2]."""
    levels, side = grid.shape[:2]
    stacked = grid.reshape(levels * side, side, 2)
    place = (np.arange(len(lightness), dtype=np.float32) + 0.5) * (side / len(lightness)) - 0.5
    place = np.clip(place, 0, side - 1)
    columns = np.broadcast_to(place, lightness.shape)
    level = np.clip(lightness * (levels - 1), 0, levels - 1)
    below = np.minimum(np.floor(level), levels - 2)
    rows = below * side + place[:, None]
    lower, upper = (
        cv2.remap(stacked, np.ascontiguousarray(columns), rows + above, cv2.INTER_LINEAR)
        for above in (0, side)
    )
    return lower + cv2.merge([level - below] * 2) * (upper - lower)


def _shrunk(picture: np.ndarray) -> np.ndarray:
    small = (max(len(picture) // MATCH_SHRINK, 1),) * 2
    return cv2.resize(picture, small, interpolation=cv2.INTER_AREA)


def _enlarged(picture: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR)


def _local_mean(values: np.ndarray, mask: np.ndarray, reach: float) -> np.ndarray:
    """Mean of [S, S] or [S, S, C] values around each pixel, of those under the mask only."""
    sigma = reach * len(mask)
    weight = cv2.GaussianBlur(mask, (0, 0), sigma) + 1e-3  # no mask far around: no shift
    if values.ndim == 3:
        mask, weight = mask[..., None], weight[..., None]
    return cv2.GaussianBlur(values * mask, (0, 0), sigma) / weight
