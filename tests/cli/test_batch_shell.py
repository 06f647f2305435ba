"""The shell's `batch`."""

import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap.__main__ import main, parse
from simswap.cli import image
from simswap.cli.batch import report
from simswap.cli.batch.jobs import read_jobs
from simswap.errors import OptionError
from simswap.media.photos import read_photo
from simswap.video.source.info import probe_video
from tests.support.examples import EXAMPLES

pytestmark = pytest.mark.slow

HOPPER, ASTRONAUT, BOTH = (
    EXAMPLES / name for name in ("grace_hopper.jpg", "astronaut.jpg", "two_portraits.jpg")
)


def states(report: Path) -> dict[str, str]:
    """Of each job, by its target's name."""
    jobs = json.loads(report.read_text(encoding="utf-8"))["jobs"]
    return {Path(job["target"]).name: job["state"] for job in jobs}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A photo, one without a face, and what is no target."""
    (tmp_path / "in").mkdir()
    shutil.copy(ASTRONAUT, tmp_path / "in" / "b.jpg")
    (tmp_path / "in" / "notes.txt").write_text("no photo")
    (tmp_path / "in" / "._b.jpg").write_text("a Mac's")
    grey = np.full((64, 64, 3), 128, np.uint8)
    Image.fromarray(grey).save(tmp_path / "in" / "a.bmp")
    return tmp_path


def of_folder(folder: Path) -> list[str]:
    places = "--source", str(HOPPER), "--output", str(folder / "out")
    return ["batch", str(folder / "in"), *places]


@pytest.mark.usefixtures("quick_by_default")
def test_a_folder_is_swapped_and_what_failed_stops_nothing(folder, face_clip, capsys):
    shutil.copy(face_clip, folder / "in" / "c.mp4")
    report = folder / "out" / "batch-report.json"
    assert main(of_folder(folder)) == 1
    said = capsys.readouterr()
    assert said.out == f"{folder / 'out' / 'b.jpg'}\n{folder / 'out' / 'c.mp4'}\n"
    assert "2 done, 1 failed of 3" in said.err
    assert said.err.count("Loading the model") == 1
    assert states(report) == {"a.bmp": "failed", "b.jpg": "done", "c.mp4": "done"}
    (line,) = (job for job in json.loads(report.read_text())["jobs"] if job["message"])
    assert "shows no face" in line["message"]
    assert probe_video(folder / "out" / "c.mp4").num_frames == probe_video(face_clip).num_frames

    shutil.copy(BOTH, folder / "in" / "a.bmp")  # a photo after all, whatever its name
    made = (folder / "out" / "b.jpg").stat().st_mtime_ns
    assert main(of_folder(folder)) == 0
    assert set(states(report).values()) == {"done"}
    assert (folder / "out" / "b.jpg").stat().st_mtime_ns == made
    assert "b.jpg" not in capsys.readouterr().err


def test_a_file_of_a_folder_keeps_its_kind_if_that_is_written(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.gif", "c.heic", "d.avi", "e.webp", "f.MP4", "g.txt"):
        (tmp_path / "in" / name).touch()
    jobs, _ = read_jobs(parse(of_folder(tmp_path)))
    photos = [job.output.name for job in jobs if job.is_photo]
    videos = [job.output.name for job in jobs if not job.is_photo]
    assert (photos, videos) == (["a.jpg", "c.png", "e.webp"], ["b.gif", "d.mp4", "f.MP4"])


@pytest.mark.usefixtures("quick_by_default")
def test_an_interrupted_batch_goes_on_with_the_rest(folder, monkeypatch):
    shutil.copy(BOTH, folder / "in" / "a.bmp")

    run = image.run

    def stop_at_the_second(job, load) -> int:
        if job.target.endswith("b.jpg"):
            raise KeyboardInterrupt
        return run(job, load)

    with monkeypatch.context() as patched:
        patched.setattr(image, "run", stop_at_the_second)
        assert main(of_folder(folder)) == 130
    report = folder / "out" / "batch-report.json"
    assert states(report) == {"a.bmp": "done", "b.jpg": "waiting"}
    assert main(of_folder(folder)) == 0
    assert states(report) == {"a.bmp": "done", "b.jpg": "done"}


def write_jobs(folder: Path, text: str) -> str:
    path = folder / "jobs.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_file_of_jobs_takes_the_options_of_each_command(tmp_path, capsys):
    for path in (HOPPER, ASTRONAUT, BOTH):
        shutil.copy(path, tmp_path)
    jobs = """
        [defaults]
        source = "grace_hopper.jpg"
        detect-every = 5
        [[job]]
        target = "two_portraits.jpg"
        output = "one.png"
        faces = "1"
        no_colour_match = true
        label = false
        [[job]]
        target = "two_portraits.jpg"
        output = "other.png"
        source = []
        assign = ["grace_hopper.jpg=astronaut.jpg"]
    """
    assert main(["batch", write_jobs(tmp_path, jobs)]) == 0
    assert "2 done, 0 failed of 2" in capsys.readouterr().err
    before = read_photo(BOTH).image.astype(int)
    for name in ("one.png", "other.png"):  # the astronaut is at the left, and the smaller one
        changed = np.abs(read_photo(tmp_path / name).image - before).any(axis=(0, 2))
        assert (changed[:480].any(), changed[480:].any()) == (True, False)
    write_jobs(tmp_path, jobs.replace("no_colour_match = true", "likeness = 0"))
    assert main(["batch", str(tmp_path / "jobs.toml")]) == 0
    said = capsys.readouterr()
    assert "[1/2]" in said.err
    assert "[2/2]" not in said.err


JOB = '[[job]]\ntarget = "a.jpg"\noutput = "{}"\nsource = "s.jpg"\n'


@pytest.mark.parametrize(
    ("jobs", "message"),
    [
        ("[[job]", "cannot be read as TOML"),
        ("a.b.c.d.e = 1", "has a key of many parts"),
        ("[" + '"a" . ' * 4 + "b]", "has a key of many parts"),
        ("#" * 1_000_001, "is larger than 1 MB. Cut it into several"),
        ("x = ['''\n''', {" + ".".join("a" * 30) + " = 1}] #'", "in three quotation marks"),
        ('x = """a"""', "in three quotation marks"),
        ("", "holds 0 jobs"),
        ("speed = 3", "something else than"),
        ('[[job]]\ntarget = "a.jpg"', "Job 1: it needs a target and an output"),
        (JOB.format("o.jpg") + "likenes = 1", "Job 1 ({}/a.jpg): unrecognized arguments"),
        (JOB.format("o.jpg") + "likeness = 9", "Job 1 ({}/a.jpg): argument --likeness"),
        (JOB.format("o.mp4") + "detect_every = 0", "Job 1 ({}/a.jpg): argument --detect-every"),
        (JOB.format("o.mp4") + 'preset = "warp"', "preset"),
        (JOB.format("o.mp4") + 'cluster = "10.0.0.1:6379"', "Job 1: --cluster goes with"),
        (JOB.format("o.jpg") + 'model = "who/knows"', "Job 1: --model goes with"),
        (JOB.format("o.jpg") + '"model=who/knows" = true', "is no option's name"),
        (JOB.format("o.jpg") + '"model=who" = "knows"', "is no option's name"),
        (JOB.format("o.mp4") + '"cluster=10.0.0.1" = true', "is no option's name"),
        (JOB.format("o.mp4") + '"--cluster" = "10.0.0.1"', "is no option's name"),
        (JOB.format("o.jpg") * 2, "would overwrite another job's result"),
        (JOB.format("s.jpg"), "would overwrite an input"),
        (
            '[[job]]\ntarget = "a.jpg"\noutput = "o.jpg"\nassign = ["s.jpg=o.jpg"]',
            "would overwrite an input",
        ),
        (JOB.format("../o.jpg"), "o.jpg lies outside of the folder of the file of jobs"),
        (JOB.format("/tmp/o.jpg"), "/tmp/o.jpg lies outside of the folder"),
        (JOB.format("o.mp4") + 'job_folder = "../job"', "job lies outside of the folder"),
        (JOB.format("o\\u0000.jpg"), "holds a null character"),
        (JOB.format("/.." * 1400 + "/o.jpg"), "output has 4206 characters. Up to 4096"),
        (
            f"[defaults]\nassign = {['a' * 80] * 10_000}\n" + JOB.format("o.jpg") * 30,
            "its jobs have more than 20000000 characters",
        ),
    ],
)
def test_a_wrong_file_of_jobs_is_told_before_any_is_done(tmp_path, capsys, jobs, message):
    assert main(["batch", write_jobs(tmp_path, jobs)]) == 1
    assert message.format(tmp_path) in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["jobs.toml"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["in"], "a folder needs --source and --output"),
        (["jobs.toml", "--faces", "all"], "--faces: of a folder"),
        (["in", "--faces", "some"], "--faces"),
    ],
)
def test_a_wrong_command_line_is_told(folder, monkeypatch, capsys, words, message):
    monkeypatch.chdir(folder)
    write_jobs(folder, JOB.format("o.jpg"))
    with pytest.raises(SystemExit, match="2"):
        main(["batch", *words])
    assert message in capsys.readouterr().err


def test_ones_own_file_of_jobs_may_write_anywhere_and_choose_a_model(tmp_path):
    (tmp_path / "jobs").mkdir()
    path = write_jobs(tmp_path / "jobs", JOB.format("../o.jpg") + 'model = "my/model"')
    with pytest.raises(OptionError, match="--model goes with"):
        read_jobs(parse(["batch", path]))
    (job,), _ = read_jobs(parse(["batch", path, "--anywhere"]))
    assert job.arguments.model == "my/model"
    assert job.output.resolve() == (tmp_path / "o.jpg").resolve()


def test_a_folder_is_not_swapped_into_itself(folder, capsys):
    words = ["batch", str(folder / "in"), "--source", str(HOPPER), "--output", str(folder / "in")]
    assert main(words) == 1
    assert "Choose another one" in capsys.readouterr().err


def test_another_file_in_the_place_of_the_report_stays(folder, capsys):
    other = folder / "other.json"
    other.write_text("{}")
    assert main([*of_folder(folder), "--report", str(other)]) == 1
    assert "no report of a batch" in capsys.readouterr().err
    assert other.read_text() == "{}"


def test_a_comment_of_escaped_quotation_marks_takes_no_time(tmp_path, capsys):
    started = time.process_time()
    assert main(["batch", write_jobs(tmp_path, "# " + '\\"' * 100_000)]) == 1  # a minute, once
    assert "holds 0 jobs" in capsys.readouterr().err
    assert time.process_time() - started < 5


def test_a_report_that_is_a_link_is_refused(tmp_path, capsys):
    (tmp_path / "jobs.report.json").symlink_to("new")
    assert main(["batch", write_jobs(tmp_path, JOB.format("o.jpg"))]) == 1
    assert "--report" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_a_huge_report_is_not_read_whole(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(report, "MAX_BYTES", 1000)
    held = {"format": report.FORMAT, "jobs": [], "more": "x" * 1000}
    (tmp_path / "jobs.report.json").write_text(json.dumps(held))
    assert main(["batch", write_jobs(tmp_path, JOB.format("o.jpg"))]) == 1
    assert "is no report of a batch" in capsys.readouterr().err
