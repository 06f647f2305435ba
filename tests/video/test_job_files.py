"""The files of a job's folder: which folders it takes, and what it removes in them."""

import os

import pytest

from simswap import MediaError
from simswap.video.job_folder import JobFolder, SegmentRecord

SETTINGS = {"input": "0123", "first frame": 0}
MANIFEST = "simswap-job.json"
FOREIGN = {
    "a half download": {"film.mkv.part": "mine"},
    "our old temporary name": {".simswap-out.mp4.part": "mine"},
    "a result being written": {".simswap-0123456789ab.part": "mine"},
    "segments alone": {"segment-00000.nut": "mine", "segment-00000.json": "{}"},
    "a file called lock": {"lock": ""},
    "another's manifest": {MANIFEST: "{}"},
    "a manifest that is text": {MANIFEST: "mine"},
    "a manifest that is a list": {MANIFEST: "[1]"},
    "a manifest without end": {MANIFEST: "[" * 100_000},
}


@pytest.mark.parametrize("resume", [True, False])
@pytest.mark.parametrize("files", FOREIGN.values(), ids=FOREIGN)
def test_a_folder_without_a_job_of_ours_is_refused_and_left_alone(tmp_path, files, resume):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with (
        pytest.raises(MediaError, match="holds other files, such as"),
        JobFolder(tmp_path).opened(SETTINGS, resume),
    ):
        pass
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
@pytest.mark.parametrize("name", [MANIFEST, "simswap-job.lock"])
def test_what_is_no_file_under_our_names_is_refused(tmp_path, name, make):
    make(tmp_path / name)
    with (
        pytest.raises(MediaError, match="holds other files"),
        JobFolder(tmp_path).opened(SETTINGS, True),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_folder_in_which_a_job_was_killed_at_its_start_is_taken(tmp_path):
    folder = tmp_path / "job"
    with JobFolder(folder).opened(SETTINGS, True):
        lock = (folder / "simswap-job.lock").read_bytes()
    folder.mkdir()
    (folder / "simswap-job.lock").write_bytes(lock)
    (folder / ".simswap-job-0123456789ab.part").touch()
    with JobFolder(folder / ".").opened(SETTINGS, True):
        pass
    assert not folder.exists()


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_of_the_user_stays(tmp_path, resume):
    with JobFolder(tmp_path).opened(SETTINGS, resume):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_result_that_another_process_writes_there_stays(tmp_path):
    folder, part = JobFolder(tmp_path / "job"), ".simswap-0123456789ab.part"
    with folder.opened(SETTINGS, True):
        (folder.path / part).write_text("theirs")
    assert [path.name for path in folder.path.iterdir()] == [part]


def test_files_put_into_a_job_folder_stay_when_it_is_cleaned(tmp_path):
    folder = JobFolder(tmp_path / "job")
    theirs = ["film.mkv.part", "notes.txt", "segment-00000.mp4", "segment-mine.nut"]
    with folder.opened(SETTINGS, True):
        folder.segment(0).write_bytes(b"12")
        folder.keep(0, SegmentRecord(1, 0, 1, 0, 0, 0.1))
        for name in theirs:
            (folder.path / name).write_text("mine")
    with folder.opened(SETTINGS, True):
        assert folder.record(0).size == 2
        folder.remove()
    assert sorted(path.name for path in folder.path.iterdir()) == theirs


def test_an_empty_job_folder_goes_away(tmp_path):
    folder = JobFolder(tmp_path / "job")
    with folder.opened(SETTINGS, True):
        pass
    assert not folder.path.exists()


@pytest.mark.parametrize("name", ["n" * 300, "a\0b", "none/job"])
def test_a_name_that_cannot_be_a_folder_is_told(tmp_path, name):
    with (
        pytest.raises(MediaError, match="cannot be used"),
        JobFolder(tmp_path / name).opened(SETTINGS, True),
    ):
        pass
