"""What the demo does with a video: previews, calls for a GPU, limits, files that stay alive."""

import os
import shutil
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import numpy as np
import pytest
from PIL import Image

from simswap import VideoProgress
from simswap.errors import MediaError, OptionError
from simswap.provenance.metadata import read_label
from simswap.video.job import VideoJob
from simswap.video.source.info import probe_video
from tests.support.examples import EXAMPLES
from tests.support.media.face_videos import NUM_FRAMES, NUM_WITHOUT_FACE
from tests.support.media.video_files import decoded, make_video

pytestmark = pytest.mark.slow

video_service = pytest.importorskip("simswap.demo.services.videos")
video_limits = pytest.importorskip("simswap.demo.services.video_limits")
allowances = pytest.importorskip("simswap.demo.services.allowances")
choices = pytest.importorskip("simswap.demo.choices")
Person = pytest.importorskip("simswap.demo.services.photos").Person

CHOICES = choices.VideoChoices()
GPU_TIME_IS_UP = gr.Error("GPU task aborted", title=video_service.GPU_ERROR)


@pytest.fixture(autouse=True)
def quick_model(quick_swapper, monkeypatch) -> None:
    """What this demo offers: whoever swaps the frames, they go through the same."""
    swappers = {quick_swapper.name: quick_swapper}
    monkeypatch.setattr("simswap.demo.models._swappers", lambda: swappers)


@pytest.fixture
def source(uploads: Path) -> str:
    return str(shutil.copy(EXAMPLES / "grace_hopper.jpg", uploads))


@pytest.fixture
def target(uploads: Path, face_clip: Path) -> str:
    return str(shutil.copy(face_clip, uploads / "clip.mp4"))


@pytest.fixture
def short_segments(monkeypatch) -> None:
    monkeypatch.setattr("simswap.video.options.SEGMENT_SECONDS", 0.5)


@pytest.fixture
def gpu_calls(monkeypatch) -> list[tuple[int, int]]:
    """Segment and generosity of each call for a GPU."""
    calls, swap_segment = [], video_service._swap_segment

    def counted(job: VideoJob, number: int, faces_per_frame: float, generosity: int):
        calls.append((number, generosity))
        return swap_segment(job, number, faces_per_frame, generosity)

    monkeypatch.setattr(video_service, "_swap_segment", counted)
    return calls


def outcome(source: str, target: str) -> "video_service.Outcome":
    *_, last = video_service.swap_uploads([Person([source])], target, CHOICES)
    return last


def pixels(path: str) -> np.ndarray:
    return np.array(Image.open(path).convert("RGB")).astype(int)


def test_a_preview_shows_the_frame_of_that_number_before_and_after(source, target, face_clip):
    preview = video_service.preview([Person([source])], target, 12, CHOICES)
    assert np.abs(pixels(preview.before) - decoded(face_clip)[12]).mean() < 3  # JPEG
    assert np.abs(pixels(preview.before) - pixels(preview.after)).max() > 40
    assert (preview.seconds, preview.num_faces, preview.num_swapped) == (0.5, 1, 1)


def test_a_previewed_frame_says_that_a_model_changed_it_if_one_did(source, target, quick_swapper):
    preview = video_service.preview([Person([source])], target, 12, CHOICES)
    assert read_label(preview.after).model == quick_swapper.name
    assert read_label(preview.before) is None
    unchanged = video_service.preview([Person([source])], target, NUM_FRAMES - 1, CHOICES)
    assert read_label(unchanged.after) is None


def test_a_preview_of_a_frame_without_a_face_is_no_error(source, target):
    preview = video_service.preview([Person([source])], target, NUM_FRAMES - 1, CHOICES)
    assert preview.num_faces == 0
    assert np.array_equal(pixels(preview.before), pixels(preview.after))


def test_no_more_frames_are_followed_in_one_go_than_memory_allows(source, target, monkeypatch):
    monkeypatch.setattr(video_limits, "HELD_BYTES", 2 * probe_video(target).frame_bytes)
    with pytest.raises(OptionError, match=r"detect_every=3 holds too many .* at most 2"):
        outcome(source, target)


def test_a_preview_needs_no_source(target):
    assert video_service.preview([], target, 0, CHOICES).after is None


def test_each_segment_is_one_call_for_a_gpu(source, target, short_segments, gpu_calls):
    report = outcome(source, target).report
    assert gpu_calls == [(0, 1), (1, 1), (2, 1)]
    assert report.faces_swapped == NUM_FRAMES - NUM_WITHOUT_FACE


def test_a_call_asks_for_time_by_frames_and_faces(swapper, identity, target, uploads):
    output = uploads / "out.mp4"
    options = CHOICES.swap_options(), CHOICES.video_options()
    job = VideoJob.plan(swapper, target, output, identity, *options)
    one, five = (video_service._gpu_seconds(job, 0, faces, 1) for faces in (1, 5))
    assert five - one == pytest.approx(NUM_FRAMES * 4 * 0.05)
    assert video_service._gpu_seconds(job, 0, 1, 2) == 2 * one


def test_a_segment_whose_gpu_time_was_up_is_done_again_with_longer(
    source, target, monkeypatch, gpu_calls
):
    counted, failures = video_service._swap_segment, [GPU_TIME_IS_UP]

    def failing(*arguments):
        yield from counted(*arguments)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(video_service, "_swap_segment", failing)
    report = outcome(source, target).report
    assert gpu_calls == [(0, 1), (0, 2)]
    assert report.frames == NUM_FRAMES


def test_other_errors_of_a_segment_end_the_job_and_leave_nothing(
    source, target, uploads, monkeypatch
):
    def failing(*arguments):
        yield 1, np.zeros((2, 2, 3), np.uint8)
        raise gr.Error("The daily time on GPUs is used up.", title="ZeroGPU quota exceeded")

    monkeypatch.setattr(video_service, "_swap_segment", failing)
    with pytest.raises(gr.Error, match="used up"):
        outcome(source, target)
    assert sorted(path.name for path in uploads.iterdir()) == ["clip.mp4", "grace_hopper.jpg"]


@pytest.mark.parametrize("what", ["disk", "memory"])
def test_a_job_whose_result_would_fill_disk_or_memory_ends_and_leaves_nothing(
    source, target, uploads, short_segments, monkeypatch, what
):
    if what == "disk":
        monkeypatch.setenv("SIMSWAP_DISK_GB", "0.0003")  # 20 kB for a result
    else:
        monkeypatch.setattr(video_limits, "WRITTEN_BYTES", 20_000)
    lossless = replace(CHOICES, crf=0)
    with pytest.raises(OptionError, match=r"takes more than 0 MB, .* larger crf, or a shorter"):
        list(video_service.swap_uploads([Person([source])], target, lossless))
    assert sorted(path.name for path in uploads.iterdir()) == ["clip.mp4", "grace_hopper.jpg"]


def test_a_result_that_with_its_sound_is_too_large_to_be_signed_is_refused(
    source, target, uploads, monkeypatch
):
    monkeypatch.setattr(allowances, "SIGN_BYTES", 1000)
    with allowances.one_call(), pytest.raises(MediaError, match=r"can sign\. Choose a larger crf"):
        list(video_service.swap_uploads([Person([source])], target, CHOICES))
    assert sorted(path.name for path in uploads.iterdir()) == ["clip.mp4", "grace_hopper.jpg"]


def test_a_job_that_is_closed_leaves_nothing(source, target, uploads, short_segments):
    steps = video_service.swap_uploads([Person([source])], target, CHOICES)
    while next(steps).frames_done < 15:
        pass
    steps.close()
    assert sorted(path.name for path in uploads.iterdir()) == ["clip.mp4", "grace_hopper.jpg"]


def test_files_of_a_long_job_do_not_look_old(source, target, short_segments):
    os.utime(target, (0, 0))
    outcome(source, target)
    assert Path(target).stat().st_mtime > 1e9


def test_a_stretch_of_a_long_video_may_be_swapped(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "in.mp4", num_frames=30))
    long = replace(info, time_base=info.time_base * 1000)
    video_limits.check_length(long, 100, 200)
    with pytest.raises(OptionError, match=r"1000\.0 s of video are too much"):
        video_limits.check_length(long, None, None)


def test_the_number_of_frames_is_limited_too(tmp_path: Path, monkeypatch):
    info = probe_video(make_video(tmp_path / "in.mp4", num_frames=30))
    monkeypatch.setenv(video_limits.SETTING, "0.4")
    fast = replace(info, time_base=info.time_base / 50)
    with pytest.raises(OptionError, match=r"30 frames are too many .* up to 24"):
        video_limits.check_length(fast, None, None)


@pytest.mark.parametrize("format", ["gif", "webp"])
def test_an_animation_of_large_pictures_is_refused(tmp_path: Path, format):
    info = probe_video(make_video(tmp_path / "in.mp4"))
    video_limits.check_format(replace(info, width=1280, height=720), format)
    large = replace(info, width=1920, height=1080)
    video_limits.check_format(large, "mp4")
    with pytest.raises(OptionError, match=r"1920x1080; at most 1280x720\. Choose mp4"):
        video_limits.check_format(large, format)


@pytest.mark.parametrize("text", ["soon", "0", "-3", "nan"])
def test_a_wrong_limit_is_told(monkeypatch, text: str):
    monkeypatch.setenv(video_limits.SETTING, text)
    with pytest.raises(OptionError, match="SIMSWAP_VIDEO_SECONDS is"):
        video_limits.allowed_seconds()


@pytest.mark.parametrize("text", ["soon", "0", "inf"])
def test_a_wrong_limit_of_minutes_is_told(monkeypatch, text: str):
    monkeypatch.setenv(video_limits.MINUTES_SETTING, text)
    with pytest.raises(OptionError, match="SIMSWAP_VIDEO_MINUTES is"):
        video_limits.allowed_minutes()


def far(*left: float | None):
    """How far a swap has come, minute after minute; left: the seconds that it says are left."""
    for number, seconds in enumerate(left):
        yield VideoProgress(number, len(left), 1.0, seconds, None)
    return "report"


@pytest.fixture
def minutes(monkeypatch) -> None:
    """A minute passes each time that somebody looks at the clock."""
    clock = count(0, 60)
    monkeypatch.setattr(video_limits, "time", SimpleNamespace(monotonic=lambda: next(clock)))


def test_a_swap_that_takes_half_an_hour_goes_on(minutes):
    steps = far(9e9, 2100, *[None] * 30)  # the first minute's estimate is not believed
    assert sum(1 for _ in video_limits.in_time(steps)) == 32


def test_an_estimate_is_not_believed_before_a_minute_of_swapping(minutes):
    steps = far(*[None] * 5, 9e9, 1500, 500)  # people were looked for in the first minutes
    assert sum(1 for _ in video_limits.in_time(steps)) == 8


@pytest.mark.parametrize(
    ("left", "num_passed", "told"),
    [
        ([1, 2200], 1, "take 39 minutes here"),
        ([500] * 60, 29, "take 38 minutes here"),
        ([None] * 60, 37, "take 38 minutes here"),
    ],
)
def test_a_swap_that_takes_too_long_ends_once_that_is_known(minutes, left, num_passed, told):
    steps = video_limits.in_time(far(*left))
    for _ in range(num_passed):
        next(steps)
    with pytest.raises(OptionError, match=told):
        next(steps)
