"""`python -m simswap batch`: swap many photos and videos, and tell what came of each."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from simswap.cli import cluster, options
from simswap.cli.messages import say
from simswap.errors import SimSwapError
from simswap.files import printable
from simswap.types import parse_faces

if TYPE_CHECKING:
    from simswap.cli.batch.jobs import Job
    from simswap.cli.batch.report import Report
    from simswap.cluster import Run
    from simswap.swapper import FaceSwapper

INTERRUPTED = 130


def add_options(parser: ArgumentParser) -> None:
    """The options of `batch`."""
    add = parser.add_argument
    add("jobs", metavar="JOBS", help="a .toml file of jobs, or a folder of photos and videos")
    add(
        "--source",
        action="append",
        metavar="PHOTO",
        help="of a folder: who gives the face; repeat it for several photos of the same person",
    )
    add("--output", metavar="FOLDER", help="of a folder: where results go, under the same names")
    add(
        "--anywhere",
        action="store_true",
        help="of a .toml file: its results and job folders may lie outside of its own folder, and "
        "its jobs name models",
    )
    add(
        "--faces",
        type=_faces,
        metavar="WHICH",
        help="of a folder: all (default), largest, or numbers; more options take a .toml file",
    )
    add(
        "--report",
        metavar="FILE",
        help=".json: what came of each job (default: beside the .toml file, or in the output "
        "folder); the same command goes on with those that are not done",
    )
    cluster.add_cluster(parser)
    options.add_model(parser)


def run(arguments: Namespace) -> int:
    """Read all jobs, then do one after the other; one that fails stops no other."""
    from simswap.cli.batch.jobs import read_jobs
    from simswap.cli.batch.report import Report

    jobs, place = read_jobs(arguments)
    report = Report.opened(Path(arguments.report or place), jobs)
    load = _loading()
    with cluster.opened_tasks(arguments) as tasks:
        for number, job in enumerate(jobs, start=1):
            if report.is_done(job):
                continue
            say(f"[{number}/{len(jobs)}] {job.target}")
            if _do(job, report, load, tasks) == INTERRUPTED:
                return INTERRUPTED
    counts = [f"{report.count(state)} {state}" for state in ("done", "failed")]
    say(f"{', '.join(counts)} of {len(jobs)}. {printable(str(report.path))} tells of each.")
    return 1 if report.count("failed") else 0


def _do(job: Job, report: Report, load: options.Load, tasks: Run | None) -> int:
    """One job; what it cannot do is told, and kept in the report."""
    from simswap.cli import image, video

    started, message = time.perf_counter(), None
    try:
        if job.is_photo:
            code = image.run(job.arguments, load)
        else:
            code = video.run(job.arguments, load, tasks)
    except (SimSwapError, OSError) as error:
        code, message = 1, str(error)
        say(f"Error: {message}")
    if code != INTERRUPTED:
        report.keep(job, time.perf_counter() - started, message)
    return code


def _loading() -> options.Load:
    """options.load_swapper, by which each model is loaded once."""

    @cache
    def load(model: str | None, detector: str, runtime: str | None) -> FaceSwapper:
        return options.load_swapper(Namespace(model=model, detector=detector, runtime=runtime))

    def load_for(arguments: Namespace, *, for_one_photo: bool = False) -> FaceSwapper:
        return load(arguments.model, arguments.detector, arguments.runtime)

    return load_for


def _faces(text: str) -> str:
    """The text itself, if it says which faces."""
    options.as_typed(parse_faces)(text)
    return text
