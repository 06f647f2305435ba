"""The files of a job's folder: which folders it takes, and what it removes in them."""

import json
import os

import numpy as np
import pytest

from simswap import Identity, MediaError, SwapOptions
from simswap.video.job_folder import JobFolder
from simswap.video.job_seal import seal_of_part
from simswap.video.people import FirstPass
from simswap.video.segments import SegmentRecord

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


@pytest.fixture
def others(tmp_path):
    """A folder of somebody's files, each with the name of a job's and sound as such."""
    folder = JobFolder(tmp_path / "others")
    folder.path.mkdir()
    folder.segment(0).write_bytes(b"12")
    folder.keep(0, SegmentRecord(1, 0, 1, 0, 0, 0.1))
    folder.keep_faces(0, np.zeros(3))
    folder.keep_people({})
    return folder.path


SOUND = '{"num_frames": 1, "faces_swapped": 0, "frames_without_face": 1, "num_unswapped": 0, '
SOUND += '"num_repeated": 0, "seconds": 0.1, "size": 2}'
DAMAGED = {
    "without end": "[" * 5_000,
    "large": SOUND + " " * 100_000,
    "a list": "[1]",
    "no text": "\udcff",
    "another's": "{}",
    "less than nothing": SOUND.replace(": 1,", ": -1,"),
    "words": SOUND.replace(": 1,", ': "1",'),
    "no number": SOUND.replace("0.1", "NaN"),
    "a huge number": SOUND.replace("0.1", "9" * 400),
}


def sealed(folder: JobFolder, text: str) -> str:
    """With the seal that it should have, if it is an object."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(values, dict):
        return text
    values["seal"] = seal_of_part(folder.key, 0, values, folder.segment(0))
    return json.dumps(values) + text[len(text.rstrip()) :]


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
def test_a_segment_whose_record_is_damaged_is_not_finished(tmp_path, text):
    folder = JobFolder(tmp_path)
    folder.segment(0).write_bytes(b"12")
    folder._record_path(0).write_text(sealed(folder, SOUND))
    assert folder.record(0) is not None
    folder._record_path(0).write_text(sealed(folder, text), errors="surrogateescape")
    assert folder.record(0) is None


DTYPE = np.dtype([("frame", "<i4"), ("run", "<i4")])
HUGE = b"\x93NUMPY\x01\x00v\x00"
HUGE += f"{{'descr': {DTYPE.descr}, 'fortran_order': False, 'shape': (10000000000000,), }}".ljust(
    117
).encode()


@pytest.mark.parametrize(
    "content", [HUGE + b"\n", b"", b"PK\x05\x06" + bytes(18), b"\x93NUMPY\x01\x00", b"mine"]
)
def test_faces_that_are_damaged_are_told(tmp_path, content):
    folder = JobFolder(tmp_path)
    (tmp_path / "faces-00000.npy").write_bytes(content)
    with pytest.raises(MediaError, match=r"is damaged\. Restart to begin anew"):
        folder.faces(0, DTYPE)


@pytest.mark.parametrize("rows", [np.zeros(3), np.zeros((2, 2), DTYPE), np.zeros((), DTYPE)])
def test_faces_of_another_kind_are_told(tmp_path, rows):
    folder = JobFolder(tmp_path)
    folder.keep_faces(0, rows)
    with pytest.raises(MediaError, match=r"is damaged\. Restart to begin anew"):
        folder.faces(0, DTYPE)


@pytest.mark.parametrize("text", ["{}", '{"tracks": [7], "roles": 7, "notices": 7}'])
@pytest.mark.parametrize("ask", [FirstPass.tracks, FirstPass.notices, FirstPass.cast])
def test_people_that_are_damaged_are_told(tmp_path, text, ask):
    (tmp_path / "simswap-people.json").write_text(text)
    nobody = Identity(np.zeros(512, np.float32))
    first_pass = FirstPass(lambda a, b: iter(()), (), JobFolder(tmp_path), nobody, SwapOptions(), 1)
    with pytest.raises(MediaError, match=r"is damaged\. Restart to begin anew"):
        ask(first_pass)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def linked(tmp_path, others):
    """A job folder in which all of these are links to somebody's."""
    folder = JobFolder(tmp_path / "job")
    folder.path.mkdir()
    for path in others.iterdir():
        (folder.path / path.name).symlink_to(path)
    return folder


def test_what_links_in_a_job_folder_lead_to_is_not_overwritten(linked, others):
    before = contents(others)
    linked.keep_faces(0, np.zeros(9))
    linked.keep_people({"tracks": []})
    linked.segment(0).unlink()
    linked.segment(0).write_bytes(b"345")
    linked.keep(0, SegmentRecord(1, 1, 0, 0, 0, 0.1))
    assert contents(others) == before
    assert linked.record(0).size == 3


def test_nothing_counts_as_done_that_is_a_link(linked):
    assert linked.record(0) is None
    assert not linked.has_faces(0)
    assert linked.people() is None
    linked._record_path(0).unlink()
    linked.keep(0, SegmentRecord(1, 0, 1, 0, 0, 0.1))
    assert linked.segment(0).is_symlink()
    assert linked.record(0) is None


def test_what_links_in_a_job_folder_lead_to_is_not_removed(linked, others):
    before = contents(others)
    linked.forget_faces()
    linked.remove()
    assert contents(others) == before


def test_a_link_is_no_job_folder(tmp_path, others):
    before = contents(others)
    (others / MANIFEST).write_text('{"format": "simswap-job-1"}')
    (tmp_path / "link").symlink_to(others)
    folder = JobFolder(tmp_path / "link")
    with pytest.raises(MediaError, match="is a link"), folder.opened(SETTINGS, resume=False):
        pass
    folder.remove()
    assert contents(others).items() >= before.items()
