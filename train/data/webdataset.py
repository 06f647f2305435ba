"""Webdataset shards in which some samples lack a file, as interrupted downloads leave them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import BinaryIO

from datasets.packaged_modules.webdataset.webdataset import WebDataset


class IncompleteWebDataset(WebDataset):
    """The library's reader, which refuses a shard if one of its first samples is incomplete."""

    @classmethod
    def _get_pipeline_from_tar(
        cls, tar_path: str, tar_iterator: Iterable[tuple[str, BinaryIO]]
    ) -> Iterator[dict[str, object]]:
        """Samples that have all the fields of the shard's first ones; None where a file is missing.

        Hidden files, such as a Mac's `._` files, are no samples.
        """
        members = (
            member for member in tar_iterator if not PurePosixPath(member[0]).name.startswith(".")
        )
        samples = super()._get_pipeline_from_tar(tar_path, members)
        first = list(islice(samples, cls.NUM_EXAMPLES_FOR_FEATURES_INFERENCE))
        fields = dict.fromkeys(chain.from_iterable(first))
        for sample in chain(first, samples):
            yield {field: sample.get(field) for field in fields}
