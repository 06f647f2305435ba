import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap import MediaError, SwapOptions
from simswap.__main__ import main
from simswap.media.frames import FrameFolder
from simswap.media.photos import read_photo
from simswap.provenance.metadata import read_label
from simswap.video.frame_folder import swap_folder
from simswap.video.options import VideoOptions
from tests.support.examples import EXAMPLES, ROOT
from tests.support.media.face_videos import (
    NUM_FRAMES,
    NUM_WITHOUT_FACE,
    face_frame,
    make_face_video,
)
from tests.support.media.video_files import decoded, same_but_for_the_signature
from tests.support.waiting import wait_until
from tests.support.warm_python import WarmProcess, start_warm

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quick_by_default")]

HOPPER = str(EXAMPLES / "grace_hopper.jpg")
LONG_RATE = 6  # frames per second
NUM_LONG = LONG_RATE * 9  # frames: two segments and a bit


@pytest.fixture(scope="module")
def long_clip(astronaut, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("long_clip") / "in.mp4"
    return make_face_video(path, astronaut, NUM_LONG, LONG_RATE)


def command(target: object, output: object, *options: str) -> list[str]:
    return ["video", "--source", HOPPER, "--target", str(target), "--output", str(output), *options]


@pytest.fixture
def start(tmp_path_factory) -> Callable[..., WarmProcess]:
    """The command in a process of its own, which has just begun."""

    def begin(*arguments: str) -> WarmProcess:
        said = tmp_path_factory.mktemp("said")
        return start_warm(["-m", "simswap", *arguments], said / "out.txt", said / "err.txt")

    return begin


def finish(process: WarmProcess) -> tuple[str, str]:
    """What a command printed and said until its end; where it hangs, each thread's stack."""
    try:
        return process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)
        raise AssertionError(f"It hangs:\n{process.communicate()[1]}") from None


def wait_for_segment(folder: Path) -> None:
    wait_until(lambda: any(folder.glob(".*.job/segment-*.json")), 120)


def test_video_writes_a_marked_video_and_prints_only_its_path(face_clip, tmp_path, capsys):
    output = tmp_path / "out.mp4"
    assert main(command(face_clip, output)) == 0
    said = capsys.readouterr()
    assert said.out == f"{output}\n"
    num_faces = NUM_FRAMES - NUM_WITHOUT_FACE
    assert f"Swapped {num_faces} faces in {NUM_FRAMES} frames" in said.err
    assert f"({NUM_WITHOUT_FACE} without a face)" in said.err
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert main(["verify", str(output)]) == 0
    assert "Marked as synthetic: this installation signed the video" in capsys.readouterr().out


def test_verify_does_not_call_an_unmarked_video_real(face_clip, capsys):
    assert main(["verify", str(face_clip)]) == 1
    assert "does not prove the video is real" in capsys.readouterr().out


def test_video_takes_a_stretch_and_encoder_settings(face_clip, tmp_path):
    options = ["--start", "0:00.25", "--end", "0.5", "--crf", "30", "--preset", "ultrafast"]
    assert main(command(face_clip, tmp_path / "out.mp4", *options, "--detect-every", "3")) == 0
    assert len(decoded(tmp_path / "out.mp4")) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--crf", "70"], "whole number from 0 to 63"),
        (["--start", "soon"], "not a time such as"),
        (["--preset", "warp"], "choose one of"),
        (["--resume", "--restart"], "not allowed with"),
        (["--detect-evry", "3"], "did you mean --detect-every"),
        (["--frames", "--start", "3"], "cannot go with --frames"),
        (["--frames", "--cluster"], "cannot go with --frames"),
        (["--frames", "--restart"], "cannot go with --frames"),
    ],
)
def test_a_wrong_command_line_is_told_with_exit_code_2(
    face_clip, tmp_path, capsys, options, message
):
    with pytest.raises(SystemExit, match="2"):
        main(command(face_clip, tmp_path / "out.mp4", *options))
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("target", "output", "options", "message"),
    [
        ("absent.mp4", "out.mp4", [], "does not exist"),
        ("text.mp4", "out.mp4", [], "not a video that can be read"),
        ("in.mp4", "out.avi", [], "unknown ending"),
        ("in.mp4", "nowhere/out.mp4", [], "does not exist. Create it first"),
        ("in.mp4", "in.mp4", [], "would overwrite"),
        ("in.mp4", "out.mp4", ["--start", "99"], "the video ends at"),
        ("in.mp4", "out", ["--frames"], "is not a folder"),
        ("empty", "out", ["--frames"], "holds no pictures"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_1(
    face_clip, tmp_path, capsys, target, output, options, message
):
    (tmp_path / "in.mp4").write_bytes(face_clip.read_bytes())
    (tmp_path / "text.mp4").write_text("not a video")
    (tmp_path / "empty").mkdir()
    before = sorted(path.name for path in tmp_path.iterdir())
    assert main(command(tmp_path / target, tmp_path / output, *options)) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("Error: ")
    assert message in said
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_bad_files_are_told_before_torch_is_imported():
    code = (
        "import sys; from simswap.__main__ import main;"
        "main(['video', '--source', 'a', '--target', 'b.mp4', '--output', 'c.mp4']);"
        "main(['video', '--frames', '--source', 'a', '--target', 'b', '--output', 'c']);"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_killed_at_random_moments_it_resumes_and_ends_in_the_same_bytes(
    start, long_clip, quick_folder, tmp_path
):
    quick = ("--model", str(quick_folder))
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut" / "out.mp4"
    # In this process the bytes came out different.
    process = start(*command(long_clip, whole, *quick))
    finish(process)
    assert process.returncode == 0
    cut.parent.mkdir()
    moments = random.Random(5)
    for moment in (0, *(moments.uniform(0.5, 3) for _ in range(2))):
        process = start(*command(long_clip, cut, *quick))
        time.sleep(moment) if moment else wait_for_segment(cut.parent)
        process.kill()
        finish(process)
        assert not cut.exists() or same_but_for_the_signature(cut, whole)
    process = start(*command(long_clip, cut, *quick))
    _, said = finish(process)
    assert process.returncode == 0, said
    assert same_but_for_the_signature(cut, whole)
    assert [path.name for path in cut.parent.iterdir()] == ["out.mp4"]


def test_an_interrupt_says_how_to_go_on_and_the_same_command_does(start, long_clip, tmp_path):
    output = tmp_path / "out.mp4"
    process = start(*command(long_clip, output))
    wait_for_segment(tmp_path)
    process.send_signal(signal.SIGINT)
    printed, said = finish(process)
    assert (process.returncode, printed) == (130, "")
    assert f"of {NUM_LONG} frames. The same command goes on" in said
    assert "Traceback" not in said
    manifest = json.loads((tmp_path / ".out.mp4.job" / "simswap-job.json").read_text())
    assert manifest["end frame"] == NUM_LONG
    process = start(*command(long_clip, output, "--resume"))
    _, said = finish(process)
    assert process.returncode == 0, said
    assert "frames were done before." in said


@pytest.fixture
def pictures(astronaut, tmp_path) -> Path:
    """Frames 8 to 11 of the face_clip as PNG and JPEG, named so that text order would be wrong."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(8, 12):
        ending = "jpg" if number == 9 else "png"
        Image.fromarray(face_frame(astronaut, number)).save(folder / f"frame_{number}.{ending}")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_frames_swaps_a_folder_of_pictures_into_another(pictures, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(command(pictures, output, "--frames")) == 0
    assert "Swapped 4 faces in 4 frames" in capsys.readouterr().err
    names = ["frame_10.png", "frame_11.png", "frame_8.png", "frame_9.jpg"]
    assert sorted(path.name for path in output.iterdir()) == names
    for name in names:
        new, old = read_photo(output / name).image, read_photo(pictures / name).image
        assert np.abs(new.astype(int) - old).max() > 40
        assert read_label(output / name) is not None


def test_frames_can_go_on_where_they_were_interrupted(pictures, tmp_path, capsys):
    output = tmp_path / "out"
    assert main(command(pictures, output, "--frames", "--detect-every", "1")) == 0
    whole = {path.name: read_photo(path).image.tobytes() for path in output.iterdir()}
    for number in (10, 11):
        (output / f"frame_{number}.png").unlink()
    kept = (output / "frame_8.png").stat().st_mtime_ns
    assert main(command(pictures, output, "--frames", "--detect-every", "1", "--resume")) == 0
    assert "2 frames were done before." in capsys.readouterr().err
    pictures = {path.name: read_photo(path).image.tobytes() for path in output.iterdir()}
    assert pictures == whole
    assert (output / "frame_8.png").stat().st_mtime_ns == kept


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("how", [[], ["--resume"]])
def test_frames_overwrites_no_file_that_another_program_made(pictures, tmp_path, capsys, how):
    output = tmp_path / "out"
    output.mkdir()
    (output / "frame_10.png").write_bytes(b"somebody's")
    assert main(command(pictures, output, "--frames", *how)) == 1
    assert "folder out already holds frame_10.png. Give another" in capsys.readouterr().err
    assert contents(output) == {"frame_10.png": b"somebody's"}


def test_frames_follows_no_link_to_another_file(pictures, tmp_path, capsys):
    output = tmp_path / "out"
    output.mkdir()
    (output / "frame_9.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    assert main(command(pictures, output, "--frames")) == 1
    assert "already holds frame_9.jpg" in capsys.readouterr().err
    assert not (tmp_path / "elsewhere.jpg").exists()


def test_frames_writes_nothing_into_the_folder_of_the_pictures(pictures, tmp_path, capsys):
    before = contents(pictures)
    (tmp_path / "link").symlink_to(pictures)
    for output in (pictures, tmp_path / "link", pictures / ".." / "in"):
        assert main(command(pictures, output, "--frames", "--resume")) == 1
        assert "The output folder is the target itself" in capsys.readouterr().err
    assert contents(pictures) == before


def test_frames_names_resume_where_an_earlier_run_may_have_ended(pictures, tmp_path, capsys):
    output = tmp_path / "out"
    output.mkdir()
    (output / "frame_8.png").write_bytes(b"the first result")
    assert main(command(pictures, output, "--frames")) == 1
    assert "already holds frame_8.png" in (said := capsys.readouterr().err)
    assert "or --resume if an earlier run made it." in said


def test_frames_goes_on_without_writing_finished_pictures_again(pictures, tmp_path):
    output = tmp_path / "out"
    output.mkdir()
    shutil.copy(pictures / "frame_8.png", output)
    finished = contents(output)
    assert main(command(pictures, output, "--frames", "--resume")) == 0
    assert len(contents(output)) == 4
    assert finished.items() <= contents(output).items()


def test_a_file_that_came_after_the_check_is_not_overwritten(swapper, identity, pictures, tmp_path):
    folder = FrameFolder.plan(pictures, tmp_path / "out")
    (tmp_path / "out" / "frame_9.jpg").write_bytes(b"somebody's")
    with pytest.raises(MediaError, match=r"already holds frame_9\.jpg"):
        swap_folder(swapper, folder, identity, SwapOptions(), VideoOptions())
    assert (tmp_path / "out" / "frame_9.jpg").read_bytes() == b"somebody's"


def test_a_broken_picture_is_named(pictures, tmp_path, capsys):
    (pictures / "frame_9.jpg").write_bytes(b"\xff\xd8\xff broken")
    assert main(command(pictures, tmp_path / "out", "--frames")) == 1
    assert "frame_9.jpg is damaged" in capsys.readouterr().err
