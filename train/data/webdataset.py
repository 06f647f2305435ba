"""Webdataset shards in which some samples lack a file, as interrupted downloads leave them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import BinaryIO

from datasets.packaged_modules.webdataset.webdataset import (
    EXTENSION_TO_COMPRESSION_FS_FILE_CLS as PACKED,
)
from datasets.packaged_modules.webdataset.webdataset import WebDataset

from simswap.media.photos import MAX_FILE_BYTES

# What the library makes of them may be of any size: arrays, tensors, other programs' records.
_UNPACKED = {".npy", ".npz", ".ten", ".tb", ".pth", ".mp", ".msg", ".cbor"}


class _Beginning:
    """A file of an archive: as much as a photo may have, though a few bytes may claim any size."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self) -> bytes:
        """What the library puts into a sample."""
        return self._file.read(MAX_FILE_BYTES)


class IncompleteWebDataset(WebDataset):
    """The library's reader, which refuses a shard if one of its first samples is incomplete."""

    @classmethod
    def _get_pipeline_from_tar(
        cls, tar_path: str, tar_iterator: Iterable[tuple[str, BinaryIO]]
    ) -> Iterator[dict[str, object]]:
        """Samples that have all the fields of the shard's first ones; None where a file is missing.

        Hidden files, such as a Mac's `._` files, are no samples. Packed ones are left out, and
        arrays and such, as they may unpack to any size.
        """
        members = (
            (name, _Beginning(file))
            for name, file in tar_iterator
            if not PurePosixPath(name).name.startswith(".")
            and PurePosixPath(name).suffix.lower() not in _UNPACKED.union(PACKED)
        )
        samples = super()._get_pipeline_from_tar(tar_path, members)
        first = list(islice(samples, cls.NUM_EXAMPLES_FOR_FEATURES_INFERENCE))
        fields = dict.fromkeys(chain.from_iterable(first))
        for sample in chain(first, samples):
            yield {field: sample.get(field) for field in fields}
