"""All photos of a data set as identity crops, in a cache: for distilling on one machine.

Training the generator streams its photos instead (pairs.py).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from simswap.runtime.pixels import network_input
from train.data.shards import PhotoRow, PhotoShards, decode_photo, open_photos
from train.errors import CorruptPhotoError, TrainingError
from train.pairing.alignment import IDENTITY_CROP, align_source

logger = logging.getLogger(__name__)

CROPS_FILE, PEOPLE_FILE = "identity_crops.npy", "identities.npy"


def load_identity_crops(source: str, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Crops [N, 112, 112, 3] uint8 RGB and identities [N] int64 of the rows with landmarks.

    Made once, then memory-mapped from `cache`. Raises TrainingError if no row has landmarks.
    """
    if not (cache / PEOPLE_FILE).is_file():
        cache.mkdir(parents=True, exist_ok=True)
        _write_crops(open_photos(source), cache)
    crops = np.load(cache / CROPS_FILE, mmap_mode="r")
    return crops, np.load(cache / PEOPLE_FILE)


def _write_crops(shards: PhotoShards, cache: Path) -> None:
    rows = sum(1 for number in range(shards.num_shards) for _ in shards.rows(number))
    shape = (rows, IDENTITY_CROP, IDENTITY_CROP, 3)
    crops = np.lib.format.open_memmap(cache / "part.npy", "w+", np.uint8, shape)
    people: list[str] = []
    for number in range(shards.num_shards):
        for row in shards.rows(number):
            if (crop := crop_of(row)) is not None:
                crops[len(people)] = crop
                people.append(row.identity or row.name)  # unlabelled: a person of its own
    if not people:
        raise TrainingError("No photo has landmarks. Run `python -m train.prepare` on them.")
    np.save(cache / CROPS_FILE, crops[: len(people)])
    (cache / "part.npy").unlink()
    np.save(cache / PEOPLE_FILE, np.unique(people, return_inverse=True)[1])
    logger.info("Aligned %d of %d photos", len(people), rows)


def crop_of(row: PhotoRow) -> np.ndarray | None:
    """A row's identity crop [112, 112, 3] uint8 RGB; None without landmarks or if it is corrupt."""
    if row.landmarks is None:
        return None
    try:
        return align_source(decode_photo(row), row.landmarks)
    except CorruptPhotoError as error:
        logger.warning("A photo is skipped: %s", error)
        return None


@torch.inference_mode()
def embed_crops(
    network: Callable[[Tensor], Tensor],
    crops: np.ndarray,
    device: str | torch.device = "cpu",
    batch_size: int = 64,
) -> Tensor:
    """Unit-norm embeddings [N, E] float32, on the CPU, of uint8 crops [N, 112, 112, 3]."""
    parts = []
    for start in range(0, len(crops), batch_size):
        images = torch.from_numpy(np.array(crops[start : start + batch_size])).to(device)
        vectors = network(network_input(images)).float().cpu()
        parts.append(torch.nn.functional.normalize(vectors, dim=1))
    return torch.cat(parts)


def embed_all(network: Callable[[Tensor], Tensor], crops: np.ndarray, cache: Path) -> Tensor:
    """What `embed_crops` gives, kept in file `cache`."""
    if cache.is_file():
        return torch.from_numpy(np.load(cache))
    embeddings = embed_crops(network, crops)
    np.save(cache, embeddings.numpy())
    logger.info("Embedded %d faces: %s", len(embeddings), cache.stem)
    return embeddings
