"""Webdataset shards in which some samples lack a file, as interrupted downloads leave them."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import PurePosixPath
from typing import BinaryIO

import numpy as np
from datasets.packaged_modules.webdataset.webdataset import (
    EXTENSION_TO_COMPRESSION_FS_FILE_CLS as PACKED,
)
from datasets.packaged_modules.webdataset.webdataset import WebDataset
from datasets.utils.file_utils import ArchiveIterable

from simswap.media.photos import MAX_FILE_BYTES
from train.data.sources import PHOTO_SUFFIXES, ModestMember

# What the library makes of them may be of any size: arrays, tensors, other programs' records.
_UNPACKED = {".npy", ".npz", ".ten", ".tb", ".pth", ".mp", ".msg", ".cbor"}
_MAX_TEXT = 1_000_000  # bytes of what is no photo; as JSON it takes thirty times as much memory
_JSON, _MAX_DEPTH, _MAX_KEYS = (".json", ".jsn"), 16, 1000
_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_MAX_SAMPLE = MAX_FILE_BYTES + 10 * _MAX_TEXT  # of all its files


class _Room:
    """For the files of one sample, in bytes."""

    def __init__(self) -> None:
        self.sample, self.left = "", 0

    def enter(self, name: str) -> None:
        """A file comes, with which another sample may begin."""
        path = PurePosixPath(name)
        sample = str(path.parent / path.name.split(".")[0])
        if sample != self.sample:
            self.sample, self.left = sample, _MAX_SAMPLE


class _Beginning:
    """A file of an archive: as much as its kind may have, though a few bytes may claim any size."""

    def __init__(self, name: str, file: BinaryIO, room: _Room) -> None:
        self._file, self._room = file, room
        self._is_json = name.lower().endswith(_JSON)
        self._most = MAX_FILE_BYTES if name.lower().endswith(PHOTO_SUFFIXES) else _MAX_TEXT

    def read(self) -> bytes:
        """What the library puts into a sample."""
        content = self._file.read(min(self._most, self._room.left))
        self._room.left -= len(content)
        if self._is_json:
            _check_json(content)
        return content


def _check_json(content: bytes) -> None:
    """Raise ValueError for JSON of whose values a table's type would take very much memory."""
    if b"\0" in content:  # in UTF-16, say, which Python reads as well
        raise ValueError("a json file in it is not in UTF-8")
    bare = _STRINGS.sub(b"", content)
    marks = np.frombuffer(bare, np.uint8)
    steps = np.isin(marks, list(b"{[")).astype(int) - np.isin(marks, list(b"}]"))
    if np.cumsum(steps).max(initial=0) > _MAX_DEPTH or bare.count(b":") > _MAX_KEYS:
        raise ValueError("a json file in it has very many keys, or values in values")


class _PlainArchive(ArchiveIterable):
    """The library's archive, if it is a plain tar: a packed one may unpack to any size."""

    @staticmethod
    def _iter_tar(file: BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
        with tarfile.open(fileobj=file, mode="r|", tarinfo=ModestMember) as archive:
            for member in archive:
                if member.issparse():  # which claims zeros that it does not hold
                    raise tarfile.ReadError("it has files with holes")
                if member.isreg():
                    yield member.name, archive.extractfile(member)
                archive.members = []  # which it would keep

    @staticmethod
    def _iter_zip(file: BinaryIO) -> Iterator[tuple[str, BinaryIO]]:
        raise tarfile.ReadError("it is a zip archive, not a tar")


class _PlainArchives:
    """The library's download manager, of whose archives only plain tars are read."""

    def __init__(self, manager: object) -> None:
        self._manager = manager

    def download(self, addresses: object) -> object:
        """As the library does."""
        return self._manager.download(addresses)

    def iter_archive(self, path: str) -> _PlainArchive:
        """The files of one."""
        return _PlainArchive.from_urlpath(path, download_config=self._manager.download_config)


class IncompleteWebDataset(WebDataset):
    """The library's reader, which refuses a shard if one of its first samples is incomplete."""

    def _split_generators(self, dl_manager: object) -> list:
        return super()._split_generators(_PlainArchives(dl_manager))

    @classmethod
    def _get_pipeline_from_tar(
        cls, tar_path: str, tar_iterator: Iterable[tuple[str, BinaryIO]]
    ) -> Iterator[dict[str, object]]:
        """Samples that have all the fields of the shard's first ones; None where a file is missing.

        Hidden files, such as a Mac's `._` files, are no samples. Packed ones are left out, and
        arrays and such, as they may unpack to any size.
        """
        room = _Room()

        def beginnings() -> Iterator[tuple[str, _Beginning]]:
            for name, file in tar_iterator:
                path = PurePosixPath(name)
                left_out = path.suffix.lower() in _UNPACKED.union(PACKED)
                if not left_out and not path.name.startswith("."):
                    room.enter(name)
                    yield name, _Beginning(name, file, room)

        samples = super()._get_pipeline_from_tar(tar_path, beginnings())
        first = list(islice(samples, cls.NUM_EXAMPLES_FOR_FEATURES_INFERENCE))
        fields = dict.fromkeys(chain.from_iterable(first))
        for sample in chain(first, samples):
            yield {field: sample.get(field) for field in fields}
