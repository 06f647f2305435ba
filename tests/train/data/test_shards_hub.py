"""Data sets of a Hub: a loopback server answers, and refuses, as the Hub does."""

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest

from tests.support.training.shard_sources import RangeHandler, make_records, serving, write_parquet
from tests.support.warm_python import run_warm

pytestmark = pytest.mark.slow  # a Hub's address is read at import: each test starts a process

COMMIT = "a" * 40
RESOLVE = re.compile(r"/datasets/user/name/resolve/[^/]+/(.*)")
TREE = re.compile(r"/api/datasets/user/name/tree/[^/]+/?(.*)")
INFO = re.compile(r"/api/datasets/user/name(/revision/[^/]+)?")


class ReadingHub(RangeHandler):
    """The data set user/name, whose files are the served folder's; nothing else."""

    refusal = (404, "RepoNotFound")

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if INFO.fullmatch(path):
            self._answer({"id": "user/name", "sha": COMMIT, "private": False, "siblings": []})
        elif tree := TREE.fullmatch(path):
            self._answer(self._entries(tree[1]))
        elif self._is_file():
            super().do_GET()
        else:
            self._refuse()

    def do_HEAD(self) -> None:
        if self._is_file():
            super().do_HEAD()
        else:
            self._refuse()

    def end_headers(self) -> None:
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{COMMIT}"')
        super().end_headers()

    def _is_file(self) -> bool:
        """Whether a file of the data set is asked for; then `path` becomes its own."""
        found = RESOLVE.fullmatch(self.path.split("?")[0])
        if found is None or not (Path(self.directory) / found[1]).is_file():
            return False
        self.path = f"/{found[1]}"
        return True

    def _entries(self, folder: str) -> list[dict[str, object]]:
        root = Path(self.directory)
        return [
            {
                "type": "file" if path.is_file() else "directory",
                "path": str(path.relative_to(root)),
                "size": path.stat().st_size,
                "oid": COMMIT,
            }
            for path in sorted((root / folder).iterdir())
        ]

    def _refuse(self) -> None:
        status, code = self.refusal
        if self.path.startswith("/datasets/user/name/"):
            status, code = 404, "EntryNotFound"
        self._answer({"error": code}, status, {"X-Error-Code": code})

    def _answer(self, value: object, status: int = 200, headers: dict[str, str] | None = None):
        content = json.dumps(value).encode()
        self.send_response(status)
        lengths = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        for name, text in (lengths | (headers or {})).items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


class PrivateHub(ReadingHub):
    refusal = (401, "RepoNotFound")


class GatedHub(ReadingHub):
    refusal = (403, "GatedRepo")


@pytest.fixture
def hub_folder(tmp_path):
    """Two shards in the usual place, and a README."""
    for shard, count in enumerate((7, 5)):
        path = tmp_path / f"hub/data/train-{shard:05}-of-00002.parquet"
        write_parquet(path, make_records(count))
    (tmp_path / "hub/README.md").write_text("# Photos\n")
    return tmp_path / "hub"


def opened(tmp_path, hub_folder, handler, source, **arguments):
    """Rows of each shard as read by another process, or the sentence with which it was refused."""
    script = (
        "import sys, json\n"
        "from train.errors import TrainingError\n"
        "from train.data.shards import open_photos\n"
        "source, arguments = json.loads(sys.argv[1])\n"
        "try:\n"
        "    photos = open_photos(source, **arguments)\n"
        "    shards = range(photos.num_shards)\n"
        "    print(json.dumps([[row.identity for row in photos.rows(i)] for i in shards]))\n"
        "except TrainingError as error:\n"
        "    print(json.dumps(str(error)))\n"
    )
    with serving(hub_folder, handler) as address:
        hub = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home")}
        hub |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_OFFLINE": "0"}
        done = run_warm("-c", script, json.dumps([source, arguments]), variables=hub)
    done.check_returncode()
    return json.loads(done.stdout)


@pytest.mark.parametrize("source", ["user/name", "hf://datasets/user/name/data/*.parquet"])
def test_a_data_set_of_the_hub_is_read_shard_by_shard(tmp_path, hub_folder, source):
    expected = [[row["identity"] for row in make_records(count)] for count in (7, 5)]
    assert opened(tmp_path, hub_folder, ReadingHub, source) == expected


@pytest.mark.parametrize("handler", [ReadingHub, PrivateHub, GatedHub])
def test_a_data_set_that_is_absent_private_or_gated_says_so(tmp_path, hub_folder, handler):
    said = opened(tmp_path, hub_folder, handler, "user/other")
    assert "no data set 'user/other'" in said
    assert "hf auth login" in said


def test_a_split_that_is_not_there_names_those_that_are(tmp_path, hub_folder):
    said = opened(tmp_path, hub_folder, ReadingHub, "user/name", split="test")
    assert "Available splits: ['train']" in said


@pytest.mark.parametrize("name", ["train.jsonl", "train.jsonl.gz", "train.txt", "train.csv"])
def test_a_data_set_of_files_that_may_unpack_to_any_size_is_refused(tmp_path, hub_folder, name):
    shutil.rmtree(hub_folder / "data")
    (hub_folder / "data").mkdir()
    text = b'{"image": "x", "identity": "anna"}\n'
    (hub_folder / "data" / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    said = opened(tmp_path, hub_folder, ReadingHub, "user/name")
    assert "neither of parquet files nor of tars" in said
    assert "refs/convert/parquet" in said


CARD = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {}\n---\n"


@pytest.mark.parametrize("file", ["README.md", ".huggingface.yaml"])
@pytest.mark.parametrize("path", ["http://127.0.0.1:9/x.parquet", "/etc/*", "../../other/set/*"])
def test_a_card_that_names_files_elsewhere_is_refused(tmp_path, hub_folder, file, path):
    card = CARD.format(path)
    (hub_folder / "README.md").unlink()
    (hub_folder / file).write_text(card if file == "README.md" else card.strip("-\n"))
    said = opened(tmp_path, hub_folder, ReadingHub, "user/name")
    assert "The card of user/name names files that are not its own" in said


def test_a_cards_head_is_read_as_the_library_reads_it(tmp_path, hub_folder):
    card = CARD.format("http://127.0.0.1:9/x.parquet").replace("---\n", "---\n# a set\n---\r", 1)
    (hub_folder / "README.md").write_bytes(card.encode())
    said = opened(tmp_path, hub_folder, ReadingHub, "user/name")
    assert "The card of user/name names files that are not its own" in said


def test_a_card_of_few_bytes_that_says_very_much_is_refused(tmp_path, hub_folder):
    """Each list names the one before it ten times."""
    lists = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lists += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 6)]
    (hub_folder / "README.md").write_text("---\n" + "\n".join(lists) + "\n---\n")
    said = opened(tmp_path, hub_folder, ReadingHub, "user/name")
    assert "The card of user/name holds more than 100000 parts" in said


@pytest.mark.parametrize("path", ["data/*a*a*a*", "'" + "*/" * 7 + "x'"])
def test_a_card_whose_pattern_takes_very_long_to_compare_is_refused(tmp_path, hub_folder, path):
    (hub_folder / "README.md").write_text(CARD.format(path))
    said = opened(tmp_path, hub_folder, ReadingHub, "user/name")
    assert "a pattern of many stars" in said


def test_a_card_with_a_number_that_takes_very_long_to_read_is_refused(tmp_path, hub_folder):
    (hub_folder / "README.md").write_text(f"---\nnumber: 1{':59' * 50}\n---\n")
    said = opened(tmp_path, hub_folder, ReadingHub, "user/name")
    assert "a very long number" in said


def test_a_card_that_names_its_own_files_is_followed(tmp_path, hub_folder):
    (hub_folder / "README.md").write_text(CARD.format("data/train-00001-*.parquet"))
    read = opened(tmp_path, hub_folder, ReadingHub, "user/name")
    assert [len(rows) for rows in read] == [5]
