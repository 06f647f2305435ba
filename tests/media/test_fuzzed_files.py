"""Damaged photos and videos: read, or refused in a sentence; no error, crash or endless memory.

measure/fuzz_files.py does the same with thousands.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.measure.fuzz_files import fuzzed
from tests.support.hostile.file_visits import Visitor
from tests.support.hostile.fuzzed_files import KINDS, genuine_files

pytestmark = pytest.mark.slow

NUM_FILES = {kind: 6 if kind in ("jpg", "png", "webp") else 3 for kind in KINDS}
SEED = 20
DEADLINE = 60.0  # processor seconds of one file: only what never ends is a hang here
MEMORY = 600_000_000  # bytes


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, list[bytes]]:
    return genuine_files(tmp_path_factory.mktemp("genuine"))


@pytest.fixture(scope="module")
def visitor() -> Iterator[Visitor]:
    visitor = Visitor(DEADLINE, MEMORY, is_warm=True)
    yield visitor
    visitor.close()


def failures_of(visitor: Visitor, path: Path, content: bytes) -> list[str]:
    path.write_bytes(content)
    return [f"{path.name}: {failure}" for failure in visitor.visit(path).failures]


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_refused_in_a_sentence(files, visitor, tmp_path, kind):
    failures = []
    for spoilt in fuzzed(files, [kind], NUM_FILES[kind], SEED):
        failures += failures_of(visitor, tmp_path / spoilt.name, spoilt.content)
    assert failures == []


def test_the_genuine_files_are_all_read(files, visitor, tmp_path):
    visits = []
    for kind, contents in files.items():
        for content in contents:
            (tmp_path / f"genuine.{kind}").write_bytes(content)
            visits.append((kind, visitor.visit(tmp_path / f"genuine.{kind}").num_read))
    assert [kind for kind, num_read in visits if num_read == 0] == []
