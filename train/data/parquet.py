"""Parquet shards, read a few rows at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import DownloadConfig, Features
from datasets.builder import Key
from datasets.packaged_modules.parquet.parquet import Parquet
from datasets.table import table_cast
from datasets.utils.file_utils import xopen

READ_ROWS = 16  # rows held at once
# Of a group of rows, all columns that are read: what may be unpacked whatever it was, and as many
# times its bytes in the file. Photos are packed already.
_MAX_UNPACKED, _MAX_RATIO = 100_000_000, 20
# Rows may share a value of a dictionary, and each holds its own; honest writers end one at 1 MB.
# Of values that tell what they have in common with the one before, it cannot be told.
_MAX_DICTIONARY, _SHARED = 5_000_000, "DELTA_BYTE_ARRAY"
_NEXT_NUMBER = b"\x15"  # the field that follows, 32 bits
_DICTIONARY_PAGE = 2  # Parquet's number of that kind
# Equal values take next to no bytes in a file, 8 each when they are read, and 40 as Python's.
_MAX_VALUES, _MAX_READ_VALUES = 20_000_000, 1_000_000  # of a column's group; of rows held at once


class BatchedParquet(Parquet):
    """The library's reader, which holds a whole row group at once.

    Rows that share one photo take few bytes in a file, and each its own in memory.
    wanted: columns that are read; none: all.
    """

    wanted: tuple[str, ...] = ()

    def _generate_tables(
        self, files: Sequence[str], row_groups_list: Sequence[Sequence[int] | None]
    ) -> Iterator[tuple[Key, pa.Table]]:
        access = DownloadConfig(token=self.token, storage_options=self.storage_options)
        for number, (path, groups) in enumerate(zip(files, row_groups_list, strict=True)):
            with xopen(path, "rb", download_config=access) as file:
                shard = pq.ParquetFile(file)
                names = [name for name in self.wanted if name in shard.schema_arrow.names]
                for columns in _groups_of(shard, names):
                    _check_size(columns, path)
                    for column in columns:
                        _check_shared(column, file, path)
                batches = shard.iter_batches(READ_ROWS, row_groups=groups, columns=names or None)
                for place, batch in enumerate(batches):
                    _check_values(sum(map(_num_values, batch.columns)), _MAX_READ_VALUES, path)
                    yield Key(number, place), self._cast_table(pa.Table.from_batches([batch]))

    def _cast_table(self, table: pa.Table) -> pa.Table:
        if self.info.features is None:
            return table
        features = {name: self.info.features[name] for name in table.column_names}
        return table_cast(table, Features(features).arrow_schema)


def _groups_of(
    shard: pq.ParquetFile, names: Sequence[str]
) -> Iterator[list[pq.ColumnChunkMetaData]]:
    """The columns that are read of each group of rows. Raises ValueError for lists of texts."""
    told, roots, places = shard.metadata, set(names), []
    for place in range(told.num_columns):
        column = shard.schema.column(place)
        if roots and column.path.split(".")[0] not in roots:
            continue
        if column.physical_type == "BYTE_ARRAY" and column.max_repetition_level:
            # Which may name one value of a dictionary any number of times.
            raise ValueError(f"column {column.path!r} holds lists of texts or files")
        places.append(place)
    for number in range(told.num_row_groups):
        yield list(map(told.row_group(number).column, places))


def _check_size(columns: Sequence[pq.ColumnChunkMetaData], path: str) -> None:
    """Raise ValueError for a group of rows that unpacks to very much more than it is."""
    packed = sum(column.total_compressed_size for column in columns)
    unpacked = sum(column.total_uncompressed_size for column in columns)
    if unpacked > max(_MAX_UNPACKED, _MAX_RATIO * packed):
        raise ValueError(
            f"{PurePath(path).name}: rows unpack from {packed} to {unpacked} bytes. Write it anew "
            "without such rows."
        )
    for column in columns:
        _check_values(column.num_values, _MAX_VALUES, path)


def _check_shared(column: pq.ColumnChunkMetaData, file: BinaryIO, path: str) -> None:
    """Raise ValueError for a column whose rows may share values of many bytes."""
    kind = size = 0
    if column.total_uncompressed_size > _MAX_DICTIONARY:
        # A dictionary comes first, and the footer need not tell of it.
        places = column.data_page_offset, column.dictionary_page_offset or 0
        kind, size = _first_page(file, min(filter(None, places)))
    if (kind == _DICTIONARY_PAGE and size > _MAX_DICTIONARY) or _SHARED in column.encodings:
        raise ValueError(
            f"{PurePath(path).name}: rows of column {column.path_in_schema!r} share values of many "
            "bytes. Write it anew without a dictionary."
        )


def _first_page(file: BinaryIO, offset: int) -> tuple[int, int]:
    """A page's kind, and the bytes that it unpacks to, by its header in Thrift's compact form."""
    file.seek(offset)
    head = file.read(16)
    place, numbers = 0, []
    for _ in range(2):  # each: a byte that says which it is, and the number, seven bits a byte
        if head[place : place + 1] != _NEXT_NUMBER:
            raise ValueError("a page of it is described in an unusual way")
        place, number, shift = place + 1, 0, 0
        while place < len(head):
            number |= (head[place] & 127) << shift
            place, shift = place + 1, shift + 7
            if head[place - 1] < 128:
                break
        numbers.append(number >> 1)  # it is zigzag, and not below 0
    return numbers[0], numbers[1]


def _check_values(number: int, most: int, path: str) -> None:
    if number > most:
        raise ValueError(
            f"{PurePath(path).name}: some rows hold {number} values, and at most {most} are read "
            "at a time. Write it anew without such rows."
        )


def _num_values(array: pa.Array) -> int:
    """Of an array, with all that its lists hold."""
    if isinstance(array, pa.StructArray):
        return len(array) + sum(map(_num_values, array.flatten()))
    if isinstance(array, pa.FixedSizeListArray):
        return len(array) + _num_values(array.flatten())
    if isinstance(array, pa.ListArray | pa.LargeListArray):  # maps are lists, too
        first, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        return len(array) + _num_values(array.values.slice(first, end - first))
    return len(array)
