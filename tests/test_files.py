"""Writing beside a file and moving into place: whole or not at all, and nobody else's file."""

import os
from contextlib import suppress
from pathlib import Path

import pytest

from simswap.files import fresh_folder, is_temporary, lasting_beside, replaced, write_whole

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


def test_a_link_stays_a_link_and_what_it_points_to_is_replaced(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "out.bin")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "out.bin").read_bytes() == b"new"


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
