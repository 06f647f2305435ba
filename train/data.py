"""Photos in parquet shards -> aligned crops and embeddings in a cache -> batches of pairs.

Columns: image ({bytes, path}), identity (string), landmarks (5 x (x, y), pixels of that image).
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from simswap.geometry import TEMPLATES, apply, invert, similarity_transform, warp_to_crop

logger = logging.getLogger(__name__)

IDENTITY_CROP = 112  # px, ArcFace alignment: what identity networks are made for
MIN_COVERAGE = 0.97  # of a target's crop inside its photo
PHOTOS_PER_PERSON = 60


@dataclass(frozen=True, eq=False)
class AlignedFaces:
    """A data set aligned twice: for the generator and for identity networks.

    crops: [N, S + 2 margin, S + 2 margin, 3] uint8 RGB, the generator's template.
    identity_crops: [N, 112, 112, 3] uint8 RGB, the ArcFace template.
    identities: [N] int64, equal numbers for equal persons.
    coverage: [N] float32, share of the generator's crop that lies inside its photo.
    """

    crops: np.ndarray
    identity_crops: np.ndarray
    identities: np.ndarray
    coverage: np.ndarray
    margin: int

    def __len__(self) -> int:
        return len(self.identities)


def load_aligned_faces(
    shards: Path, cache: Path, template: str, size: int, margin: int
) -> AlignedFaces:
    """Aligned faces of all parquet shards in a folder, from `cache` if they were made before.

    Raises FileNotFoundError if the folder holds no shard.
    """
    folder = cache / f"{template}_{size}_{margin}"
    names = ("crops", "identity_crops", "identities", "coverage")
    if not all((folder / f"{name}.npy").is_file() for name in names):
        folder.mkdir(parents=True, exist_ok=True)
        _align_shards(shards, folder, template, size, margin)
    # Memory-mapped: the operating system keeps what is used, and a second run shares it.
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in names}
    logger.info("Aligned faces: %d", len(arrays["identities"]))
    return AlignedFaces(**arrays, margin=margin)


def _align_shards(shards: Path, folder: Path, template: str, size: int, margin: int) -> None:
    paths = sorted(shards.glob("*.parquet"))
    if not paths:
        raise FileNotFoundError(f"No *.parquet shard in {shards}. Point --data at the shards.")
    total = sum(pq.ParquetFile(path).metadata.num_rows for path in paths)
    side = size + 2 * margin
    shape = (total, side, side, 3)
    crops = np.lib.format.open_memmap(folder / "part_crops.npy", "w+", np.uint8, shape)
    identity_crops = np.lib.format.open_memmap(
        folder / "part_identity_crops.npy", "w+", np.uint8, (total, IDENTITY_CROP, IDENTITY_CROP, 3)
    )
    crop_points = TEMPLATES[template] * size + margin
    identity_points = TEMPLATES["arcface"] * IDENTITY_CROP
    names: list[str] = []
    coverage = np.zeros(total, np.float32)
    for path in paths:
        for row in pq.read_table(path).to_pylist():
            photo = cv2.imdecode(np.frombuffer(row["image"]["bytes"], np.uint8), cv2.IMREAD_COLOR)
            photo = np.ascontiguousarray(photo[..., ::-1])
            landmarks = np.array(row["landmarks"])
            number = len(names)
            frame_to_crop = similarity_transform(landmarks, crop_points)
            crops[number] = warp_to_crop(photo, frame_to_crop, side)
            coverage[number] = _coverage(photo.shape, frame_to_crop, side)
            identity_crops[number] = warp_to_crop(
                photo, similarity_transform(landmarks, identity_points), IDENTITY_CROP
            )
            names.append(row["identity"])
    np.save(folder / "part_coverage.npy", coverage)
    np.save(folder / "part_identities.npy", np.unique(names, return_inverse=True)[1])
    del crops, identity_crops  # flushes the maps
    for part in sorted(folder.glob("part_*.npy")):  # whole files only under the final names
        part.rename(folder / part.name.removeprefix("part_"))


def _coverage(shape: tuple[int, ...], frame_to_crop: np.ndarray, side: int) -> float:
    """Share of a crop's pixels that lie inside a photo of `shape`, on a 20 x 20 grid."""
    steps = (np.arange(20) + 0.5) / 20 * side
    grid = np.stack(np.meshgrid(steps, steps), axis=-1)
    points = apply(invert(frame_to_crop), grid)
    inside = (points >= 0) & (points < [shape[1], shape[0]])
    return float(inside.all(-1).mean())


@torch.inference_mode()
def embed_all(
    network: Callable[[Tensor], Tensor], crops: np.ndarray, cache: Path, batch_size: int = 64
) -> Tensor:
    """Unit-norm embeddings [N, E] float32 of uint8 crops [N, 112, 112, 3], kept in file `cache`.

    Computed once for the whole set: a source's embedding never changes during training.
    """
    if cache.is_file():
        return torch.from_numpy(np.load(cache))
    parts = []
    for start in range(0, len(crops), batch_size):
        images = to_tensor(
            np.array(crops[start : start + batch_size])
        )  # a copy: the map is read-only
        parts.append(torch.nn.functional.normalize(network(images).float(), dim=1))
    embeddings = torch.cat(parts)
    np.save(cache, embeddings.numpy())
    logger.info("Embedded %d faces: %s", len(embeddings), cache.stem)
    return embeddings


def to_tensor(images: np.ndarray) -> Tensor:
    """[B, H, W, 3] uint8 -> [B, 3, H, W] float32 in [0, 1], channels_last in memory."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div_(255)


@dataclass(frozen=True, eq=False)
class Batch:
    """sources: [B] rows of the identity givers; targets: [B, 3, S, S]; same: one person each."""

    sources: Tensor
    targets: Tensor
    same: bool


class PairSampler:
    """Endless batches that alternate between same- and different-identity pairs (the paper's).

    A person with one photo is their own same-identity pair. Photos that the crop reaches out of
    are sources only: their repeated border would teach the generator streaks. A person with many
    photos counts as `PHOTOS_PER_PERSON` at most when sources are drawn, or two dozen celebrities
    would be a quarter of them.
    """

    def __init__(self, faces: AlignedFaces, size: int, batch_size: int, seed: int) -> None:
        self.faces = faces
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        order = np.argsort(faces.identities, kind="stable")
        starts = np.searchsorted(faces.identities[order], np.arange(faces.identities.max() + 2))
        self._photos_of = [order[a:b] for a, b in itertools.pairwise(starts)]
        self._targets = np.flatnonzero(faces.coverage >= MIN_COVERAGE)
        if not len(self._targets):
            raise ValueError(f"No photo covers {MIN_COVERAGE:.0%} of its crop; use wider photos.")
        counts = np.bincount(faces.identities)[faces.identities]
        self._source_steps = np.cumsum(np.minimum(1, PHOTOS_PER_PERSON / counts))

    def batches(self, from_step: int = 0) -> Iterator[Batch]:
        """Batches from number `from_step` on: each depends on the seed and its number alone."""
        step = from_step
        while True:
            yield self.batch(step)
            step += 1

    def batch(self, step: int) -> Batch:
        """Batch number `step`; even ones hold same-identity pairs."""
        random = np.random.default_rng((self.seed, step))
        same = step % 2 == 0
        targets = random.choice(self._targets, self.batch_size)
        sources = np.array([self._source_for(target, same, random) for target in targets])
        images = np.stack([self._augmented(target, random) for target in targets])
        return Batch(torch.from_numpy(sources), _jitter_colour(to_tensor(images), random), same)

    def _source_for(self, target: int, same: bool, random: np.random.Generator) -> int:
        identity = self.faces.identities[target]
        if same:
            return int(random.choice(self._photos_of[identity]))
        while True:
            place = random.random() * self._source_steps[-1]
            source = int(np.searchsorted(self._source_steps, place, side="right"))
            if self.faces.identities[source] != identity:
                return source

    def _augmented(self, row: int, random: np.random.Generator) -> np.ndarray:
        """A crop shifted within its margin and mirrored half of the time."""
        y, x = random.integers(0, 2 * self.faces.margin + 1, 2)
        crop = self.faces.crops[row, y : y + self.size, x : x + self.size]
        return crop[:, ::-1] if random.random() < 0.5 else crop


def _jitter_colour(images: Tensor, random: np.random.Generator) -> Tensor:
    """Gain per channel and contrast per image, so that light and white balance vary."""
    count = len(images)
    gain = torch.from_numpy(random.uniform(0.9, 1.1, (count, 3, 1, 1))).float()
    gain = gain * torch.from_numpy(random.uniform(0.85, 1.15, (count, 1, 1, 1))).float()
    return (images * gain).clamp(0, 1)
