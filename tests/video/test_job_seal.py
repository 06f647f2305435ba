"""A job goes on with its user's own parts: of a folder that somebody sent, none is believed."""

import json
import os
import shutil
from dataclasses import replace

import pytest

from simswap import MediaError, OptionError
from simswap.files import HOME
from simswap.video import job_seal
from simswap.video.job_folder import JobFolder
from simswap.video.segments import SegmentRecord

SETTINGS = {"input": "0123", "first frame": 0, "swap options": "SwapOptions()"}
RECORD = SegmentRecord(1, 0, 0, 0, 0, 0.0)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> JobFolder:
    """An unfinished job of this user's."""
    monkeypatch.setenv(HOME, str(tmp_path / "mine"))
    job = JobFolder(tmp_path / "job")
    with job.opened(SETTINGS, True):
        job.segment(0).write_bytes(b"pictures")
        job.keep(0, RECORD)
    return job


def test_a_users_own_job_goes_on(folder):
    with folder.opened(SETTINGS, True):
        assert folder.record(0) is not None


def test_somebody_elses_job_is_refused_and_can_be_begun_anew(folder, tmp_path, monkeypatch):
    monkeypatch.setenv(HOME, str(tmp_path / "theirs"))
    with (
        pytest.raises(OptionError, match="somebody else began, or another machine"),
        folder.opened(SETTINGS, True),
    ):
        pass
    assert folder.record(0) is not None
    with folder.opened(SETTINGS, False):
        assert folder.record(0) is None


@pytest.mark.parametrize("seal", [None, 7, "", "0" * 64, "\u00e9"])
def test_a_seal_cannot_be_made_up(folder, seal):
    manifest = folder.path / "simswap-job.json"
    held = json.loads(manifest.read_text())
    for values in ({**held, "seal": seal}, {key: held[key] for key in held if key != "seal"}):
        manifest.write_text(json.dumps(values))
        with pytest.raises(OptionError, match="somebody else"), folder.opened(SETTINGS, True):
            pass


def test_one_jobs_seal_is_of_no_use_for_another(folder):
    manifest = folder.path / "simswap-job.json"
    held = json.loads(manifest.read_text()) | {"input": "4567"}
    manifest.write_text(json.dumps(held))
    settings = {**SETTINGS, "input": "4567"}
    with pytest.raises(OptionError, match="somebody else"), folder.opened(settings, True):
        pass


def test_the_key_is_its_owners_alone_and_is_kept(folder, tmp_path):
    key = tmp_path / "mine" / job_seal.KEY_FILE
    assert key.stat().st_mode & 0o777 == 0o600
    assert len(key.read_bytes()) == 32


def test_without_a_folder_for_the_key_a_job_goes_on_in_its_own_process(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(HOME, str(tmp_path / "file" / "none"))
    job = JobFolder(tmp_path / "job")
    for _ in range(2):
        with job.opened(SETTINGS, True):
            job.segment(0).write_bytes(b"pictures")
            job.keep(0, RECORD)
    monkeypatch.setattr(job_seal, "_of_this_process", bytes(32))
    with pytest.raises(OptionError, match="somebody else"), job.opened(SETTINGS, True):
        pass


def test_other_pictures_in_a_finished_part_are_not_taken_for_the_jobs(folder):
    fresh = JobFolder(folder.path)
    assert fresh.record(0) == replace(RECORD, size=8)
    folder.segment(0).write_bytes(b"PICTURES")
    assert JobFolder(folder.path).record(0) is None


@pytest.mark.parametrize(
    "change", [{"faces_swapped": 9}, {"seal": ""}, {"seal": None}, {"seal": 7}]
)
def test_another_count_below_a_part_is_not_taken_for_the_jobs(folder, change):
    path = folder.segment(0).with_suffix(".json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert JobFolder(folder.path).record(0) is None


def test_a_part_is_sealed_for_its_place_and_its_job(folder):
    shutil.copy(folder.segment(0), folder.segment(1))
    shutil.copy(folder.segment(0).with_suffix(".json"), folder.segment(1).with_suffix(".json"))
    assert folder.record(1) is None
    assert JobFolder(folder.path, b"another job's key").record(0) is None


def test_before_parts_are_joined_each_is_looked_at_once_more(folder):
    assert folder.record(0) is not None
    state = folder.segment(0).stat()
    folder.segment(0).write_bytes(b"PICTURES")
    os.utime(folder.segment(0), ns=(state.st_atime_ns, state.st_mtime_ns))
    with pytest.raises(MediaError, match="A part of the job folder"):
        folder.check_parts([0])
