"""Photos in memory, as a data set of several shards; each photo's colour tells which one it is."""

from collections.abc import Iterator, Sequence
from itertools import islice

import cv2
import numpy as np

from simswap.geometry import TEMPLATES
from train.data.shards import PhotoRow, PhotoShards

SIDE = 64
LANDMARKS = (TEMPLATES["arcface"] * 24 + 20).astype(np.float32)  # a small face, room around it


def photo_row(number: int, identity: str | None) -> PhotoRow:
    """A flat photo whose red and green encode its number."""
    photo = np.zeros((SIDE, SIDE, 3), np.uint8)
    photo[..., 2], photo[..., 1], photo[..., 0] = (
        40 + 10 * (number % 16),
        40 + 10 * (number // 16),
        90,
    )
    content = cv2.imencode(".png", photo)[1].tobytes()
    return PhotoRow(content, identity, LANDMARKS, f"row {number}")


class MemoryPhotos(PhotoShards):
    """`shards` lists the rows of each shard."""

    def __init__(self, shards: Sequence[Sequence[PhotoRow]]) -> None:
        self.shards = shards
        self.num_shards = len(shards)

    def rows(
        self, shard: int, start: int = 0, part: int = 0, num_parts: int = 1
    ) -> Iterator[PhotoRow]:
        """See PhotoShards.rows."""
        return islice(self.shards[shard], part + start * num_parts, None, num_parts)


def people(num_shards: int, rows_per_shard: int, num_people: int) -> MemoryPhotos:
    """Labelled photos whose people are scattered over all shards."""
    numbers = range(num_shards * rows_per_shard)
    rows = [photo_row(number, f"person {number % num_people}") for number in numbers]
    starts = range(0, len(rows), rows_per_shard)
    return MemoryPhotos([rows[start : start + rows_per_shard] for start in starts])
