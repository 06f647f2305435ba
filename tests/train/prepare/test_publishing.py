"""A prepared data set's card, and its way to the Hub and back into a training."""

import json
from pathlib import Path

import pytest

from simswap.geometry import TEMPLATES
from tests.support.demo.hub_server import READER_TOKEN, Hub, running_hub
from tests.support.training.shard_sources import encoded, write_parquet
from tests.support.warm_python import run_warm

NAME = "user/faces"
POINTS = (TEMPLATES["simswap_frontal"] * 64 + 16).tolist()
# What prints the rows of a data set as a training reads them.
READ = f"""
from train.data.shards import open_photos
shards = open_photos("{NAME}")
for number in range(shards.num_shards):
    for row in shards.rows(number):
        print(row.identity, len(row.landmarks))
"""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven photos of noise: two people, and one photo of nobody knows whom."""
    people = ["ann", "bob"] * 3 + [None]
    records = [
        {
            "image": {"bytes": encoded(number, 96), "path": None},
            "identity": person,
            "landmarks": POINTS,
        }
        for number, person in enumerate(people)
    ]
    path = tmp_path_factory.mktemp("photos") / "secret place.parquet"
    write_parquet(path, records)
    return path


def run(hub: Hub, home: Path, *arguments: str, token: str | None = "hf_owner"):
    variables = {"HF_TOKEN": "", **hub.environment(home / "hub", token)}
    return run_warm(*arguments, variables=variables)


def prepare(hub: Hub, home: Path, photos: Path, *more: str, **options: str | None):
    place = ("--data", str(photos), "--output", str(home / "out"), "--min-crop", "32")
    return run(hub, home, "-m", "train.prepare", *place, *more, **options)


def test_a_set_is_pushed_privately_with_a_card_and_a_training_reads_it_by_its_name(
    photos, tmp_path
):
    push = ("--push-to-hub", NAME, "--licence", "CC BY-NC 4.0")
    with running_hub() as hub:
        done = prepare(hub, tmp_path, photos, *push)
        assert done.returncode == 0, done.stderr
        repo = hub.repos[NAME]
        shard = "train-00000-of-00001.parquet"
        assert repo.private
        assert sorted(repo.files) == ["README.md", shard]
        assert repo.files[shard] == (tmp_path / "out" / shard).read_bytes()
        card = repo.files["README.md"].decode()
        read = run(hub, tmp_path, "-c", READ)
    header = card.split("---")[1]
    assert "license: cc-by-nc-4.0" in header
    assert "path: train-*-of-00001.parquet" in header
    assert "7 photos of 2 people" in card
    assert f"--data {NAME} " in card
    assert str(photos.parent) not in card
    assert sorted(read.stdout.splitlines()) == ["None 5", *["ann 5"] * 3, *["bob 5"] * 3], (
        read.stderr
    )


@pytest.mark.parametrize(
    ("more", "token", "message"),
    [
        ((), "hf_owner", "needs --licence"),
        (("--licence", "MIT"), None, "no Hugging Face token"),
        (("--licence", "MIT"), READER_TOKEN, "may not write to user/faces"),
    ],
    ids=["without a licence", "without a token", "with a token that only reads"],
)
def test_what_cannot_be_pushed_is_told_before_any_photo_is_prepared(
    photos, tmp_path, more, token, message
):
    with running_hub() as hub:
        done = prepare(hub, tmp_path, photos, "--push-to-hub", NAME, *more, token=token)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_without_a_push_the_card_lies_in_the_folder_and_says_that_no_licence_was_named(
    photos, tmp_path
):
    with running_hub() as hub:
        assert prepare(hub, tmp_path, photos).returncode == 0
        assert hub.requests == []
    card = (tmp_path / "out" / "README.md").read_text()
    assert "**Licence:** not stated" in card
    assert json.loads((tmp_path / "out" / "report.json").read_text())["written"] == 7
