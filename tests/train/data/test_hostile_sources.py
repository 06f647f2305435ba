"""Folders and shards of strangers: what is followed, and how much is held at once."""

import io
import os
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.training.shard_sources import (
    encoded,
    make_records,
    serving,
    write_folder,
    write_parquet,
)
from train.data import parquet, rows, webdataset
from train.data.rows import Columns, PhotoRow
from train.data.shards import open_photos
from train.errors import TrainingError


def rows_of(folder: Path) -> list[PhotoRow]:
    """All rows of the first shard."""
    return list(open_photos(str(folder)).rows(0))


def test_links_in_a_folder_of_photos_are_not_followed(tmp_path, caplog):
    write_folder(tmp_path / "set", make_records(3))
    (tmp_path / "private.png").write_bytes(encoded(9))
    (tmp_path / "set" / "photo.png").symlink_to("../private.png")
    for name in "ab":  # walked through, they are 2^40 folders
        (tmp_path / "set" / name).symlink_to(".")
    names = [row.name for row in rows_of(tmp_path / "set")]
    assert names == ["anna/0000.png", "bert/0001.png", "carl/0002.png"]
    assert "3 links to photos or folders are not followed" in caplog.text


def test_links_to_shards_are_read_as_the_hubs_cache_has_them(tmp_path):
    write_parquet(tmp_path / "blobs" / "a.parquet", make_records(3))
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a.parquet").symlink_to("../blobs/a.parquet")
    assert len(rows_of(tmp_path / "set")) == 3


def test_a_pipe_among_the_photos_is_a_photo_that_is_missing(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    assert [row.image for row in rows_of(tmp_path)] == [b""]


def test_rows_that_share_a_photo_are_not_all_held_at_once(tmp_path):
    photo = pa.DictionaryArray.from_arrays(np.zeros(500, np.int32), pa.array([bytes(1_000_000)]))
    images = pa.StructArray.from_arrays([photo, pa.nulls(500, pa.string())], ["bytes", "path"])
    pq.write_table(
        pa.table({"image": images}),
        tmp_path / "a.parquet",
        compression="zstd",
        dictionary_pagesize_limit=2**30,
        store_schema=False,
    )
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    before = pa.default_memory_pool().max_memory()
    photos = open_photos(str(tmp_path))
    assert sum(1 for _ in photos.rows(0)) == 500
    assert pa.default_memory_pool().max_memory() < before + 250_000_000  # of 500 MB and more


def test_a_shard_that_unpacks_to_very_much_more_than_it_is_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_MAX_UNPACKED", 1_000_000)
    table = pa.table({"image": [{"bytes": bytes(2_000_000)}, {"bytes": encoded(1)}]})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
    with pytest.raises(TrainingError, match=r"a\.parquet: rows unpack from"):
        rows_of(tmp_path)


def test_of_a_photo_in_a_shard_no_more_is_taken_than_one_may_have(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MAX_FILE_BYTES", 100)
    write_parquet(tmp_path / "a.parquet", make_records(1))
    (row,) = rows_of(tmp_path)
    assert len(row.image) == 100


def write_packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> None:
    """A tar, packed by gzip if its name is no .tar's."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for member, content in members:
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def long_name(num_bytes: int, kind: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo("././@LongLink")
    member.type = kind
    return member, b"a" * num_bytes


PHOTO = tarfile.TarInfo("0000.png"), encoded(3)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE])
def test_a_member_of_a_tar_may_not_have_a_name_of_any_length(tmp_path, kind):
    write_packed(tmp_path / "a.tar", long_name(20_000, kind), PHOTO)
    with pytest.raises(TrainingError, match="a name in it has 20000 bytes"):
        open_photos(str(tmp_path))
    write_packed(tmp_path / "a.tar", PHOTO, long_name(20_000, kind), PHOTO)
    with pytest.raises(TrainingError, match="a name in it has 20000 bytes"):
        list(open_photos(str(tmp_path), Columns("png")).rows(0))


def test_a_packed_tar_is_not_unpacked_whatever_it_is_called(tmp_path):
    write_packed(tmp_path / "a.tar.gz", PHOTO)
    with pytest.raises(TrainingError, match=r"neither only \.parquet nor only \.tar"):
        open_photos(str(tmp_path / "a.tar.gz"))
    (tmp_path / "a.tar.gz").rename(tmp_path / "a.tar")
    with pytest.raises(TrainingError, match="damaged or incomplete"):
        open_photos(str(tmp_path / "a.tar"))


def test_a_packed_tar_of_a_server_is_not_unpacked(tmp_path):
    write_packed(tmp_path / "a.tar.gz", PHOTO)
    (tmp_path / "a.tar.gz").rename(tmp_path / "a.tar")
    with serving(tmp_path) as url, pytest.raises(TrainingError, match="cannot be read"):
        open_photos(f"{url}/a.tar")


def test_of_a_text_in_a_tar_no_more_is_read_than_a_text_may_have(tmp_path):
    many = b'{"identity": "anna", "x": [' + b"[]," * 400_000 + b"0]}"
    write_packed(tmp_path / "a.tar", PHOTO, (tarfile.TarInfo("0000.json"), many))
    with pytest.raises(TrainingError, match="cannot be read"):
        open_photos(str(tmp_path), Columns("png", "json.identity"))


def test_the_files_of_a_sample_are_not_held_beyond_a_photos_size(tmp_path, monkeypatch):
    monkeypatch.setattr(webdataset, "_MAX_SAMPLE", 100_000)
    many = [(tarfile.TarInfo(f"0000.{number}.png"), bytes(60_000)) for number in range(9)]
    write_packed(tmp_path / "a.tar", PHOTO, *many)
    with tarfile.open(tmp_path / "a.tar") as archive:
        members = [(member.name, archive.extractfile(member)) for member in archive]
        (sample,) = webdataset.IncompleteWebDataset._get_pipeline_from_tar("a.tar", members)
    assert sum(len(value) for value in sample.values() if isinstance(value, bytes)) == 100_000


def test_a_tar_whose_files_claim_what_they_do_not_hold_is_refused(tmp_path):
    holes = tarfile.TarInfo("0000.png")
    holes.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "90000000"}
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        holes.size = 1
        archive.addfile(holes, io.BytesIO(b"a"))
    with pytest.raises(TrainingError, match="files with holes"):
        open_photos(str(tmp_path / "a.tar"), Columns("png"))


def test_a_persons_name_of_any_length_tells_people_apart_and_is_not_held(tmp_path):
    names = ["a" * 1_000_000, "a" * 999_999 + "b", "a" * 1_000_000, "anna"]
    records = [{"image": encoded(3), "identity": name} for name in names]
    write_parquet(tmp_path / "a.parquet", records)
    first, second, third, last = [row.identity for row in rows_of(tmp_path)]
    assert first == third != second
    assert last == "anna"
    assert max(map(len, (first, second))) <= rows.MAX_IDENTITY


def test_equal_values_that_take_no_bytes_are_not_all_read(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_MAX_READ_VALUES", 50_000)
    rows_held = [
        {"image": {"bytes": encoded(1)}, "landmarks": [1.0] * 60_000},
        {"image": None, "landmarks": []},
    ]
    pq.write_table(pa.Table.from_pylist(rows_held), tmp_path / "a.parquet")
    with pytest.raises(TrainingError, match=r"some rows hold 6\d{4} values"):
        rows_of(tmp_path)
    monkeypatch.setattr(parquet, "_MAX_VALUES", 50_000)
    with pytest.raises(TrainingError, match=r"some rows hold 6\d{4} values, and at most 50000"):
        rows_of(tmp_path)


def test_columns_that_nobody_asks_for_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_MAX_READ_VALUES", 50_000)
    monkeypatch.setattr(parquet, "_MAX_UNPACKED", 400_000)
    other = {"numbers": [1.0] * 60_000, "texts": ["a" * 1000] * 1000, "text": "a" * 900_000}
    held = [{"image": {"bytes": encoded(1)}, "identity": "anna", **other}] * 3
    pq.write_table(pa.Table.from_pylist(held), tmp_path / "a.parquet", compression="zstd")
    assert [row.identity for row in rows_of(tmp_path)] == ["anna"] * 3


@pytest.mark.parametrize("identity", [["a" * 1000] * 1000, [{"first": ["anna"]}]])
def test_lists_that_may_name_one_text_any_number_of_times_are_refused(tmp_path, identity):
    held = [{"image": {"bytes": encoded(1)}, "identity": identity}]
    pq.write_table(pa.Table.from_pylist(held), tmp_path / "a.parquet")
    with pytest.raises(TrainingError, match="holds lists of texts"):
        rows_of(tmp_path)


def test_values_of_all_kinds_of_lists_are_counted():
    lists = pa.array([[1, 2], [], [3]])
    assert parquet._num_values(pa.array([1, 2, 3])) == 3
    assert parquet._num_values(lists) == 3 + 3
    assert parquet._num_values(lists[1:]) == 2 + 1  # not all that the rows share
    assert parquet._num_values(lists.cast(pa.large_list(pa.int64()))) == 3 + 3
    assert parquet._num_values(pa.array([[1, 2], [3, 4]], pa.list_(pa.int64(), 2))) == 2 + 4
    assert parquet._num_values(pa.array([{"a": [1, 2]}, {"a": [3]}])) == 2 + 2 + 3
    assert parquet._num_values(pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int8()))) >= 3


def test_rows_may_not_share_values_of_many_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_MAX_DICTIONARY", 50_000)
    table = pa.table({"image": [bytes(60_000)] * 20, "identity": ["anna"] * 20})
    pq.write_table(table, tmp_path / "a.parquet", compression="zstd")
    with pytest.raises(TrainingError, match="'image' share values of many bytes"):
        rows_of(tmp_path)
    monkeypatch.setattr(parquet, "_MAX_DICTIONARY", 70_000)
    assert len(rows_of(tmp_path)) == 20
    options = {"use_dictionary": False, "column_encoding": {"image": "DELTA_BYTE_ARRAY"}}
    pq.write_table(table, tmp_path / "a.parquet", **options)
    with pytest.raises(TrainingError, match="'image' share values of many bytes"):
        rows_of(tmp_path)


@pytest.mark.parametrize("num_bytes", [1, 63, 64, 9_000, 3_000_000])
def test_the_size_of_a_dictionary_is_read_from_its_page(tmp_path, num_bytes):
    pq.write_table(pa.table({"image": [bytes(num_bytes)] * 2}), tmp_path / "a.parquet")
    with (tmp_path / "a.parquet").open("rb") as file:
        column = pq.ParquetFile(file).metadata.row_group(0).column(0)
        assert parquet._first_page(file, column.dictionary_page_offset) == (2, 4 + num_bytes)
        assert parquet._first_page(file, column.data_page_offset)[0] in (0, 3)


def test_a_page_that_is_described_in_an_unusual_way_is_refused():
    long = b"\x05\x02\x04\x05\x04\x80\x01"  # the same numbers, their fields' written out
    with pytest.raises(ValueError, match="unusual"):
        parquet._first_page(io.BytesIO(long), 0)


def test_of_json_in_a_text_no_more_is_parsed_than_a_text_may_have(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "MAX_JSON", 1000)
    texts = ['{"who": "anna"}', '{"who": "bert", "x": "' + "a" * 1000 + '"}']
    held = [{"image": {"bytes": encoded(1)}, "json": text} for text in texts]
    pq.write_table(pa.Table.from_pylist(held), tmp_path / "a.parquet")
    photos = open_photos(str(tmp_path), Columns("image", "json.who"))
    assert [row.identity for row in photos.rows(0)] == ["anna", None]


@pytest.mark.parametrize(
    "text",
    [
        '{"}":' * 20 + "1" + "}" * 20,
        '{"x": ' + "[" * 20 + "]" * 20 + "}",
        "{" + ", ".join(f'"{number}": 1' for number in range(2000)) + "}",
    ],
)
def test_json_of_many_keys_or_of_values_in_values_is_refused(tmp_path, text):
    write_packed(tmp_path / "a.tar", PHOTO, (tarfile.TarInfo("0000.json"), text.encode()))
    with pytest.raises(TrainingError, match="very many keys, or values in values"):
        open_photos(str(tmp_path), Columns("png", "json.identity"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32-be"])
def test_json_in_other_letters_than_those_that_are_counted_is_refused(tmp_path, encoding):
    text = '{"\u0122":' + '{"a":' * 20 + "0" + "}" * 21
    write_packed(tmp_path / "a.tar", PHOTO, (tarfile.TarInfo("0000.json"), text.encode(encoding)))
    with pytest.raises(TrainingError, match="not in UTF-8"):
        open_photos(str(tmp_path), Columns("png", "json.identity"))


def test_what_a_text_in_json_holds_is_no_matter(tmp_path):
    text = '{"identity": "anna", "said": "' + "{[:" * 2000 + '\\" {"}'
    write_packed(tmp_path / "a.tar", PHOTO, (tarfile.TarInfo("0000.json"), text.encode()))
    photos = open_photos(str(tmp_path), Columns("png", "json.identity"))
    assert [row.identity for row in photos.rows(0)] == ["anna"]
