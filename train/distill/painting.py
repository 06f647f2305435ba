"""Painting on an aligned crop and its labels: lit bodies, textures, shadows."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from simswap.models.parser import CLASSES

SKIN, EYES, NOSE, MOUTH, HAIR, GLASSES, OCCLUDER = range(1, len(CLASSES))
SHADOW = 0.4  # chance that a thing throws one


@dataclass(frozen=True, eq=False)
class Scene:
    """A crop to paint on, and another photo that colours and cut-outs come from.

    crop, other: [S, S, 3] uint8 RGB; labels, other_labels: [S, S] uint8, numbers in CLASSES. `crop`
    and `labels` are changed in place.
    """

    random: np.random.Generator
    crop: np.ndarray
    labels: np.ndarray
    other: np.ndarray
    other_labels: np.ndarray

    def lay(self, shape: np.ndarray, paint: np.ndarray, label: int, opacity: float = 1.0) -> None:
        """Lay `paint` ([S, S, 3] float32) over the crop where `shape` ([S, S] uint8) is not 0."""
        random, crop = self.random, self.crop
        if random.random() < SHADOW:
            blurred = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), random.uniform(2, 6))
            moved = np.roll(blurred, tuple(random.integers(-4, 8, 2)), (0, 1))
            darker = 1 - random.uniform(0.1, 0.45) * moved[..., None]
            crop[:] = (crop * darker).astype(np.uint8)
        edge = (shape > 0).astype(np.float32)
        alpha = opacity * cv2.GaussianBlur(edge, (0, 0), random.uniform(0.3, 0.9))[..., None]
        crop[:] = (crop * (1 - alpha) + paint * alpha + 0.5).clip(0, 255).astype(np.uint8)
        self.labels[shape > 0] = label

    def tone_of(self, label: int) -> np.ndarray:
        """The colour of a part of one of the photos, or of its middle: [3] float32."""
        photo, labels = self.crop, self.labels
        if self.random.random() < 0.45:
            photo, labels = self.other, self.other_labels
        chosen = labels == label
        pixels = photo[chosen] if chosen.sum() > 30 else photo[32:-32, 32:-32].reshape(-1, 3)
        tone = np.percentile(pixels, self.random.uniform(35, 80), axis=0)
        return (tone * self.random.uniform(0.75, 1.15)).astype(np.float32)


def lit(random: np.random.Generator, shape: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """A colour ([3]) on a rounded body: darker to its edges and to one side, with some grain."""
    size = len(shape)
    depth = np.sqrt(cv2.distanceTransform((shape > 0).astype(np.uint8), cv2.DIST_L2, 3))
    rounded = 1 - random.uniform(0.1, 0.5) * np.exp(-depth)
    angle = random.uniform(0, 2 * np.pi)
    across = np.linspace(-1, 1, size)
    slope = np.cos(angle) * across[None] + np.sin(angle) * across[:, None]
    light = rounded * (1 + random.uniform(0, 0.35) * slope)
    grain = random.normal(0, random.uniform(0.5, 5), (size // 2, size // 2)).astype(np.float32)
    grain = cv2.resize(grain, (size, size), interpolation=cv2.INTER_LINEAR)
    return colour * light[..., None].astype(np.float32) + grain[..., None]


def texture(random: np.random.Generator, shape: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Something plain, striped, or a piece of another photo: [S, S, 3] float32."""
    size = len(shape)
    colour = random.uniform(0, 255, 3).astype(np.float32)
    if random.random() < 0.5:  # few things are colourful
        colour = colour.mean() + (colour - colour.mean()) * 0.25
    kind = random.integers(4)
    if kind == 0:  # another photo's edge, enlarged: clothes, walls, hair
        corner = random.integers(0, size // 2, 2) if random.random() < 0.3 else (0, 0)
        part = other[corner[0] :, corner[1] :][: size // 3, : size // 2]
        part = cv2.resize(part, (size, size)).astype(np.float32)
        return part * random.uniform(0.5, 1.3)
    body = lit(random, shape, colour)
    if kind == 1:
        angle, period = random.uniform(0, np.pi), random.uniform(4, 24)
        rows, columns = np.mgrid[:size, :size]
        phase = (np.cos(angle) * columns + np.sin(angle) * rows) / period
        body += (np.sin(2 * np.pi * phase)[..., None] > 0) * random.uniform(-90, 90, 3)
    return body.astype(np.float32)


def point(place: np.ndarray) -> tuple[int, int]:
    """A place (x, y) in whole pixels, as OpenCV takes it."""
    return round(float(place[0])), round(float(place[1]))
