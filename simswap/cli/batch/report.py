"""What came of each job of a batch: a JSON file, which a later run goes on from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from simswap.cli.batch.jobs import Job
from simswap.errors import MediaError
from simswap.files import printable, read_record, write_whole
from simswap.media.photos import check_writable

FORMAT = "simswap-batch-1"
MAX_BYTES = 20_000_000  # ten thousand jobs have some six million


@dataclass
class Line:
    """A job: its state is "done", "failed" or "waiting". message: why it failed."""

    target: str
    output: str
    state: str = "waiting"
    seconds: float = 0.0
    message: str | None = None
    fingerprint: str = ""


@dataclass
class Report:
    """A line for each job, in order; written whenever one is over."""

    path: Path
    lines: dict[str, Line] = field(default_factory=dict)  # by output

    @classmethod
    def opened(cls, path: Path, jobs: Sequence[Job]) -> Report:
        """Go on with a report, or begin one. A job counts as done if nothing of it has changed.

        Raises MediaError if the file is another one, or cannot be written.
        """
        check_writable(path)
        before = _read(path)
        report = cls(path)
        for job in jobs:
            line = Line(job.target, str(job.output))
            old = before.get(line.output)
            is_same = old is not None and old.fingerprint == job.fingerprint()
            if is_same and old.state == "done" and job.output.exists():
                line = old
            report.lines[line.output] = line
        return report

    def is_done(self, job: Job) -> bool:
        """Whether it need not be done again."""
        return self.lines[str(job.output)].state == "done"

    def keep(self, job: Job, seconds: float, message: str | None) -> None:
        """Write down how a job ended; message: why it failed, None if it did not."""
        line = self.lines[str(job.output)]
        line.state, line.message = "done" if message is None else "failed", message
        line.seconds, line.fingerprint = round(seconds, 3), job.fingerprint()
        held = {"format": FORMAT, "jobs": [asdict(one) for one in self.lines.values()]}
        write_whole(self.path, json.dumps(held, indent=1).encode())

    def count(self, state: str) -> int:
        """How many jobs are in a state."""
        return sum(line.state == state for line in self.lines.values())


def _read(path: Path) -> dict[str, Line]:
    if path.is_symlink():
        raise MediaError(f"{printable(path.name)} is a link. Remove it, or give another --report.")
    if not path.exists():
        return {}
    try:
        held = read_record(path, MAX_BYTES)
        if held["format"] != FORMAT:
            raise ValueError
        return {one["output"]: Line(**one) for one in held["jobs"]}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise MediaError(
            f"{printable(path.name)} is there and is no report of a batch. Give another --report."
        ) from error
