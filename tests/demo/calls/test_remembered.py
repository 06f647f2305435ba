"""A visit finds its video again, nobody else does, and one that nobody wants ends."""

import pytest

from simswap import OptionError, VideoProgress, VideoReport
from simswap.demo.calls import remembered
from simswap.demo.calls.remembered import MOST_OF_ADDRESS, UNASKED_SECONDS, Jobs
from simswap.demo.process.retention import MAX_AGE
from simswap.demo.services.videos import Outcome
from simswap.demo.tabs.video import job as tab_job

TOKEN, OTHER = "a" * 48, "b" * 48


@pytest.fixture
def now(monkeypatch) -> list[float]:
    time = [1000.0]
    monkeypatch.setattr(remembered, "clock", lambda: time[0])
    return time


@pytest.fixture
def jobs(now, monkeypatch) -> Jobs:
    jobs = Jobs()
    monkeypatch.setattr(remembered, "jobs", jobs)
    return jobs


def begun(jobs: Jobs, token: str = TOKEN, address: str = "1.2.3.4") -> remembered.Job:
    return jobs.begin(token, "page", address, "replaced")


def test_its_own_token_finds_a_job_and_another_does_not(jobs):
    job = begun(jobs)
    assert jobs.of(TOKEN) is job
    assert jobs.of(OTHER) is None


@pytest.mark.parametrize("token", [None, "", 7, "a" * 31, "a" * 65, "a" * 47 + "/"])
def test_a_token_that_is_easily_guessed_is_refused(jobs, token):
    with pytest.raises(OptionError, match="which visit"):
        jobs.begin(token, "page", "", "")


def test_no_token_is_kept(jobs):
    begun(jobs)
    assert TOKEN not in repr(vars(jobs)) + repr(vars(jobs.of(TOKEN)))


def test_another_video_of_the_visit_ends_the_one_before(jobs):
    first, second = begun(jobs), begun(jobs)
    assert first.newest == "replaced"
    assert jobs.of(TOKEN) is second


def test_an_address_that_begins_many_ends_nobody_elses_video(jobs):
    theirs = [begun(jobs, f"{number:048}") for number in range(MOST_OF_ADDRESS)]
    with pytest.raises(OptionError, match="Too many videos"):
        begun(jobs)
    assert not any(one.has_ended for one in theirs)
    assert begun(jobs, OTHER, "5.6.7.8") is jobs.of(OTHER)


def test_of_many_videos_of_an_address_those_that_have_ended_are_forgotten_first(jobs):
    theirs = [begun(jobs, f"{number:048}") for number in range(MOST_OF_ADDRESS)]
    theirs[3].end("done")
    assert begun(jobs) is jobs.of(TOKEN)
    assert jobs.of(f"{3:048}") is None
    assert jobs.of(f"{2:048}") is theirs[2]


def test_a_new_video_of_a_visit_takes_its_own_place_among_many(jobs):
    theirs = [begun(jobs, f"{number:048}") for number in range(MOST_OF_ADDRESS)]
    assert begun(jobs, f"{0:048}") is not theirs[0]
    assert theirs[0].has_ended


def test_it_stays_in_line_as_long_as_a_page_asks(jobs, now):
    begun(jobs)
    now[0] += UNASKED_SECONDS - 1
    assert jobs.waits("page")
    jobs.of(TOKEN)
    now[0] += UNASKED_SECONDS - 1
    assert jobs.waits("page")
    now[0] += 1
    assert not jobs.waits("page")


def test_it_is_forgotten_after_an_hour(jobs, now):
    begun(jobs)
    now[0] += MAX_AGE + 1
    jobs.forget_old()
    assert jobs.of(TOKEN) is None


def test_a_result_that_was_deleted_is_not_shown(jobs, tmp_path):
    job = begun(jobs)
    report = VideoReport(1, 1, 0, 1.0, 1.0, ())
    (tmp_path / "out.mp4").write_bytes(b"film")
    job.newest = Outcome(str(tmp_path / "out.mp4"), report)
    assert jobs.of(TOKEN) is job
    (tmp_path / "out.mp4").unlink()
    assert jobs.of(TOKEN) is None


def test_the_work_ends_when_no_page_has_asked_for_long(jobs, now, monkeypatch):
    monkeypatch.setattr(tab_job.waiting_line, "is_connected", lambda session: False)
    job, closed = begun(jobs), []

    def steps():
        try:
            yield VideoProgress(1, 9, 1.0, 8.0, None)
            now[0] += UNASKED_SECONDS
            yield VideoProgress(2, 9, 1.0, 7.0, None)
        finally:
            closed.append(True)

    tab_job.run(TOKEN, steps())
    assert (job.newest, closed) == (tab_job.NOBODY_ASKED, [True])


def test_work_whose_first_frame_takes_long_is_not_called_lost(jobs, now, monkeypatch):
    monkeypatch.setattr(tab_job.waiting_line, "is_connected", lambda session: True)
    begun(jobs)

    def steps():
        now[0] += tab_job.LOST_SECONDS + 1
        assert tab_job.follow(TOKEN)[0]["line"] == "Looking at the video..."
        yield VideoProgress(1, 9, 1.0, 8.0, None)

    tab_job.run(TOKEN, steps())
    assert jobs.of(TOKEN).newest.frames_done == 1
