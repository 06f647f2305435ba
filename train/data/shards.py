"""Photos from any source, read in streaming mode: row by row, shard by shard, from any position."""

from __future__ import annotations

import logging
import os
import re
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from simswap.files import read_beginning
from simswap.media.photos import MAX_FILE_BYTES
from train.data.rows import Columns, PhotoRow, column_of, decode_photo, to_photo_row
from train.data.sources import Files, find_files
from train.data.streams import open_stream
from train.errors import TrainingError

if TYPE_CHECKING:
    from datasets import IterableDataset

__all__ = ["Columns", "PhotoRow", "PhotoShards", "decode_photo", "open_photos"]

logger = logging.getLogger(__name__)

DEFAULT_COLUMNS = Columns()
_HUB_FILE = re.compile(r"hf://datasets/([^/@]+/[^/@]+)[@/]")
RUN = 16  # neighbouring rows of one part, where it is not known how many there are


class PhotoShards:
    """Rows of a data set by shard and position. Picklable; reads only what it yields from.

    num_shards: shards are numbered from 0, always in the same order.
    """

    num_shards: int

    def rows(
        self, shard: int, start: int = 0, part: int = 0, num_parts: int = 1
    ) -> Iterator[PhotoRow]:
        """Rows start, start + 1, ... of one part of a shard.

        Each row is in one part; `start` counts within the part. Where the source allows it, parts
        keep neighbours together, who may be one person.
        Raises TrainingError naming the shard if it is empty or unreadable, and naming the row if
        its landmarks are not 5 x (x, y).
        """
        raise NotImplementedError


class FolderPhotos(PhotoShards):
    """Photos in a folder: one shard, whose files are read when their turn comes.

    The identity is the path of a photo's folder below `root`; photos right in it have none.
    """

    def __init__(self, files: Files) -> None:
        self.num_shards = 1
        self._root = files.root
        self._names = [os.path.relpath(path, files.root) for path in files.paths]

    def rows(
        self, shard: int, start: int = 0, part: int = 0, num_parts: int = 1
    ) -> Iterator[PhotoRow]:
        """See PhotoShards.rows."""
        _check_part(self.num_shards, shard, start, part, num_parts)
        for name in islice(self._names, part + start * num_parts, None, num_parts):
            try:
                image = read_beginning(Path(self._root, name), MAX_FILE_BYTES)
            except OSError:
                image = b""  # decode_photo says so; one photo less does not stop a training
            identity = os.path.dirname(name).replace(os.sep, "/") or None
            yield PhotoRow(image, identity, None, name)


class TablePhotos(PhotoShards):
    """Photos in the rows of a `datasets` stream; one of its shards is one shard here."""

    def __init__(self, dataset: IterableDataset, columns: Columns, source: str, files: Files):
        self.num_shards = dataset.num_shards
        self._dataset = dataset
        self._columns = columns
        self._source = source
        self._repository = _repository_of(files)
        named = files.kind != "hub" and len(files.paths) == dataset.num_shards
        self._paths = files.paths if named else None
        self._has_counts = named and files.kind == "parquet" and "://" not in "".join(files.paths)

    def rows(
        self, shard: int, start: int = 0, part: int = 0, num_parts: int = 1
    ) -> Iterator[PhotoRow]:
        """See PhotoShards.rows."""
        _check_part(self.num_shards, shard, start, part, num_parts)
        title = f"shard {shard}"
        title += f" ({os.path.basename(self._paths[shard])})" if self._paths else ""
        dataset = self._dataset.shard(num_shards=self.num_shards, index=shard)
        features = dataset.features or {}
        number = -1
        with _reading(f"{title} of {self._source}"):
            place_of = self._places(shard, num_parts)
            for number, record in enumerate(_records(dataset)):
                of, place = place_of(number)
                if of == part and place >= start:
                    name = f"{title}, row {number}"
                    yield to_photo_row(record, self._columns, features, name, self._repository)
        if number < 0:
            raise TrainingError(f"{title} of {self._source} is empty. Remove it or write it again.")

    def _places(self, shard: int, num_parts: int) -> Callable[[int], tuple[int, int]]:
        """From a row's number to its part, and its place there."""
        if self._has_counts:
            import pyarrow.parquet as pq

            num_rows = pq.read_metadata(self._paths[shard]).num_rows

            def of_equal_parts(number: int) -> tuple[int, int]:
                part = number * num_parts // num_rows
                return part, number + part * num_rows // -num_parts  # less the first one's number

            return of_equal_parts

        def of_runs(number: int) -> tuple[int, int]:
            run, place = divmod(number, RUN)
            return run % num_parts, run // num_parts * RUN + place

        return of_runs


def _repository_of(files: Files) -> str | None:
    """The Hub's data set ("user/name") that all the files are of."""
    if files.kind == "hub":
        return files.paths[0]
    found = {_HUB_FILE.match(path) for path in files.paths}
    names = {match and match[1] for match in found}
    return names.pop() if len(names) == 1 else None


def open_photos(
    source: str,
    columns: Columns = DEFAULT_COLUMNS,
    *,
    split: str = "train",
    revision: str | None = None,
) -> PhotoShards:
    """Open a data set for streaming and read its first row, so that faults show at once.

    Args:
        source: a Hub data set id ("user/name"), a folder or glob of parquet files or webdataset
            .tar shards, http(s):// or hf:// addresses of those (braces; several separated by
            commas), or a folder of photos (sub-folders are identities).
        columns: where image, identity and landmarks stand; not used for a folder of photos.
        split: of a Hub data set.
        revision: branch, tag or commit of a Hub data set.

    Raises:
        TrainingError: there is no such source, it is empty, private or unreadable, or lacks a
            column; also a column other than the default's name that is not there.
    """
    files = find_files(source)
    if files.kind == "folder":
        return FolderPhotos(files)

    def wanted(names: list[str]) -> list[str]:
        _check_columns(names, columns, source)
        found = (column_of(name, names) for name in vars(columns).values())
        return list(dict.fromkeys(filter(None, found)))

    with _reading(source):
        dataset = open_stream(files, split, revision, wanted)
    photos = TablePhotos(dataset, columns, source, files)
    next(photos.rows(0))
    return photos


def _records(dataset: IterableDataset) -> Iterator[dict[str, object]]:
    """Rows of a stream, all of them.

    `for row in dataset` would give a DataLoader's worker its share of the shards only (we deal the
    parts out ourselves: a second worker got nothing), and takes several times as long.
    """
    from train.data.parquet import READ_ROWS

    for batch in dataset.iter(READ_ROWS):
        for values in zip(*batch.values(), strict=True):
            yield dict(zip(batch, values, strict=True))


@contextmanager
def _reading(what: str) -> Iterator[None]:
    """Turn what reading can raise into a TrainingError that names `what`."""
    import pyarrow
    from datasets.exceptions import DatasetNotFoundError, DatasetsError
    from huggingface_hub.errors import HTTPError

    try:
        yield
    except DatasetNotFoundError as error:
        raise TrainingError(
            f"There is no data set {what!r} on the Hub (nor a folder of that name here), or it is "
            "private or gated: then log in with `hf auth login`, as somebody who has access."
        ) from error
    except FileNotFoundError as error:
        raise TrainingError(
            f"{what} is not there ({_first_line(error)}). Check the address; if it is private on "
            "the Hub, log in with `hf auth login`."
        ) from error
    except (ConnectionError, HTTPError) as error:
        nor = "" if "://" in what else " There is no folder of that name here either."
        raise TrainingError(
            f"{what} cannot be reached ({_first_line(error)}). Check address and connection.{nor}"
        ) from error
    except (
        OSError,
        ValueError,
        RuntimeError,
        EOFError,
        MemoryError,
        ImportError,  # such as aiohttp, without which fsspec reads no http:// address
        tarfile.TarError,
        zlib.error,
        pyarrow.ArrowException,
        DatasetsError,
    ) as error:
        hint = " It is damaged, cut off, or has other columns than the first shard."
        raise TrainingError(
            f"{what} cannot be read ({_first_line(error)})."
            f"{hint if what.startswith('shard ') else ''}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0].strip() or type(error).__name__


def _check_part(num_shards: int, shard: int, start: int, part: int, num_parts: int) -> None:
    if not (0 <= shard < num_shards and 0 <= part < num_parts and start >= 0):
        raise ValueError(
            f"shard={shard} of {num_shards}, start={start}, part={part} of {num_parts}."
        )


def _check_columns(names: list[str], columns: Columns, source: str) -> None:
    """Raise TrainingError for a column that is not there; warn if nobody has a name."""
    if not names:
        raise TrainingError(f"The data set {source} is empty: it has no row and no column.")
    there = ", ".join(names)
    for what, default in vars(DEFAULT_COLUMNS).items():
        name = getattr(columns, what)
        if column_of(name, names) is None and (what == "image" or name != default):
            raise TrainingError(
                f"{source} has no column {name!r} for the {what}; its columns: {there}. "
                f"Name the right one (--{what}-column)."
            )
    if column_of(columns.identity, names) is None:
        logger.warning(
            "%s has no column %r (its columns: %s): each photo is taken for its own identity.",
            source,
            columns.identity,
            there,
        )
