"""The photos of a process's people, aligned once and held on its device as bytes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from simswap.errors import SimSwapError
from simswap.geometry import frame_to_crop_transform, warp_to_crop
from train.config import PairSettings
from train.data.reduced import decode_to_fit
from train.data.shards import PhotoRow, PhotoShards
from train.errors import CorruptPhotoError, TrainingError
from train.pairing.alignment import IDENTITY_CROP, align_source, coverage, enlargement
from train.pairing.pairs import landmarks_advice, reasons_for, say_corrupt
from train.pairing.workers import items_of

logger = logging.getLogger(__name__)

SCALE = 1.25  # of a held crop, so that the second resampling costs little sharpness
MARGIN = 0.1  # of its side, on each side: as far as jitter reaches
CHUNK = 64  # photos that a worker hands over together


@dataclass(frozen=True, eq=False)
class CachedPhotos:
    """Aligned photos on the device, in the order of their names.

    crops: [N, C, C, 3] uint8 RGB, the generator's crops at SCALE with MARGIN around them.
    identity_crops: [N, 112, 112, 3] uint8 RGB, ArcFace alignment.
    people: [N], whose they are. targets: [T], the places of those that may be targets.
    skipped: photos passed over as targets, or altogether, by reason.
    """

    crops: Tensor
    identity_crops: Tensor
    people: np.ndarray
    targets: np.ndarray
    skipped: Counter[str]


@dataclass(frozen=True, eq=False)
class _Chunk:
    crops: Tensor
    identity_crops: Tensor
    names: tuple[str, ...]
    people: tuple[str | None, ...]
    may_be_target: tuple[bool, ...]
    skipped: Counter[str]
    notice: str  # the first photo that is corrupt


def cache_photos(
    shards: PhotoShards,
    settings: PairSettings,
    device: torch.device,
    num_workers: int = 0,
    *,
    rank: int = 0,
    world: int = 1,
) -> CachedPhotos:
    """Decode and align the photos of those people of `shards` who fall to process `rank`.

    People are dealt out to `world` processes by chance, which has the same outcome every time: each
    holds and decodes its share, and has pairs of one person and of two.
    Raises TrainingError if the data is faulty, or the share shows one person or fills no batch.
    """
    chunks: list[_Chunk] = []
    for chunk in items_of(_AlignedPhotos(shards, settings, rank, world), num_workers):
        if isinstance(chunk, SimSwapError):
            raise chunk
        chunks.append(chunk)
    if notices := [chunk.notice for chunk in chunks if chunk.notice]:
        say_corrupt(notices[0])
    skipped = sum((chunk.skipped for chunk in chunks), Counter())
    names = [name for chunk in chunks for name in chunk.names]
    # Unlabelled: its own identity. The order must not depend on the number of workers.
    people = [
        person or f"unlabelled {name}"
        for chunk in chunks
        for person, name in zip(chunk.people, chunk.names, strict=True)
    ]
    order = np.argsort(np.array(names, dtype=object), kind="stable")
    may_be_target = np.array([may for chunk in chunks for may in chunk.may_be_target], dtype=bool)
    _, numbers = np.unique(np.array(people, dtype=object)[order], return_inverse=True)
    targets = np.flatnonzero(may_be_target[order])
    _check(numbers, targets, settings, skipped, world)
    held = [
        torch.cat([getattr(chunk, name) for chunk in chunks])[torch.from_numpy(order)].to(device)
        for name in ("crops", "identity_crops")
    ]
    gigabytes = sum(crops.nbytes for crops in held) / 1e9
    logger.info("%d photos are held on %s, %.1f GB", len(order), device, gigabytes)
    return CachedPhotos(*held, numbers, targets, skipped)


def _check(
    people: np.ndarray,
    targets: np.ndarray,
    settings: PairSettings,
    skipped: Counter[str],
    world: int,
) -> None:
    num_people = len(np.unique(people))
    if len(targets) >= settings.batch_size and num_people > 1:
        return
    share = f"Of a process's share (one in {world}), only" if world > 1 else "Only"
    raise TrainingError(
        f"{share} {len(targets)} photos can be targets, and {len(people)} photos of {num_people} "
        f"people can be used (passed over: {reasons_for(skipped)}). Use more photos of at least "
        f"two people, or a batch smaller than {settings.batch_size}.{landmarks_advice(skipped)}"
    )


class _AlignedPhotos(IterableDataset):
    """One worker's part of a process's photos; an error travels as an item, without traceback."""

    def __init__(self, shards: PhotoShards, settings: PairSettings, rank: int, world: int) -> None:
        self.shards, self.settings = shards, settings
        self.rank, self.world = rank, world

    def __iter__(self) -> Iterator[_Chunk | SimSwapError]:
        worker = get_worker_info()
        part, num_parts = (worker.id, worker.num_workers) if worker else (0, 1)
        rows: list[PhotoRow] = []
        try:
            for shard in range(self.shards.num_shards):
                for row in self.shards.rows(shard, 0, part, num_parts):
                    if row.person_hash % self.world != self.rank:
                        continue
                    rows.append(row)
                    if len(rows) == CHUNK:
                        yield _aligned(rows, self.settings)
                        rows = []
            yield _aligned(rows, self.settings)
        except SimSwapError as error:
            yield error


def _aligned(rows: Sequence[PhotoRow], settings: PairSettings) -> _Chunk:
    size, margin = held_size(settings.crop_size)
    crops = np.zeros((len(rows), size, size, 3), np.uint8)
    identity_crops = np.zeros((len(rows), IDENTITY_CROP, IDENTITY_CROP, 3), np.uint8)
    used: list[PhotoRow] = []
    may_be_target: list[bool] = []
    skipped: Counter[str] = Counter()
    notice = ""
    for row in rows:
        if row.landmarks is None:
            skipped["without landmarks"] += 1
            continue
        template = settings.crop_template
        crops_of_photo = template, size - 2 * margin, settings.identity_template
        try:
            photo, landmarks = decode_to_fit(row, enlargement(row.landmarks, *crops_of_photo))
        except CorruptPhotoError as error:
            skipped["corrupt"] += 1
            notice = notice or str(error)
            continue
        frame_to_held = frame_to_crop_transform(landmarks, template, size - 2 * margin)
        frame_to_held[:, 2] += margin
        crops[len(used)] = warp_to_crop(photo, frame_to_held, size)
        identity_crops[len(used)] = align_source(photo, landmarks, settings.identity_template)
        is_whole = coverage(photo.shape, landmarks, template) >= settings.min_coverage
        if not is_whole:
            skipped["cut off by the photo's border"] += 1
        used.append(row)
        may_be_target.append(is_whole)
    return _Chunk(
        torch.from_numpy(crops[: len(used)]),
        torch.from_numpy(identity_crops[: len(used)]),
        tuple(row.name for row in used),
        tuple(row.identity for row in used),
        tuple(may_be_target),
        skipped,
        notice,
    )


def held_size(crop_size: int) -> tuple[int, int]:
    """Side of a held crop, and the margin in it, px."""
    inner = round(SCALE * crop_size)
    margin = round(MARGIN * inner)
    return inner + 2 * margin, margin
