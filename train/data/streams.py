"""The library's streams of data sets, with bounds on what a row may take."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from train.data.cards import checked_commit
from train.data.sources import Files
from train.errors import TrainingError

if TYPE_CHECKING:
    from datasets import IterableDataset

    from train.data.webdataset import WebDataset


def open_stream(
    files: Files, split: str, revision: str | None, wanted: Callable[[list[str]], list[str]]
) -> IterableDataset:
    """Rows of a source, as the library streams them, read within bounds.

    split, revision: of a Hub data set. wanted: of the names of its columns, those that are read.
    Raises TrainingError for what has no bounds, and whatever the library or `wanted` raises.
    """
    from datasets import load_dataset_builder

    from train.data.parquet import BatchedParquet, Parquet
    from train.data.webdataset import WebDataset

    if files.kind == "hub":
        commit = checked_commit(files.paths[0], revision)
        builder = load_dataset_builder(files.paths[0], revision=commit)
    else:
        builder = load_dataset_builder(files.kind, data_files=list(files.paths))
        split = "train"
    if isinstance(builder, Parquet):
        builder.__class__ = BatchedParquet  # the features that a card names stay
        dataset = builder.as_streaming_dataset(split=split)
    elif isinstance(builder, WebDataset):
        dataset = _of_tars(builder, split)
    else:  # the library reads forty kinds, packed ones too
        raise TrainingError(
            f"The data set {files.paths[0]} is neither of parquet files nor of tars, and other "
            "files may unpack to any size. The Hub keeps many sets as parquet too: try the "
            "revision refs/convert/parquet."
        )
    names = wanted(list(dataset.column_names or next(iter(dataset), {})))
    if isinstance(builder, BatchedParquet):
        builder.wanted = tuple(names)
    dataset = dataset.select_columns(names)
    return dataset if dataset.features is None else dataset.decode(False)


def _of_tars(builder: WebDataset, split: str) -> IterableDataset:
    from datasets import Features, Json

    from train.data.webdataset import IncompleteWebDataset

    origin = {"data_files": builder.config.data_files, "token": builder.token}
    features = IncompleteWebDataset(**origin).as_streaming_dataset(split=split).features
    # The keys of its json are guessed from five rows, and others dropped in silence; landmarks that
    # only later rows have would be lost. Read as Json every row keeps its own.
    nested = {key: Json() for key, value in features.items() if isinstance(value, dict)}
    tars = IncompleteWebDataset(features=Features(features | nested), **origin)
    return tars.as_streaming_dataset(split=split)
