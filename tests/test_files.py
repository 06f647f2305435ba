"""Writing beside a file and moving into place: whole or not at all, and nobody else's file."""

import json
import os
import re
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

from simswap import files
from simswap.files import (
    fresh_folder,
    is_temporary,
    lasting_beside,
    make_private,
    read_record,
    replaced,
    search,
    temporary_beside,
    write_whole,
)

LONGEST = {"ascii": "n" * 251 + ".mp4", "wide": "動画" * 41 + "n" * 5 + ".mp4"}  # 255 bytes


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_block_that_raises_leaves_what_was_there(tmp_path):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with suppress(KeyboardInterrupt), replaced(path) as part:
        part.write_bytes(b"half")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert names_in(tmp_path) == ["out.bin"]


def test_nothing_but_the_own_temporary_name_is_touched(tmp_path):
    others = ["out.bin.part", ".out.bin.part", ".simswap-out.bin.part", ".simswap-mine.part"]
    for name in others:
        (tmp_path / name).write_text("mine")
    write_whole(tmp_path / "out.bin", b"new")
    with pytest.raises(ZeroDivisionError), replaced(tmp_path / "out.bin"):
        _ = 1 / 0
    assert names_in(tmp_path) == sorted([*others, "out.bin"])
    assert all((tmp_path / name).read_text() == "mine" for name in others)


@pytest.mark.parametrize("name", LONGEST.values(), ids=LONGEST)
def test_a_name_as_long_as_the_file_system_takes_is_written(tmp_path, name):
    assert len(os.fsencode(name)) == 255
    write_whole(tmp_path / name, b"new")
    assert names_in(tmp_path) == [name]


@pytest.fixture
def link(tmp_path) -> Path:
    """A link to a file in another folder."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "out.bin").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "there" / "out.bin")
    return tmp_path / "link"


def test_a_link_that_a_person_named_stays_and_what_it_points_to_is_replaced(link):
    write_whole(link, b"new", follow=True)
    assert link.is_symlink()
    assert (link.parent / "there" / "out.bin").read_bytes() == b"new"


def test_what_any_other_link_points_to_is_left_alone(link):
    write_whole(link, b"new")
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert (link.parent / "there" / "out.bin").read_bytes() == b"old"


def test_a_durable_file_is_moved_into_place_as_well(tmp_path):
    with replaced(tmp_path / "out.bin", durable=True) as part:
        part.write_bytes(b"new")
    assert (tmp_path / "out.bin").read_bytes() == b"new"


def test_a_file_that_came_first_can_be_kept(tmp_path):
    with replaced(tmp_path / "out.bin", keep=True) as part:
        part.write_bytes(b"second")
        (tmp_path / "out.bin").write_bytes(b"first")
    assert (tmp_path / "out.bin").read_bytes() == b"first"
    assert names_in(tmp_path) == ["out.bin"]


def test_a_fresh_folder_is_gone_unless_it_was_moved(tmp_path):
    with fresh_folder(tmp_path / "left") as folder:
        (folder / "file").touch()
    with fresh_folder(tmp_path / "moved") as folder:
        folder.rename(tmp_path / "moved")
    assert names_in(tmp_path) == ["moved"]


@pytest.mark.parametrize("name", ["out.mp4", *LONGEST.values()])
def test_a_lasting_name_is_the_same_each_time_and_fits(tmp_path, name):
    beside = lasting_beside(tmp_path / name, "job")
    assert beside == lasting_beside(tmp_path / name, "job")
    assert beside != lasting_beside(tmp_path / f"x{name[1:]}", "job")
    beside.mkdir()


@pytest.mark.parametrize(
    "name", ["out.mp4.part", ".simswap-out.mp4.part", ".simswap-0123456789abc.part", "lock"]
)
def test_a_name_of_others_is_not_taken_for_a_temporary_one(name):
    assert not is_temporary(name)


@pytest.mark.parametrize(
    ("content", "parse", "message"),
    [
        (b"[" * 100_000, json.loads, "nests without end"),
        (b"a = " + b"[" * 100_000, tomllib.loads, "nests without end"),
        (b"7" + b" " * 200_000, json.loads, "more than 0.2 MB"),
        (b"{", json.loads, "Expecting"),
        (b"\xff", json.loads, "codec can't decode"),
    ],
)
def test_a_record_that_cannot_be_read_is_one_kind_of_error(tmp_path, content, parse, message):
    (tmp_path / "record").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_record(tmp_path / "record", 200_000, parse)


def test_a_record_that_is_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "record")
    with pytest.raises(OSError, match="not a regular file"):
        read_record(tmp_path / "record")


def test_a_search_in_steps_finds_what_one_does(monkeypatch):
    monkeypatch.setattr(files, "_STEP", 5)
    pattern = re.compile(rb"a[^b]cd")
    for place in range(40):
        data = b"ab" * (place // 2) + b"a" * (place % 2) + b"axcd" + b"b" * 9
        found = search(pattern, data)
        assert (found.start(), found[0]) == (pattern.search(data).start(), b"axcd")
        assert search(pattern, data, found.end()) is None


def test_what_is_written_beside_a_temporary_file_is_its_owners(tmp_path):
    first = temporary_beside(tmp_path / "out", "job")
    assert is_temporary(temporary_beside(first).name, "job")
    assert is_temporary(temporary_beside(tmp_path / "out").name)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no rights of files here")
@pytest.mark.parametrize("mode", [None, 0o777])
def test_nobody_else_may_write_in_a_private_folder(tmp_path, mode):
    folder = tmp_path / "own"
    if mode is not None:
        folder.mkdir()
        folder.chmod(mode)
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no rights of files here")
def test_a_folder_of_somebody_else_does_not_become_private(tmp_path, monkeypatch):
    folder = tmp_path / "theirs"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(PermissionError):
        make_private(folder)
    link = tmp_path / "link"
    link.symlink_to(folder)
    with pytest.raises(OSError, match="link"):
        make_private(link)
    assert folder.stat().st_mode & 0o777 == 0o777


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no rights of files here")
def test_a_file_may_be_written_within_another_folder_first(tmp_path):
    path, room = tmp_path / "out", tmp_path / "room"
    make_private(room)
    with replaced(path, within=room) as part:
        part.write_text("new")
        assert part.parent == room
    assert path.read_text() == "new"
    assert names_in(room) == []


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no rights of files here")
def test_if_that_is_elsewhere_it_lies_where_nobody_else_can_enter(tmp_path, tmp_path_factory):
    path, elsewhere = tmp_path / "out", tmp_path_factory.mktemp("elsewhere")
    with replaced(path, within=elsewhere) as part:
        part.write_text("new")
        assert part.parent.parent == tmp_path
        assert part.parent.stat().st_mode & 0o777 == 0o700
    assert path.read_text() == "new"
    assert names_in(tmp_path) == ["out"]
    with suppress(RuntimeError), replaced(path, within=elsewhere) as part:
        part.write_text("half")
        raise RuntimeError
    assert names_in(tmp_path) == ["out"]
