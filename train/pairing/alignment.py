"""One photo with five landmarks -> what training reads: the generator's crop, the identity crop."""

from __future__ import annotations

import numpy as np

from simswap.geometry import (
    TEMPLATES,
    apply,
    compose,
    frame_to_crop_transform,
    invert,
    scale_of,
    similarity_transform,
    warp_to_crop,
)
from train.pairing.augmentation import Augmentation

IDENTITY_CROP = 112  # px, what identity networks are made for
MIRRORED = [1, 0, 2, 4, 3]  # landmarks of a mirrored face: left and right change places


def align_target(
    photo: np.ndarray,
    landmarks: np.ndarray,
    template: str,
    size: int,
    random: np.random.Generator,
    augmentation: Augmentation,
) -> np.ndarray:
    """The generator's crop, mirrored half of the time, with jittered alignment and colour.

    photo: [H, W, 3] uint8 RGB; landmarks: [5, 2] pixels -> [size, size, 3] uint8 RGB.
    """
    photo, landmarks = _maybe_mirrored(photo, landmarks, random, augmentation.mirror)
    frame_to_crop = frame_to_crop_transform(landmarks, template, size)
    frame_to_crop = compose(frame_to_crop, _jittered(size, random, augmentation))
    return _jitter_colour(warp_to_crop(photo, frame_to_crop, size), random, augmentation)


def align_source(photo: np.ndarray, landmarks: np.ndarray, template: str = "arcface") -> np.ndarray:
    """The identity crop as the demo cuts it: [112, 112, 3] uint8 RGB."""
    frame_to_crop = frame_to_crop_transform(landmarks, template, IDENTITY_CROP)
    return warp_to_crop(photo, frame_to_crop, IDENTITY_CROP)


def align_another_view(
    photo: np.ndarray,
    landmarks: np.ndarray,
    template: str,
    random: np.random.Generator,
    augmentation: Augmentation,
) -> np.ndarray:
    """An identity crop that stands in for another photo of the same person, where there is none."""
    photo, landmarks = _maybe_mirrored(photo, landmarks, random, augmentation.mirror)
    frame_to_crop = frame_to_crop_transform(landmarks, template, IDENTITY_CROP)
    frame_to_crop = compose(frame_to_crop, _jittered(IDENTITY_CROP, random, augmentation))
    return _jitter_colour(warp_to_crop(photo, frame_to_crop, IDENTITY_CROP), random, augmentation)


def enlargement(landmarks: np.ndarray, template: str, size: int, identity_template: str) -> float:
    """Pixels of a photo's crops for one of the photo: of the generator's and the identity crop.

    Of the two that which needs more; size: of the generator's, 0: it is not needed.
    """
    wanted = [(identity_template, IDENTITY_CROP), *([(template, size)] if size else [])]
    return max(scale_of(frame_to_crop_transform(landmarks, *one)) for one in wanted)


def between_templates(of: str, to: str, of_size: float, to_size: float) -> np.ndarray:
    """[2, 3] from pixels of a crop aligned to one template to those of a crop aligned to another.

    Two crops of one template, which may have several poses, differ in their size only.
    """
    if of == to:
        return np.array([[to_size / of_size, 0, 0], [0, to_size / of_size, 0]])
    return similarity_transform(TEMPLATES[of] * of_size, TEMPLATES[to] * to_size)


def coverage(shape: tuple[int, ...], landmarks: np.ndarray, template: str) -> float:
    """Share of a crop's area that lies inside its photo of `shape`, on a 20 x 20 grid."""
    steps = (np.arange(20) + 0.5) / 20
    grid = np.stack(np.meshgrid(steps, steps), axis=-1)
    points = apply(invert(frame_to_crop_transform(landmarks, template, 1)), grid)
    inside = (points >= 0) & (points < [shape[1], shape[0]])
    return float(inside.all(-1).mean())


def _maybe_mirrored(
    photo: np.ndarray, landmarks: np.ndarray, random: np.random.Generator, chance: float
) -> tuple[np.ndarray, np.ndarray]:
    if random.random() < 1 - chance:
        return photo, landmarks
    mirrored = np.stack([photo.shape[1] - 1 - landmarks[:, 0], landmarks[:, 1]], axis=1)
    return np.ascontiguousarray(photo[:, ::-1]), mirrored[MIRRORED]


def jitter_transforms(
    count: int, size: int, random: np.random.Generator, augmentation: Augmentation
) -> np.ndarray:
    """Small similarity transforms [count, 2, 3] about the crop's centre, from crop to crop."""
    angle = np.deg2rad(random.uniform(-augmentation.roll, augmentation.roll, count))
    factor = 1 + random.uniform(-augmentation.scale, augmentation.scale, count)
    cosine, sine = factor * np.cos(angle), factor * np.sin(angle)
    linear = np.stack([cosine, -sine, sine, cosine], axis=1).reshape(count, 2, 2)
    centre = np.full(2, size / 2)
    shift = random.uniform(-augmentation.shift, augmentation.shift, (count, 2)) * size
    return np.concatenate([linear, (centre - linear @ centre + shift)[:, :, None]], axis=2)


def colour_gains(count: int, random: np.random.Generator, augmentation: Augmentation) -> np.ndarray:
    """Gains [count, 3] of the channels: each by itself, and all together."""
    gains = 1 + random.uniform(-augmentation.channel_gain, augmentation.channel_gain, (count, 3))
    return gains * (1 + random.uniform(-augmentation.gain, augmentation.gain, (count, 1)))


def _jittered(size: int, random: np.random.Generator, augmentation: Augmentation) -> np.ndarray:
    return jitter_transforms(1, size, random, augmentation)[0]


def _jitter_colour(
    crop: np.ndarray, random: np.random.Generator, augmentation: Augmentation
) -> np.ndarray:
    """Gain per channel and for all, so that light and white balance vary."""
    gains = colour_gains(1, random, augmentation)
    table = np.clip(np.arange(256)[:, None] * gains + 0.5, 0, 255).astype(np.uint8)  # [256, 3]
    return np.take_along_axis(table, crop.reshape(-1, 3), axis=0).reshape(crop.shape)
