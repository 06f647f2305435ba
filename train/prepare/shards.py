"""From a data set's shards to prepared ones in which all photos of a person stand together.

Two rounds of independent tasks, which any machine that sees the folder can take:
1. A unit (an input shard, or a part of one) is read and its photos prepared. They are written in
   order of a hash of their identity, to files ("runs") of bounded size.
2. An output shard (output.py) is a range of hashes. It takes its rows from all runs; their
   statistics tell which few rows of a run to read.
A task writes under a temporary name and renames, so that what has its name is whole.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from simswap import FaceSwapper
from simswap.files import read_record, replaced
from simswap.types import Face
from train.data.shards import DEFAULT_COLUMNS, Columns, PhotoRow, PhotoShards, open_photos
from train.errors import TrainingError
from train.prepare.photos import Detect, PhotoSettings, Prepared, Reason, prepare_photo

UNCHECKED, COUNT, DROP = SAME_PERSON = ("unchecked", "count", "drop")
WORK_FOLDER = ".prepare"  # hidden: readers of the folder do not take runs for shards
RUN_BYTES = 64_000_000  # of encoded photos that a task holds
_RUN_GROUP_ROWS = 64  # the least that is read of a run
_NUM_EXAMPLES = 3  # rows named for each reason, in each unit

Kept = TypeVar("Kept")


@dataclass(frozen=True)
class PrepareSettings:
    """All that decides what is written; a folder holds the work of one."""

    data: str
    columns: Columns = DEFAULT_COLUMNS
    split: str = "train"
    revision: str | None = None
    model: str | None = None  # bundle whose detector is used; None: the bundled one
    photos: PhotoSettings = field(default_factory=PhotoSettings)
    rows_per_shard: int = 2000  # about
    num_parts: int | None = None  # tasks for each input shard; None: to be chosen
    same_person: str = UNCHECKED  # of SAME_PERSON: photos under a name that show somebody else
    hold_out: str | None = None  # folder for the evaluation set; None: nobody is held out
    hold_out_share: float = 0.02  # of the people
    hold_out_pairs: int = 300  # of the evaluation set

    def __post_init__(self) -> None:
        if not 0 < self.hold_out_share < 1:
            raise TrainingError(f"hold_out_share={self.hold_out_share} must lie between 0 and 1.")
        for name in ("rows_per_shard", "num_parts", "hold_out_pairs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise TrainingError(f"{name}={value} must be at least 1.")


@dataclass(frozen=True)
class Unit:
    """A task of the first round."""

    settings: PrepareSettings
    folder: Path
    shard: int
    part: int

    @property
    def name(self) -> str:
        """Names its files."""
        return f"unit-{self.shard:05}-{self.part:03}"

    @property
    def report_file(self) -> Path:
        """Written last: where it is, the unit is done."""
        return self.folder / WORK_FOLDER / f"{self.name}.json"


@dataclass
class UnitReport:
    """What became of a unit's rows; the sum of all is the report."""

    rows: int = 0
    written: int = 0
    unlabelled: int = 0
    detected: int = 0  # rows whose landmarks were found here
    several_faces: int = 0  # of those, rows with more than one face: the largest was taken
    dropped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)  # rows dropped, by reason
    runs: list[str] = field(default_factory=list)

    def count(self, row: PhotoRow, result: Prepared | Reason) -> None:
        """Add one row."""
        self.rows += 1
        if isinstance(result, Reason):
            self.dropped[result.value] = self.dropped.get(result.value, 0) + 1
            examples = self.examples.setdefault(result.value, [])
            if len(examples) < _NUM_EXAMPLES:
                examples.append(row.name)
            return
        self.written += 1
        self.unlabelled += row.identity is None
        self.detected += result.num_faces is not None
        self.several_faces += (result.num_faces or 0) > 1

    def add(self, other: UnitReport) -> None:
        """Add another unit's rows."""
        for name in ("rows", "written", "unlabelled", "detected", "several_faces"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, count in other.dropped.items():
            self.dropped[reason] = self.dropped.get(reason, 0) + count
        for reason, names in other.examples.items():
            kept = self.examples.setdefault(reason, [])
            kept += names[: _NUM_EXAMPLES - len(kept)]
        self.runs += other.runs


def prepare_unit(unit: Unit) -> UnitReport:
    """First round: prepare a unit's photos and write its runs, unless that is done.

    Raises TrainingError if the input shard is unreadable or nothing can be written.
    """
    done = read_unit_report(unit)
    if done is not None:
        return done
    settings = unit.settings
    photos, detect = _photos(settings), _detector(settings.model, settings.photos.min_score)
    report, held, num_bytes = UnitReport(), [], 0
    for row in photos.rows(unit.shard, 0, unit.part, settings.num_parts):
        result = prepare_photo(row, detect, settings.photos)
        report.count(row, result)
        if isinstance(result, Prepared):
            held.append(_record(row, result))
            num_bytes += len(result.image)
        if num_bytes >= RUN_BYTES:
            report.runs.append(_write_run(unit, len(report.runs), held))
            held, num_bytes = [], 0
    if held:
        report.runs.append(_write_run(unit, len(report.runs), held))
    with written_whole(unit.report_file) as path:
        path.write_text(json.dumps(asdict(report)), encoding="utf-8")
    return report


def read_unit_report(unit: Unit) -> UnitReport | None:
    """The report of a unit that is done, with its runs still there; else None."""
    try:
        report = read_kept(unit.report_file, UnitReport)
    except FileNotFoundError:
        return None
    there = all((unit.folder / WORK_FOLDER / run).is_file() for run in report.runs)
    return report if there else None


def _record(row: PhotoRow, result: Prepared) -> dict[str, object]:
    return {
        "image": {"bytes": result.image, "path": None},
        "identity": row.identity,
        "landmarks": result.landmarks.tolist(),
        "origin": row.name,
        "hash": row.person_hash,
    }


def _write_run(unit: Unit, number: int, records: list[dict[str, object]]) -> str:
    name = f"{unit.name}-{number:03}.parquet"
    records.sort(key=lambda record: record["hash"])
    table = pa.Table.from_pylist(records, schema().append(pa.field("hash", pa.int64())))
    with written_whole(unit.folder / WORK_FOLDER / name) as path:
        pq.write_table(table, path, row_group_size=_RUN_GROUP_ROWS)
    return name


def schema() -> pa.Schema:
    """Columns of the output, with what tells `datasets` that `image` holds images."""
    from datasets import Features, Image, List, Value

    return Features(
        {
            "image": Image(),
            "identity": Value("string"),
            "landmarks": List(List(Value("float32"))),
            "origin": Value("string"),
        }
    ).arrow_schema


def read_kept(path: Path, kind: Callable[..., Kept] = dict) -> Kept:
    """What an earlier run has written as JSON. Raises FileNotFoundError, or TrainingError."""
    try:
        return kind(**read_record(path))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"{path} is damaged ({error}). Use another --output.") from error


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` at the end of the block or not at all."""
    # A random name: a cluster may run a task again whose machine it has only lost sight of.
    try:
        with replaced(path) as part:
            yield part
    except OSError as error:
        raise TrainingError(
            f"{path} could not be written ({error.strerror or error}). Free some space, then run "
            "the same command again: what is done is kept."
        ) from error


@lru_cache(maxsize=1)
def _photos(settings: PrepareSettings) -> PhotoShards:
    return open_photos(
        settings.data, settings.columns, split=settings.split, revision=settings.revision
    )


@lru_cache(maxsize=1)
def swapper_of(model: str | None) -> FaceSwapper:
    """Loaded once in a process."""
    if multiprocessing.parent_process() is not None:
        torch.set_num_threads(1)  # the tasks share out the cores among themselves
    return FaceSwapper.from_pretrained(model)


def _detector(model: str | None, min_score: float) -> Detect:
    """Loaded on the first row without landmarks."""

    def detect(photo: np.ndarray) -> list[Face]:
        return swapper_of(model).detect(photo, min_score)

    return detect
