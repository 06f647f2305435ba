"""Thousands of spoilt photos and videos, and what becomes of them.

    python tests/measure/fuzz_files.py --count 5000 --seed 0 --keep /tmp/offending

Each goes through all that a visitor's file goes through, in a process of its own; see file_visits.
Ends with exit code 1 if there was an error that is no sentence, a hang, a crash, or a file that
took more than --most megabytes. The same seed gives the same files. test_fuzzed_files.py visits
some of them in each run of the tests.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.support.hostile.file_visits import Visit, Visitor
from tests.support.hostile.fuzzed_files import KINDS, genuine_files, spoilt

HEAD = ("kind", "files", "read", "refused", "errors", "hangs", "crashes", "too large")
HEAD += ("slowest s", "peak MB")


@dataclass(frozen=True)
class Fuzzed:
    """A spoilt file, which the seed and its number make."""

    kind: str
    number: int
    way: str
    content: bytes

    @property
    def name(self) -> str:
        return f"{self.number:06}-{self.way.replace(' ', '-')}.{self.kind}"


def fuzzed(files: dict[str, list[bytes]], kinds: list[str], count: int, seed: int) -> Iterator:
    """`count` spoilt files, of each kind in turn."""
    for number in range(count):
        kind = kinds[number % len(kinds)]
        random = np.random.default_rng([seed, number, zlib.crc32(kind.encode())])
        yield Fuzzed(kind, number, *spoilt(files, kind, random))


def visit_all(given: argparse.Namespace, folder: Path) -> Iterator[tuple[Fuzzed, Visit]]:
    """Each file, and what became of it."""
    visitors: SimpleQueue[Visitor] = SimpleQueue()
    for _ in range(given.jobs):
        visitors.put(Visitor(given.deadline, given.memory * 10**6, given.bundled))

    def take(file: Fuzzed) -> tuple[Fuzzed, Visit]:
        path, visitor = folder / file.name, visitors.get()
        path.write_bytes(file.content)
        try:
            return file, visitor.visit(path)
        finally:
            path.unlink()
            visitors.put(visitor)

    files = fuzzed(genuine_files(folder), given.kinds, given.count, given.seed)
    with ThreadPoolExecutor(given.jobs) as pool:
        yield from pool.map(take, files)
    for _ in range(given.jobs):
        visitors.get().close()


def row(kind: str, visits: list[Visit], most: float) -> tuple[object, ...]:
    """A line of the table."""
    failures = [failure for visit in visits for failure in visit.failures]
    hangs = failures.count("hang")
    crashes = sum(failure.startswith("crash") for failure in failures)
    counts = (
        len(visits),
        sum(visit.num_read > 0 for visit in visits),
        sum(visit.num_read == 0 and not visit.failures for visit in visits),
        len(failures) - hangs - crashes,
        hangs,
        crashes,
        sum(visit.peak_mb > most for visit in visits),
    )
    slowest, peak = max(v.seconds for v in visits), max(v.peak_mb for v in visits)
    return kind, *counts, f"{slowest:.1f}", f"{peak:.0f}"


def options() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--keep", type=Path, help="folder for the files that do harm")
    parser.add_argument("--deadline", type=float, default=10, help="processor seconds for a file")
    parser.add_argument("--memory", type=int, default=3000, help="MB that a file can take")
    parser.add_argument("--most", type=float, default=600, help="MB that a file may take")
    parser.add_argument("--bundled", action="store_true", help="look with the bundled model")
    return parser.parse_args()


def main() -> int:
    """Visit all, print the table and each kind of failure."""
    given = options()
    visits, offenders = defaultdict(list), defaultdict(list)
    with tempfile.TemporaryDirectory() as name:
        os.environ["SIMSWAP_HOME"] = str(Path(name) / "home")
        for done, (file, visit) in enumerate(visit_all(given, Path(name)), start=1):
            visits[file.kind].append(visit)
            too_large = [f"more than {given.most:g} MB"] * (visit.peak_mb > given.most)
            for failure in (*visit.failures, *too_large):
                offenders[file.kind, failure].append(file.name)
                print(f"{file.name}: {failure}", flush=True)
                if given.keep:
                    given.keep.mkdir(parents=True, exist_ok=True)
                    (given.keep / file.name).write_bytes(file.content)
            if done % 500 == 0:
                print(f"{done} of {given.count} files", flush=True)
    rows = [HEAD, *(row(kind, visits[kind], given.most) for kind in given.kinds if visits[kind])]
    for cells in rows:
        print(" ".join(f"{cell!s:>9}" for cell in cells))
    for (kind, failure), names in sorted(offenders.items()):
        print(f"{kind}: {len(names)} x {failure}, such as {names[0]}")
    return 1 if offenders else 0


if __name__ == "__main__":
    sys.exit(main())
