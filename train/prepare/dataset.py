"""A data set that is fit for training, made from photos or shards; goes on where it was stopped."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from simswap.files import is_temporary
from train.data.shards import open_photos
from train.data.sources import find_files
from train.errors import TrainingError
from train.evaluate.folder import check_is_new
from train.prepare.output import (
    HELD_OUT,
    ShardReport,
    hold_out,
    output_shards,
    write_output_shard,
)
from train.prepare.shards import (
    DROP,
    UNCHECKED,
    WORK_FOLDER,
    PrepareSettings,
    Unit,
    UnitReport,
    prepare_unit,
    read_kept,
    read_unit_report,
    written_whole,
)
from train.prepare.tasks import Place, open_place

logger = logging.getLogger(__name__)
REPORT_FILE, SETTINGS_FILE = "report.json", "settings.json"
ODD = "shows another person"

# Local shards are cut into parts until there are so many tasks: they are what a resumed run skips
# and what workers share. Shards from afar are not, since each part would download all of its shard.
_MIN_UNITS = 32
_LOG_EVERY = 10.0  # seconds


def prepare(settings: PrepareSettings, folder: Path, place: Place) -> dict[str, object]:
    """Prepare a data set into `folder`, or go on with that; what report.json holds.

    settings.num_parts None: as many parts as the source suggests.
    Raises TrainingError: the source is faulty, the folder holds other work or cannot be written
        to, no photo is left, or too few people are held out.
    """
    photos = open_photos(
        settings.data, settings.columns, split=settings.split, revision=settings.revision
    )
    if settings.num_parts is None:
        settings = replace(settings, num_parts=_suitable_parts(settings.data, photos.num_shards))
    _claim(folder, settings, photos.num_shards)
    finished = _finished(folder)
    if finished is not None:
        logger.info("%s is complete already.", folder)
        _clean(folder)
        return finished
    if settings.hold_out:
        check_is_new(Path(settings.hold_out))
    units = [
        Unit(settings, folder, shard, part)
        for shard in range(photos.num_shards)
        for part in range(settings.num_parts)
    ]
    with open_place(place) as run:
        todo = [unit for unit in units if read_unit_report(unit) is None]
        logger.info("%d of %d tasks are to do.", len(todo), len(units))
        _follow(run(prepare_unit, todo), len(todo))
        total = UnitReport()
        for unit in units:  # in order, so that the report does not depend on who was first
            total.add(read_unit_report(unit))
        if not total.written:
            raise TrainingError(f"No photo of {settings.data} is left. {_reasons(total)}")
        shards = output_shards(settings, folder, total.runs, total.written)
        reports = sorted(run(write_output_shard, shards), key=lambda report: report.name)
    return _finish(folder, settings, total, reports)


def table(report: dict[str, object]) -> str:
    """The report for a person's eyes: what was kept, what was dropped and why."""
    rows = report["rows"]
    lines = [("photos read", rows), ("written", report["written"])]
    lines += [(f"dropped: {reason}", count) for reason, count in report["dropped"].items()]
    lines += [
        ("faces found here", report["detected"]),
        ("of these with several faces, largest taken", report["several_faces"]),
        ("without identity", report["unlabelled"]),
    ]
    if report["settings"]["same_person"] != UNCHECKED:
        lines.append(("look like another than their name's", report["odd"]))
    if report["settings"]["hold_out"]:
        lines.append((f"held out, of {report['held_out_people']:,} people", report["held_out"]))
    text = [f"{name:<44}{count:>9,}{count / max(rows, 1):>8.1%}" for name, count in lines]
    text.append(f"{'identities':<44}{report['identities']:>9,}")
    text.append(f"{'shards':<44}{len(report['shards']):>9,}{report['bytes'] / 1e6:>8.1f} MB")
    return "\n".join(text)


def _suitable_parts(data: str, num_shards: int) -> int:
    files = find_files(data)
    is_afar = files.kind == "hub" or any("://" in path for path in files.paths)
    return 1 if is_afar else math.ceil(_MIN_UNITS / num_shards)


def _claim(folder: Path, settings: PrepareSettings, num_shards: int) -> None:
    """Make the folder ours, or raise TrainingError if it holds something else."""
    path = folder / WORK_FOLDER / SETTINGS_FILE
    ours = json.loads(json.dumps(asdict(settings) | {"num_shards": num_shards}))
    if path.is_file():
        there = read_kept(path)
        for name, value in _flat(ours).items():
            if _flat(there).get(name) != value:
                raise TrainingError(
                    f"{folder} was begun with {name}={_flat(there).get(name)!r}, now it is "
                    f"{value!r}. Use the same settings to go on, or another --output."
                )
        return
    if any(folder.glob("*.parquet")):
        raise TrainingError(
            f"{folder} holds shards that this command did not write. Use another --output."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(
            f"The output folder {folder} cannot be written to ({error.strerror})."
        ) from error
    with written_whole(path) as part:
        part.write_text(json.dumps(ours, indent=2), encoding="utf-8")


def _flat(settings: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat = {}
    for name, value in settings.items():
        flat |= (
            _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
        )
    return flat


def _finished(folder: Path) -> dict[str, object] | None:
    """The report of work that is complete, or None."""
    path = folder / REPORT_FILE
    if not path.is_file():
        return None
    report = read_kept(path)
    return report if all((folder / name).is_file() for name in report["shards"]) else None


def _finish(
    folder: Path,
    settings: PrepareSettings,
    total: UnitReport,
    reports: Sequence[ShardReport],
) -> dict[str, object]:
    """Make the evaluation folder, and write the report of work that is complete."""
    training = [one for one in reports if one.name != HELD_OUT and one.rows]
    if not training:
        raise TrainingError(f"No photo of {settings.data} is left to train on. {_reasons(total)}")
    report = asdict(total) | {
        "written": sum(one.rows for one in training),
        "identities": sum(one.identities for one in training),
        "odd": sum(one.odd for one in reports),
        "odd_examples": [name for one in reports for name in one.odd_examples],
        "shards": [one.name for one in training],
        "bytes": sum((folder / one.name).stat().st_size for one in training),
        "settings": asdict(settings),
    }
    if settings.same_person == DROP:
        report["dropped"] = report["dropped"] | {ODD: report["odd"]}
    if settings.hold_out:
        held = next(one for one in reports if one.name == HELD_OUT)
        hold_out(settings, folder, held)
        report |= {"held_out": held.rows, "held_out_people": held.identities}
    del report["runs"]
    with written_whole(folder / REPORT_FILE) as part:
        part.write_text(json.dumps(report, indent=2), encoding="utf-8")
    _clean(folder)
    return json.loads(json.dumps(report))


def _clean(folder: Path) -> None:
    """Remove the runs and what was held out, which nothing needs any more, and what was left."""
    work = folder / WORK_FOLDER
    left = [path for place in (folder, work) for path in place.iterdir() if is_temporary(path.name)]
    for path in (*work.glob("*.parquet"), *left):
        path.unlink(missing_ok=True)


def _follow(reports: Iterable[UnitReport], num_tasks: int) -> None:
    """Log how far the first round is, every few seconds."""
    begun = last = time.monotonic()
    num_rows = 0
    for number, report in enumerate(reports, start=1):
        num_rows += report.rows
        now = time.monotonic()
        if now - last >= _LOG_EVERY or number == num_tasks:
            last = now
            logger.info(
                "%d of %d tasks done, %d photos, %.1f photos/s, about %.0f s left",
                *(number, num_tasks, num_rows, num_rows / (now - begun)),
                (now - begun) / number * (num_tasks - number),
            )


def _reasons(total: UnitReport) -> str:
    counted = ", ".join(f"{reason} {count}" for reason, count in total.dropped.items())
    return f"Of {total.rows} rows were dropped: {counted or 'none'}."
