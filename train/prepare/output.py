"""The second round: prepared photos to output shards in which a person's photos stand together."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby, islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from train.data.rows import NUM_HASHES, PhotoRow
from train.data.shards import open_photos
from train.evaluate.folder import make_folder
from train.prepare.people import odd_photos
from train.prepare.shards import (
    DROP,
    UNCHECKED,
    WORK_FOLDER,
    PrepareSettings,
    read_kept,
    schema,
    swapper_of,
    written_whole,
)

_GROUP_ROWS = 256  # of an output shard
_NUM_EXAMPLES = 3  # odd photos named for each shard
HELD_OUT = f"{WORK_FOLDER}/held_out.parquet"


@dataclass(frozen=True)
class OutputShard:
    """A task: those rows of all runs whose hash lies in a range."""

    folder: Path
    settings: PrepareSettings
    runs: tuple[str, ...]
    name: str
    low: int  # first hash
    end: int  # the one after the last

    @property
    def path(self) -> Path:
        """The finished shard."""
        return self.folder / self.name

    @property
    def report_file(self) -> Path:
        """Written last: where both are, the shard is done."""
        return self.folder / WORK_FOLDER / f"{self.path.stem}.json"


@dataclass
class ShardReport:
    """What an output shard holds, and what it lacks."""

    name: str
    rows: int = 0
    identities: int = 0
    odd: int = 0  # photos that show somebody else than most of their name's
    odd_examples: list[str] = field(default_factory=list)


def output_shards(
    settings: PrepareSettings, folder: Path, runs: Sequence[str], num_rows: int
) -> list[OutputShard]:
    """The tasks; those for evaluation, if any are, come first.

    Who is held out depends on the names alone, so that a set that grows holds out the same people.
    """
    held = round(settings.hold_out_share * NUM_HASHES) if settings.hold_out else 0
    count = max(math.ceil(num_rows * (1 - held / NUM_HASHES) / settings.rows_per_shard), 1)
    limits = [held + index * (NUM_HASHES - held) // count for index in range(count + 1)]
    ranges = {
        f"train-{index:05}-of-{count:05}.parquet": (limits[index], limits[index + 1])
        for index in range(count)
    }
    if held:
        ranges = {HELD_OUT: (0, held), **ranges}
    return [
        OutputShard(folder, settings, tuple(runs), name, *limits) for name, limits in ranges.items()
    ]


def write_output_shard(shard: OutputShard) -> ShardReport:
    """Write one output shard, unless it is there.

    Persons follow each other in the order of their hashes, a person's photos in that of the input.
    A shard that no person falls into is not written. Raises TrainingError if it cannot be.
    """
    if shard.path.is_file() and shard.report_file.is_file():
        return read_kept(shard.report_file, ShardReport)
    limits = [("hash", ">=", shard.low), ("hash", "<=", shard.end - 1)]
    paths = [shard.folder / WORK_FOLDER / run for run in shard.runs]
    rows = pa.concat_tables([pq.read_table(path, filters=limits) for path in paths])
    report = ShardReport(shard.name)
    if len(rows):
        keys = zip(rows["hash"].to_pylist(), rows["identity"].to_pylist(), strict=True)
        order = [(key, identity or "", number) for number, (key, identity) in enumerate(keys)]
        rows = rows.take([number for _, _, number in sorted(order)]).drop_columns("hash")
        if shard.settings.same_person != UNCHECKED:
            rows = _checked(rows, shard.settings, report)
        report.rows = len(rows)
        report.identities = len(rows["identity"].drop_null().unique())
        with written_whole(shard.path) as path:
            pq.write_table(rows.cast(schema()), path, row_group_size=_GROUP_ROWS)
        with written_whole(shard.report_file) as path:
            path.write_text(json.dumps(asdict(report)), encoding="utf-8")
    return report


def hold_out(settings: PrepareSettings, folder: Path, report: ShardReport) -> int:
    """Make the evaluation folder of the people held out; the number of its photos.

    Raises TrainingError if they are fewer than two.
    """
    if not report.rows:
        return make_folder([], Path(settings.hold_out), settings.hold_out_pairs)
    rows = list(open_photos(str(folder / HELD_OUT)).rows(0))
    return make_folder(rows, Path(settings.hold_out), settings.hold_out_pairs)


def _checked(rows: pa.Table, settings: PrepareSettings, report: ShardReport) -> pa.Table:
    """The rows, without those that show somebody else if they are to be dropped."""
    kept = []
    for name, numbers in groupby(range(len(rows)), key=rows["identity"].to_pylist().__getitem__):
        places = list(numbers)
        if name is None or len(places) == 1:
            kept += places
            continue
        of_person = (_row(rows.slice(place, 1).to_pylist()[0]) for place in places)
        odd = odd_photos(swapper_of(settings.model), of_person)
        report.odd += int(odd.sum())
        named = (rows["origin"][places[number]].as_py() for number in np.flatnonzero(odd))
        report.odd_examples += islice(named, _NUM_EXAMPLES - len(report.odd_examples))
        kept += [place for place, is_odd in zip(places, odd, strict=True) if not is_odd]
    return rows.take(kept) if settings.same_person == DROP else rows


def _row(record: dict[str, object]) -> PhotoRow:
    landmarks = np.array(record["landmarks"], np.float32)
    return PhotoRow(record["image"]["bytes"], record["identity"], landmarks, record["origin"])
