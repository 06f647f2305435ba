"""Pairs of photos that were aligned once and are held on the device, as bytes.

For GPUs that no number of workers can feed: what is random about a pair, its alignment and colour
included, is computed on the device. A pair is what pairs.py makes of the same photos, but
for one more resampling and for a mirrored face, whose crop is mirrored instead of its landmarks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from train.config import PairSettings
from train.pairing.alignment import (
    IDENTITY_CROP,
    between_templates,
    colour_gains,
    jitter_transforms,
)
from train.pairing.blocks import Position
from train.pairing.cache import CachedPhotos, held_size
from train.pairing.loader import LoaderState
from train.pairing.pairs import PairBatch


class CachedPairLoader:
    """Endless batches for process `rank` of `world`, as PairLoader gives them.

    photos: this process's, of people whom no other process has. A batch depends on the seed and its
    number alone, and each photo is a target once in an epoch of its process.
    `state` always describes the position after the last batch that was given out.
    """

    def __init__(
        self,
        photos: CachedPhotos,
        settings: PairSettings,
        *,
        rank: int = 0,
        world: int = 1,
        accumulation: int = 1,
        same_every: int = 2,
        state: LoaderState | None = None,
    ) -> None:
        self.skipped = photos.skipped
        self.state = LoaderState(world, state.num_batches if state else 0, (Position(),))
        self._photos, self._settings = photos, settings
        self._rank, self._world = rank, world
        self._accumulation, self._same_every = accumulation, same_every
        counts = np.bincount(photos.people)
        self._counts = counts[photos.people]
        self._first = (np.cumsum(counts) - counts)[photos.people]  # of a person's, in _by_person
        self._by_person = np.argsort(photos.people, kind="stable")
        self._place = np.argsort(self._by_person)
        self._shares = np.cumsum(np.minimum(1, settings.photos_per_person / self._counts))
        size, margin = held_size(settings.crop_size)
        scale = (size - 2 * margin) / settings.crop_size
        self._crop_to_held = np.array([[scale, 0, margin], [0, scale, margin], [0, 0, 1]])
        identity_to_crop = between_templates(
            *(settings.identity_template, settings.crop_template),
            *(IDENTITY_CROP, settings.crop_size),
        )
        self._identity_to_held = self._crop_to_held @ np.vstack([identity_to_crop, [0, 0, 1]])
        self._epoch: tuple[int, np.ndarray] = (-1, photos.targets)

    def __iter__(self) -> Iterator[PairBatch]:
        while True:
            number = self.state.num_batches
            self.state = LoaderState(self._world, number + 1, self.state.positions)
            yield self._batch(number)

    def _batch(self, number: int) -> PairBatch:
        settings, photos = self._settings, self._photos
        random = np.random.default_rng((settings.seed, self._rank, number))
        targets = self._targets(number)
        same = number // self._accumulation % self._same_every == 0
        target_crops = self._views(targets, settings.crop_size, self._crop_to_held, random)
        if not same:
            sources = self._of_others(targets, random)
            return self._pairs(target_crops, photos.identity_crops[_on(sources, photos)], same)
        sources = self._of_the_same(targets, random)
        source_crops = photos.identity_crops[_on(sources, photos)]
        alone = np.flatnonzero(sources == targets)
        if len(alone):  # another view of the photo itself stands in
            views = self._views(targets[alone], IDENTITY_CROP, self._identity_to_held, random)
            source_crops[_on(alone, photos)] = views
        return self._pairs(target_crops, source_crops, same)

    def _pairs(self, targets: Tensor, sources: Tensor, same: bool) -> PairBatch:
        return PairBatch(targets, sources, same, self.state.positions[0], Counter())

    def _targets(self, number: int) -> np.ndarray:
        """Places of batch `number`, in the epoch's shuffled order."""
        size = self._settings.batch_size
        epoch, place = divmod(number, len(self._photos.targets) // size)
        if self._epoch[0] != epoch:
            random = np.random.default_rng((self._settings.seed, epoch))
            self._epoch = epoch, random.permutation(self._photos.targets)
        return self._epoch[1][place * size : (place + 1) * size]

    def _of_others(self, targets: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Photos of somebody else each; people with more than the cap count as if they had it."""
        people = self._photos.people
        sources = targets.copy()
        while len(again := np.flatnonzero(people[sources] == people[targets])):
            drawn = random.random(len(again)) * self._shares[-1]
            sources[again] = np.searchsorted(self._shares, drawn, side="right")
        return sources

    def _of_the_same(self, targets: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Another photo of each target's person, the target itself where there is none."""
        counts, first = self._counts[targets], self._first[targets]
        others = random.integers(0, np.maximum(counts - 1, 1))
        others += (others >= self._place[targets] - first) & (counts > 1)
        return self._by_person[first + others]

    def _views(
        self,
        places: np.ndarray,
        size: int,
        view_to_held: np.ndarray,
        random: np.random.Generator,
    ) -> Tensor:
        """Jittered crops [B, size, size, 3] uint8 of held ones, mirrored half of the time."""
        augmentation = self._settings.augmentation
        mirrored = random.random(len(places)) < augmentation.mirror
        jitters = jitter_transforms(len(places), size, random, augmentation)
        to_held = view_to_held @ _mirrors(mirrored, size) @ np.linalg.inv(_square(jitters))
        gains = colour_gains(len(places), random, augmentation)
        held = self._photos.crops[_on(places, self._photos)]
        return _sampled(held, to_held, size, gains)


def _on(places: np.ndarray, photos: CachedPhotos) -> Tensor:
    return torch.from_numpy(places).to(photos.crops.device, non_blocking=True)


def _square(transforms: np.ndarray) -> np.ndarray:
    """[B, 2, 3] -> [B, 3, 3]."""
    last = np.broadcast_to(np.array([0.0, 0.0, 1.0]), (len(transforms), 1, 3))
    return np.concatenate([transforms, last], axis=1)


def _mirrors(mirrored: np.ndarray, size: int) -> np.ndarray:
    """[B] bool -> [B, 3, 3], left and right exchanged where told so."""
    transforms = np.tile(np.eye(3), (len(mirrored), 1, 1))
    transforms[mirrored, 0] = [-1, 0, size]
    return transforms


def _sampled(held: Tensor, to_held: np.ndarray, size: int, gains: np.ndarray) -> Tensor:
    """Cut [B, C, C, 3] uint8 by transforms [B, 3, 3] from pixel to pixel -> [B, size, size, 3]."""
    count, side = held.shape[:2]
    linear, shift = to_held[:, :2, :2], to_held[:, :2, 2]
    # affine_grid speaks of [-1, 1] from edge to edge, transforms of pixel centres.
    shift = (2 * (linear.sum(2) * (size - 1) / 2 + shift) + 1) / side - 1
    theta = np.concatenate([linear * size / side, shift[:, :, None]], axis=2)
    theta, gains = (
        torch.from_numpy(values).float().to(held.device, non_blocking=True)
        for values in (theta, gains)
    )
    grid = F.affine_grid(theta, [count, 3, size, size], align_corners=False)
    pixels = held.permute(0, 3, 1, 2).float()
    views = F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)
    views = (views * gains[:, :, None, None]).round().clamp(0, 255)
    return views.permute(0, 2, 3, 1).byte()
