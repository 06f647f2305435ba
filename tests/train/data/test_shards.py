"""Reading photos from any source: every row once, from any position, and what is refused."""

import collections
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from tests.support.training.shard_sources import (
    encoded,
    make_records,
    serving,
    write_folder,
    write_parquet,
    write_tar,
)
from train.data.shards import Columns, open_photos
from train.errors import TrainingError

IN_TAR = Columns("png", "json.identity", "json.landmarks")
SIZES = (7, 5, 9)  # rows of the shards


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The same 21 photos as parquet, tar and folder."""
    root = tmp_path_factory.mktemp("sources")
    records, start = make_records(sum(SIZES)), 0
    for number, size in enumerate(SIZES):
        write_parquet(root / f"parquet/part-{number:02}.parquet", records[start : start + size])
        write_tar(root / f"tar/part-{number:02}.tar", records[start : start + size])
        start += size
    write_folder(root / "folder", records)
    return root


@pytest.fixture(scope="module")
def photos(root):
    return open_photos(str(root / "parquet"))


def everything(photos, num_parts=1):
    return [
        row
        for shard in range(photos.num_shards)
        for part in range(num_parts)
        for row in photos.rows(shard, 0, part, num_parts)
    ]


def contents(rows):
    """What rows hold, whatever their order."""
    return collections.Counter(
        (row.image, row.identity, None if row.landmarks is None else row.landmarks.tobytes())
        for row in rows
    )


@pytest.mark.parametrize("num_parts", [2, 3, 8])
def test_parts_hold_every_row_exactly_once(photos, num_parts):
    whole = [row.name for row in everything(photos)]
    assert sorted(row.name for row in everything(photos, num_parts)) == sorted(whole)
    assert len(set(whole)) == sum(SIZES)


def test_parts_of_a_parquet_shard_are_neighbouring_rows_as_many_each(photos):
    parts = [[row.name for row in photos.rows(2, 0, part, 4)] for part in range(4)]
    assert [name for part in parts for name in part] == [row.name for row in photos.rows(2)]
    assert [len(part) for part in parts] == [3, 2, 2, 2]


@pytest.mark.parametrize("kind", ["parquet", "tar"])
def test_people_stay_together_where_a_shard_is_dealt_out_to_many_streams(tmp_path, kind):
    records = [row | {"identity": f"person {n // 5}"} for n, row in enumerate(make_records(240))]
    {"parquet": write_parquet, "tar": write_tar}[kind](tmp_path / f"a.{kind}", records)
    photos = open_photos(str(tmp_path), IN_TAR if kind == "tar" else Columns())
    rows = [(part, row.identity) for part in range(16) for row in photos.rows(0, 0, part, 16)]
    counts = collections.Counter(rows)
    assert sum(counts[row] > 1 for row in rows) >= 0.95 * len(records)


def test_reading_starts_at_any_row_of_a_part(photos):
    part = [row.name for row in photos.rows(2, 0, 1, 3)]
    for start in range(len(part) + 1):
        assert [row.name for row in photos.rows(2, start, 1, 3)] == part[start:]


def test_a_folder_of_photos_has_parts_and_positions_too(root):
    photos = open_photos(str(root / "folder"))
    whole = [row.name for row in photos.rows(0)]
    assert [row.name for row in photos.rows(0, 2, 1, 3)] == whole[7::3]


def test_a_webdataset_gives_the_rows_of_the_parquet_files(root, photos):
    # The first five json files name no landmarks, later ones do: none may be lost.
    assert contents(everything(open_photos(str(root / "tar"), IN_TAR))) == contents(
        everything(photos)
    )


def test_a_folder_gives_the_photos_and_identities_of_the_parquet_files(root, photos):
    found = [(row.image, row.identity) for row in everything(open_photos(str(root / "folder")))]
    assert sorted(found) == sorted((row.image, row.identity) for row in everything(photos))


@pytest.mark.parametrize("kind", ["parquet", "tar"])
def test_a_web_server_gives_the_rows_of_the_files_it_serves(root, photos, kind):
    columns = IN_TAR if kind == "tar" else Columns()
    with serving(root / kind) as address:
        remote = open_photos(f"{address}/part-{{00..02}}.{kind}", columns)
        assert remote.num_shards == 3
        assert contents(everything(remote)) == contents(everything(photos))


@pytest.mark.parametrize(
    "pattern",
    ["*.parquet", "part-{00,01,02}.parquet", "part-0[01].parquet,{root}/part-02.parquet"],
)
def test_patterns_name_shards_in_order(root, photos, pattern):
    folder = str(root / "parquet")
    found = open_photos(f"{folder}/{pattern.replace('{root}', folder)}")
    assert [row.name for row in everything(found)] == [row.name for row in everything(photos)]


def test_photos_beside_the_folder_names_are_unlabelled(tmp_path):
    (tmp_path / "a.png").write_bytes(encoded(0))
    assert next(open_photos(str(tmp_path)).rows(0)).identity is None


@pytest.mark.parametrize(
    ("identities", "expected"),
    [
        (pa.array([7, None, 8]), ["7", None, "8"]),
        (pa.array(["a", None, ""]), ["a", None, None]),
        (pa.array([1.0, None, 2.0]), ["1", None, "2"]),
    ],
    ids=["int", "string", "int among nulls"],
)
def test_an_identity_is_a_name_or_none(tmp_path, identities, expected):
    image = pa.array([encoded(0)] * 3)
    pq.write_table(pa.table({"image": image, "identity": identities}), tmp_path / "a.parquet")
    assert [row.identity for row in open_photos(str(tmp_path)).rows(0)] == expected


def test_a_class_label_gives_its_name(tmp_path):
    from datasets import ClassLabel, Dataset, Features
    from datasets import Image as ImageFeature

    features = Features({"image": ImageFeature(), "label": ClassLabel(names=["anna", "bert"])})
    rows = {"image": [{"bytes": encoded(0), "path": None}] * 2, "label": [1, 0]}
    Dataset.from_dict(rows, features=features).to_parquet(tmp_path / "a.parquet")
    photos = open_photos(str(tmp_path), Columns(identity="label"))
    assert [row.identity for row in photos.rows(0)] == ["bert", "anna"]


def test_landmarks_are_float32_points_or_none(photos):
    rows = list(photos.rows(0))
    assert rows[6].landmarks.dtype == np.float32
    assert rows[6].landmarks.shape == (5, 2)
    assert rows[0].landmarks is None


def test_opened_photos_can_be_pickled(photos):
    again = pickle.loads(pickle.dumps(photos))
    assert contents(everything(again)) == contents(everything(photos))


class _Names(torch.utils.data.IterableDataset):
    """Every worker reads its part of every shard."""

    def __init__(self, photos):
        self.photos = photos

    def __iter__(self):
        worker = torch.utils.data.get_worker_info()
        for shard in range(self.photos.num_shards):
            for row in self.photos.rows(shard, 0, worker.id, worker.num_workers):
                yield row.name


@pytest.mark.slow
def test_the_workers_of_a_data_loader_read_every_row_once(photos):
    names = list(torch.utils.data.DataLoader(_Names(photos), batch_size=None, num_workers=2))
    assert sorted(names) == sorted(row.name for row in everything(photos))


def _cut_off(folder):
    write_parquet(folder / "a.parquet", make_records(3))
    write_parquet(folder / "b.parquet", make_records(3))
    (folder / "b.parquet").write_bytes((folder / "b.parquet").read_bytes()[:-100])


def _empty_shard(folder):
    write_parquet(folder / "a.parquet", make_records(3))
    pq.write_table(pq.read_table(folder / "a.parquet").slice(0, 0), folder / "b.parquet")


def _wrong_landmarks(folder):
    write_parquet(folder / "a.parquet", [make_records(1)[0] | {"landmarks": [[1.0, 2.0]] * 4}])


def _no_image_column(folder):
    write_parquet(folder / "a.parquet", [{"photo": b"", "person": "anna"}])


BAD_FOLDERS = {
    "cut off": (_cut_off, r"b\.parquet cannot be read: it is damaged or incomplete"),
    "empty shard": (_empty_shard, r"b\.parquet is empty"),
    "no bytes": (lambda folder: (folder / "a.parquet").touch(), r"a\.parquet cannot be read"),
    "no tar": (lambda folder: (folder / "a.tar").write_bytes(b"x" * 999), r"a\.tar cannot be read"),
    "nothing": (lambda folder: None, r"holds no \.parquet or \.tar shard and no photo"),
    "landmarks": (_wrong_landmarks, r"row 0: the landmarks have the shape \(4, 2\)"),
    "no image": (_no_image_column, r"no column 'image' .* its columns: photo, person"),
}


@pytest.mark.parametrize(("spoil", "message"), BAD_FOLDERS.values(), ids=BAD_FOLDERS)
def test_a_faulty_folder_is_refused_when_opened(tmp_path, spoil, message):
    spoil(tmp_path)
    with pytest.raises(TrainingError, match=message):
        open_photos(str(tmp_path))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "source is empty"),
        ("/nowhere/at/all", "There is no folder"),
        ("nowhere", "There is no folder"),
        ("/nowhere/*.parquet", "No file matches"),
        ("/nowhere/**/*.parquet", r"\*\* is not used here"),
        ("http://127.0.0.1:9/*.parquet", "a web server cannot list its files"),
        ("http://127.0.0.1:9/a.zip", "neither only .parquet nor only .tar"),
    ],
)
def test_a_source_that_is_not_there_is_refused(source, message):
    with pytest.raises(TrainingError, match=message):
        open_photos(source)


def test_a_shard_missing_on_the_server_is_named(root):
    with serving(root / "parquet") as address, pytest.raises(TrainingError, match="part-99"):
        open_photos(f"{address}/part-99.parquet")


def test_a_column_named_by_the_caller_must_be_there(root):
    with pytest.raises(TrainingError, match="no column 'person' for the identity"):
        open_photos(str(root / "parquet"), Columns(identity="person"))


def test_without_an_identity_column_a_warning_names_the_columns(root, caplog):
    open_photos(str(root / "tar"), Columns("png"))
    assert "its columns: png, json" in caplog.text


def test_a_shard_that_breaks_while_reading_is_named(tmp_path):
    for name in "ab":
        write_parquet(tmp_path / f"{name}.parquet", make_records(3))
    photos = open_photos(str(tmp_path))
    (tmp_path / "b.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(TrainingError, match=r"shard 1 \(b\.parquet\).*cannot be read"):
        list(photos.rows(1))
