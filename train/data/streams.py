"""The library's streams of data sets, with bounds on what a row may take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from train.data.cards import checked_commit
from train.data.sources import Files
from train.errors import TrainingError

if TYPE_CHECKING:
    from datasets import IterableDataset

MAX_FIXED = 100_000  # values of a row that are there whatever the row holds


def open_stream(files: Files, split: str, revision: str | None) -> IterableDataset:
    """Rows of a source, as the library streams them, read within bounds.

    split, revision: of a Hub data set. Raises TrainingError for what has no bounds, and whatever
    the library raises.
    """
    dataset = _stream(files, split, revision)
    if (number := _fixed_values(dataset.features or {})) > MAX_FIXED:
        raise TrainingError(
            f"The rows of {files.paths[0]} hold {number} values each, by what it tells of them; at "
            f"most {MAX_FIXED} are read. Ask its maker for smaller ones."
        )
    return dataset


def _stream(files: Files, split: str, revision: str | None) -> IterableDataset:
    from datasets import Features, Json, load_dataset_builder

    from train.data.parquet import BatchedParquet, Parquet
    from train.data.webdataset import IncompleteWebDataset, WebDataset

    if files.kind == "hub":
        commit = checked_commit(files.paths[0], revision)
        builder = load_dataset_builder(files.paths[0], revision=commit)
    else:
        builder = load_dataset_builder(files.kind, data_files=list(files.paths))
        split = "train"
    if isinstance(builder, Parquet):
        builder.__class__ = BatchedParquet  # the features that a card names stay
        return builder.as_streaming_dataset(split=split)
    if not isinstance(builder, WebDataset):  # the library reads forty kinds, packed ones too
        raise TrainingError(
            f"The data set {files.paths[0]} is neither of parquet files nor of tars, and other "
            "files may unpack to any size. The Hub keeps many sets as parquet too: try the "
            "revision refs/convert/parquet."
        )
    origin = {"data_files": builder.config.data_files, "token": builder.token}
    features = IncompleteWebDataset(**origin).as_streaming_dataset(split=split).features
    # The keys of its json are guessed from five rows, and others dropped in silence; landmarks that
    # only later rows have would be lost. Read as Json every row keeps its own.
    nested = {key: Json() for key, value in features.items() if isinstance(value, dict)}
    tars = IncompleteWebDataset(features=Features(features | nested), **origin)
    return tars.as_streaming_dataset(split=split)


def _fixed_values(feature: object) -> int:
    """How many values a row of a feature has at least: lists of a fixed length are filled up."""
    if isinstance(feature, Mapping):
        return sum(map(_fixed_values, feature.values()))
    sides = [side or 1 for side in getattr(feature, "shape", ())]  # None: any
    number = max(getattr(feature, "length", 1), 1) * math.prod(sides)
    inner = getattr(feature, "feature", None)
    return number if inner is None else number * _fixed_values(inner)
