"""How training photos vary, so that the generator meets what detectors and cameras really give.

Two kinds: how a face is cut out (see alignment.py), and what a camera, an editor or a
network would have made of the photo, applied here to crops of targets and of sources. A target's
crop is also the truth of its reconstruction: what a photo suffered, its swap should show as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import cv2
import numpy as np

from simswap.watermark.embedding import LUMA
from train.errors import TrainingError

GAMMA = 2.2  # of the display: so many stops of light are 2 ** (stops / GAMMA) of a pixel's value


@dataclass(frozen=True)
class Augmentation:
    """What varies, how often and how far; a chance of 0 switches a thing off.

    The first six are the bundled model's recipe. The others happen to a share of the photos.
    """

    mirror: float = 0.5  # chance of a mirrored crop
    shift: float = 0.03  # of the crop's side, each way
    scale: float = 0.04  # relative, each way
    roll: float = 3.0  # degrees, each way
    gain: float = 0.15  # of all channels together, relative, each way
    channel_gain: float = 0.1  # of each channel by itself, relative, each way

    exposure: float = 0.0  # chance of a lighter or darker photo
    exposure_stops: float = 1.0  # at most, each way
    contrast: float = 0.0  # chance of a flatter or harder photo
    contrast_range: float = 0.4  # relative
    white_balance: float = 0.0  # chance of a warmer or colder photo
    white_balance_range: float = 0.2  # relative gain of red against blue
    low_light: float = 0.0  # chance of a dark, noisy photo
    low_light_stops: float = 3.0  # at most, at least half of it
    grey: float = 0.0  # chance of a photo without colour
    blur: float = 0.0  # chance of a soft photo
    blur_sigma: float = 1.2  # px, at most, at least a third of it
    noise: float = 0.0  # chance of a grainy photo
    noise_std: float = 0.03  # at most, of the range of values
    jpeg: float = 0.0  # chance of a squeezed JPEG
    jpeg_quality: int = 30  # at least, of 95
    sources: float = 1.0  # share of these chances for sources; 0: theirs stay as they are

    def __post_init__(self) -> None:
        for name in (*CHANCES, "mirror", "sources"):
            if not 0 <= getattr(self, name) <= 1:
                raise TrainingError(
                    f"augmentation.{name}={getattr(self, name)} must lie in [0, 1]."
                )
        for item in fields(self):
            if getattr(self, item.name) < 0:
                raise TrainingError(
                    f"augmentation.{item.name}={getattr(self, item.name)} must be at least 0."
                )
        for name in BELOW_ONE:
            if getattr(self, name) >= 1:
                raise TrainingError(f"augmentation.{name}={getattr(self, name)} must be below 1.")
        if not 1 <= self.jpeg_quality <= HIGHEST_QUALITY:
            raise TrainingError(
                f"augmentation.jpeg_quality={self.jpeg_quality} must lie in [1, {HIGHEST_QUALITY}]."
            )

    @property
    def changes_pictures(self) -> bool:
        """Whether `vary_picture` does anything."""
        return any(getattr(self, name) for name in CHANCES)


HIGHEST_QUALITY = 95  # of a JPEG file
BELOW_ONE = ("scale", "gain", "channel_gain", "contrast_range", "white_balance_range")


def vary_picture(
    crop: np.ndarray, random: np.random.Generator, augmentation: Augmentation, share: float = 1.0
) -> np.ndarray:
    """What happens to a photo before anybody sees it: light, camera, file, in this order.

    crop: [S, S, 3] uint8 RGB -> the same; share: of the chances. Each effect draws the same numbers
    whatever the others do, so that switching one on leaves the others as they were.
    """
    pixels = None
    for name, effect in EFFECTS.items():
        own = np.random.default_rng(random.integers(0, 2**63))
        if own.random() < share * getattr(augmentation, name):
            pixels = crop.astype(np.float32) / 255 if pixels is None else pixels
            pixels = np.clip(effect(pixels, own, augmentation), 0, 1)
    return crop if pixels is None else (pixels * 255 + 0.5).astype(np.uint8)


def _exposure(pixels: np.ndarray, random: np.random.Generator, how: Augmentation) -> np.ndarray:
    return pixels * 2 ** (_either_way(random, how.exposure_stops) / GAMMA)


def _contrast(pixels: np.ndarray, random: np.random.Generator, how: Augmentation) -> np.ndarray:
    mean = pixels.mean()
    return mean + (pixels - mean) * (1 + _either_way(random, how.contrast_range))


def _white_balance(
    pixels: np.ndarray, random: np.random.Generator, how: Augmentation
) -> np.ndarray:
    warmer = np.sqrt(1 + _either_way(random, how.white_balance_range))
    return pixels * np.array([warmer, 1, 1 / warmer], np.float32)


def _low_light(pixels: np.ndarray, random: np.random.Generator, how: Augmentation) -> np.ndarray:
    """Dark, pale, and noisy as photons are: the variance falls with the light, not its square."""
    stops = how.low_light_stops * random.uniform(0.5, 1)
    dark = pixels * 2 ** (-stops / GAMMA)
    dark = dark + random.uniform(0, 0.5) * (_grey(dark, random, how) - dark)
    noise = random.standard_normal(dark.shape, np.float32)
    return dark + random.uniform(0, how.noise_std) * np.sqrt(dark) * noise


def _grey(pixels: np.ndarray, random: np.random.Generator, how: Augmentation) -> np.ndarray:
    luma = pixels @ np.array(LUMA, np.float32)
    return np.repeat(luma[..., None], 3, axis=2)


def _blur(pixels: np.ndarray, random: np.random.Generator, how: Augmentation) -> np.ndarray:
    sigma = random.uniform(how.blur_sigma / 3, how.blur_sigma)
    return cv2.GaussianBlur(pixels, (0, 0), max(sigma, 0.01))


def _noise(pixels: np.ndarray, random: np.random.Generator, how: Augmentation) -> np.ndarray:
    noise = random.standard_normal(pixels.shape, np.float32)
    return pixels + random.uniform(0, how.noise_std) * noise


def _jpeg(pixels: np.ndarray, random: np.random.Generator, how: Augmentation) -> np.ndarray:
    quality = int(random.integers(how.jpeg_quality, HIGHEST_QUALITY + 1))
    bgr = (pixels[..., ::-1] * 255 + 0.5).astype(np.uint8)
    _, encoded = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1].astype(np.float32) / 255


def _either_way(random: np.random.Generator, most: float) -> float:
    return random.uniform(-most, most)


Effect = Callable[[np.ndarray, np.random.Generator, Augmentation], np.ndarray]
EFFECTS: dict[str, Effect] = {
    "exposure": _exposure,
    "contrast": _contrast,
    "white_balance": _white_balance,
    "low_light": _low_light,
    "grey": _grey,
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
}
CHANCES = tuple(EFFECTS)
