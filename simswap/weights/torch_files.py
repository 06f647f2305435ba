"""Tensors out of files that `torch.save` wrote, by reading their pickles without running them.

Two forms: the zip archive of torch 1.6 and later, and the row of pickles before that, in which the
published identity network came. What a file claims is checked against its size before any memory
is taken for it.
"""

from __future__ import annotations

import io
import struct
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from simswap.errors import ModelError
from simswap.weights.restricted_pickle import Name, read_pickle

MAX_DIMENSIONS = 8  # of a tensor; and no side of one is longer than
MAX_SIDE = 2**40
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the row
NUM_LEGACY_HEADERS = 3  # magic number, protocol version, facts about the machine
STORAGE_TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}


@dataclass(eq=False)
class Storage:
    """A block of numbers in the file; `values` come once the file's pickle has been read."""

    key: str
    dtype: torch.dtype
    num_values: int
    values: Tensor | None = None  # [num_values]

    @property
    def called(self) -> str:
        """Its key, fit for a terminal."""
        return ascii(self.key[:40])


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """Where in a storage a tensor lies."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def resolve(self) -> Tensor:
        """The tensor, a view: no memory is taken, however often a storage is used."""
        return self.storage.values.as_strided(self.size, self.stride, self.offset)


@dataclass
class _Storages:
    """What the pickle's persistent ids refer to."""

    by_key: dict[str, Storage] = field(default_factory=dict)

    def __call__(self, saved: object) -> object:
        """The Storage, or for a class that was stored with its source text, its Name."""
        if not isinstance(saved, tuple) or len(saved) < 2:
            raise ValueError("an odd persistent id")
        if saved[0] == "module" and isinstance(saved[1], Name):
            return saved[1]
        is_storage = isinstance(saved[0], str) and saved[0] == "storage"
        if (
            not is_storage
            or len(saved) not in (5, 6)
            or any(part is not None for part in saved[5:])
        ):
            raise ValueError("a persistent id of another kind than storages have")
        kind, key, _, num_values = saved[1:5]
        if not isinstance(kind, Name) or not isinstance(key, str):
            raise ValueError("an odd storage")
        dtype = STORAGE_TYPES.get(kind.full.split(".")[-1])
        if dtype is None or not kind.full.startswith("torch."):
            called = ascii(kind.full[:80])
            raise ModelError(f"it holds numbers of the kind {called}, which is not known here")
        storage = self.by_key.setdefault(key, Storage(key, dtype, _count(num_values)))
        if (storage.dtype, storage.num_values) != (dtype, num_values):
            raise ValueError(f"storage {storage.called} is described in two ways")
        return storage


def is_legacy(file: BinaryIO) -> bool:
    """Whether an open file begins as the row of pickles does; its position is kept."""
    start = file.tell()
    try:
        return read_pickle(file) == LEGACY_MAGIC
    except ModelError:
        return False
    finally:
        file.seek(start)


def read_legacy(file: BinaryIO, num_bytes: int) -> object:
    """The value saved in the row of pickles; tensors are StoredTensor, classes Shell.

    Raises ModelError without the file's name.
    """
    facts = [read_pickle(file) for _ in range(NUM_LEGACY_HEADERS)][-1]
    if isinstance(facts, dict) and facts.get("little_endian") is False:
        raise ModelError("it was written on a big-endian machine, which is not known here")
    storages = _Storages()
    value = read_pickle(file, _CALLS, storages)
    keys = read_pickle(file)
    if not isinstance(keys, list):
        raise ModelError("it is damaged: the list of its storages is missing")
    for key in keys:
        storage = storages.by_key.get(key) if isinstance(key, str) else None
        header = file.read(8)
        if storage is None or len(header) < 8:
            raise ModelError("it is cut short or damaged (in its numbers)")
        if struct.unpack("<q", header)[0] != storage.num_values:
            raise ModelError(
                f"it is damaged: storage {storage.called} has another length than it says"
            )
        _check_room(storage, num_bytes - file.tell())
        storage.values = _to_tensor(storage, file.read(_num_bytes(storage)))
    _check_complete(storages)
    return value


def read_zip(path: Path) -> object:
    """As `read_legacy`, from the zip archive that newer versions write."""
    try:
        with zipfile.ZipFile(path) as archive:
            return _read_archive(archive, path.stat().st_size)
    except (zipfile.BadZipFile, struct.error, ValueError, LookupError, OverflowError) as error:
        raise ModelError(f"it is cut short or damaged ({str(error)[:120]!a})") from error
    except (NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise ModelError(f"it is cut short or damaged ({str(error)[:120]!a})") from error


def _read_archive(archive: zipfile.ZipFile, num_bytes: int) -> object:
    entries = {entry.filename: entry for entry in archive.infolist()}
    pickles = [name for name in entries if name.endswith("/data.pkl")]
    if len(pickles) != 1:
        raise ModelError("it is a zip archive, but not one that torch.save wrote")
    folder = pickles[0].removesuffix("data.pkl")
    if any(name.startswith(f"{folder}code/") for name in entries):
        raise ModelError("it is a TorchScript program, not a file of weights")
    pickled = _read_entry(archive, entries[pickles[0]], num_bytes)
    order = entries.get(f"{folder}byteorder")
    if order is not None and _read_entry(archive, order, num_bytes) != b"little":
        raise ModelError("it was written on a big-endian machine, which is not known here")
    storages = _Storages()
    value = read_pickle(io.BytesIO(pickled), _CALLS, storages)
    left = num_bytes  # entries can overlap, and so claim more together than the file has
    for storage in storages.by_key.values():
        entry = entries.get(f"{folder}data/{storage.key}")
        if entry is None:
            raise ModelError(f"it is cut short or damaged: storage {storage.called} is missing")
        _check_room(storage, min(entry.file_size, left))
        left -= _num_bytes(storage)
        storage.values = _to_tensor(storage, _read_entry(archive, entry, num_bytes))
    return value


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, num_bytes: int) -> bytes:
    """The bytes of an entry as torch.save writes it: not compressed, so no larger than the file."""
    is_plain = entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size
    if not is_plain or entry.file_size > num_bytes:
        raise ModelError("it is damaged: its parts are compressed, which torch.save never does")
    return archive.read(entry)


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{str(value)[:40]} where a count belongs")
    return value


def _num_bytes(storage: Storage) -> int:
    return storage.num_values * storage.dtype.itemsize


def _check_room(storage: Storage, num_bytes: int) -> None:
    if _num_bytes(storage) > num_bytes:
        raise ModelError(
            f"it is cut short or damaged: storage {storage.called} should have "
            f"{_num_bytes(storage)} bytes, but at most {num_bytes} are there"
        )


def _check_complete(storages: _Storages) -> None:
    for storage in storages.by_key.values():
        if storage.values is None:
            raise ModelError(f"it is cut short or damaged: storage {storage.called} is missing")


def _to_tensor(storage: Storage, data: bytes) -> Tensor:
    data = data[: _num_bytes(storage)]
    if not data:
        return torch.empty(0, dtype=storage.dtype)
    return torch.frombuffer(bytearray(data), dtype=storage.dtype)


def _rebuild_tensor(
    storage: object, offset: object, size: object, stride: object, *_: object
) -> StoredTensor:
    if not isinstance(storage, Storage) or not isinstance(size, tuple):
        raise ValueError("a tensor without a storage or a shape")
    if not isinstance(stride, tuple) or len(stride) != len(size):
        raise ValueError("a tensor whose strides do not fit its shape")
    offset, size, stride = _count(offset), tuple(map(_count, size)), tuple(map(_count, stride))
    if len(size) > MAX_DIMENSIONS or max(offset, *size, *stride, 0) > MAX_SIDE:
        raise ValueError("a tensor of an odd shape")
    num_values, last = 1, offset
    for length, step in zip(size, stride, strict=True):
        num_values *= length
        last += max(length - 1, 0) * step
    # With a stride of 0 a few bytes could pass for a tensor without bound.
    if num_values > storage.num_values or (num_values and last >= storage.num_values):
        raise ModelError(f"it is damaged: a tensor of shape {list(size)} leaves its storage")
    return StoredTensor(storage, offset, size, stride)


def _rebuild_parameter(data: object, *_: object) -> object:
    if not isinstance(data, StoredTensor):
        raise ValueError("a parameter without a tensor")
    return data


_CALLS = {
    "torch._utils._rebuild_tensor": _rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": _rebuild_parameter,
}
