import resource
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from simswap import FaceSwapper, Identity, JobCancelledError, MediaError, OptionError, SwapOptions
from simswap.swap.stream import StreamOptions
from simswap.video import progress as videos_progress
from simswap.video.job import VideoJob
from simswap.video.metadata_label import read_video_label
from tests.support.media.face_videos import (
    HEIGHT,
    NUM_FRAMES,
    NUM_WITHOUT_FACE,
    RATE,
    SEGMENT,
    SHORT_SEGMENTS,
    WIDTH,
)
from tests.support.media.video_files import (
    decoded,
    frame_seconds,
    same_but_for_the_signature,
    sound_packets,
)

pytestmark = pytest.mark.slow

OPTIONS = SwapOptions()


@pytest.fixture(scope="module")
def swapper(quick_swapper):
    return quick_swapper


@pytest.fixture(scope="module")
def whole(swapper, face_clip, identity, tmp_path_factory):
    """The face_clip swapped without interruption: output, report, all reports of progress."""
    output = tmp_path_factory.mktemp("whole") / "out.mp4"
    progress = []
    with pytest.MonkeyPatch.context() as patched:
        tell_every_frame(patched)  # a fast machine is done before it would tell of any
        report = swapper.swap_video(
            face_clip, output, identity, video=SHORT_SEGMENTS, on_progress=progress.append
        )
    return output, report, progress


def stop_after(num_calls: int, error: BaseException):
    """An on_progress that raises at its n-th call."""
    calls = []

    def on_progress(progress) -> None:
        calls.append(progress)
        if len(calls) == num_calls:
            raise error

    return on_progress


def plan(
    swapper: FaceSwapper, face_clip: Path, output: Path, identity: Identity, **video
) -> VideoJob:
    return VideoJob.plan(
        swapper, face_clip, output, identity, OPTIONS, replace(SHORT_SEGMENTS, **video)
    )


def tell_every_frame(monkeypatch) -> None:
    monkeypatch.setattr("simswap.video.progress.REPORT_SECONDS", 0)


def test_the_result_has_the_videos_frames_times_sound_and_a_mark(face_clip, whole, swapper):
    output, report, _ = whole
    assert [path.name for path in output.parent.iterdir()] == ["out.mp4"]
    np.testing.assert_allclose(frame_seconds(output), frame_seconds(face_clip), atol=1e-3)
    assert sound_packets(output) == sound_packets(face_clip)
    assert read_video_label(output).model == swapper.name
    assert (report.frames, report.resumed_frames) == (NUM_FRAMES, 0)


def test_frames_without_a_face_pass_through_and_are_counted(face_clip, whole):
    output, report, _ = whole
    assert report.frames_without_face == NUM_WITHOUT_FACE
    assert report.faces_swapped == NUM_FRAMES - NUM_WITHOUT_FACE
    changes = [
        np.abs(new.astype(int) - old).max()
        for new, old in zip(decoded(output), decoded(face_clip), strict=True)
    ]
    assert min(changes[:-NUM_WITHOUT_FACE]) > 40
    assert max(changes[-NUM_WITHOUT_FACE:]) < 10  # the encoder's work


def test_progress_only_grows_and_ends_at_the_total(whole):
    _, report, progress = whole
    done = [step.frames_done for step in progress]
    assert done == sorted(done)
    assert done[0] == 0
    assert done[-1] == NUM_FRAMES
    assert {step.frames_total for step in progress} == {NUM_FRAMES}
    assert progress[-1].thumbnail.shape == (HEIGHT, WIDTH, 3)
    assert progress[-1].eta_seconds == 0
    assert report.frames_per_second == pytest.approx(NUM_FRAMES / report.seconds, rel=0.01)


@pytest.mark.parametrize(("every", "steady"), [(1, False), (1, True), (3, True)])
def test_a_jobs_frames_are_those_of_swap_frames(
    swapper, face_clip, identity, tmp_path, every, steady
):
    job = plan(
        swapper, face_clip, tmp_path / "out.mp4", identity, detect_every=every, steady=steady
    )
    made = []
    with job.opened():
        for segment in job.segments:
            made += [result.image for result in job.segment_results(swapper, segment.number)]
    stream = StreamOptions(detect_every=every, steady=steady)
    expected = swapper.swap_frames(decoded(face_clip), identity, stream=stream)
    for number, (image, result) in enumerate(zip(made, expected, strict=True)):
        assert np.array_equal(image, result.image), f"frame {number}"


def test_workers_change_no_frame(swapper, face_clip, identity):
    frames = decoded(face_clip)[:10]
    alone = swapper.swap_frames(frames, identity, stream=StreamOptions(steady=True))
    together = swapper.swap_frames(frames, identity, stream=StreamOptions(steady=True, workers=3))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one.image, other.image)


def test_an_interrupted_job_goes_on_and_ends_in_the_same_bytes(
    swapper, face_clip, identity, whole, tmp_path, monkeypatch
):
    tell_every_frame(monkeypatch)
    output = tmp_path / "out.mp4"
    resumed = []
    for stop in (SEGMENT + 5, 3, SEGMENT + 2):
        with pytest.raises(KeyboardInterrupt):
            swapper.swap_video(
                face_clip,
                output,
                identity,
                video=SHORT_SEGMENTS,
                on_progress=stop_after(stop, KeyboardInterrupt()),
            )
        assert not output.exists()
    steps = []
    report = swapper.swap_video(
        face_clip, output, identity, video=SHORT_SEGMENTS, on_progress=steps.append
    )
    resumed = steps[0].frames_done, steps[-1].frames_done
    assert (report.resumed_frames, *resumed) == (2 * SEGMENT, 2 * SEGMENT, NUM_FRAMES)
    assert same_but_for_the_signature(output, whole[0])
    assert replace(report, seconds=0, frames_per_second=0, resumed_frames=0) == replace(
        whole[1], seconds=0, frames_per_second=0
    )
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_an_interrupt_before_the_first_segment_leaves_nothing(
    swapper, face_clip, identity, tmp_path, monkeypatch
):
    tell_every_frame(monkeypatch)
    with pytest.raises(KeyboardInterrupt):
        swapper.swap_video(
            face_clip,
            tmp_path / "out.mp4",
            identity,
            video=SHORT_SEGMENTS,
            on_progress=stop_after(4, KeyboardInterrupt()),
        )
    assert list(tmp_path.iterdir()) == []


def test_cancelling_leaves_nothing_and_an_old_output_as_it_was(
    swapper, face_clip, identity, tmp_path, monkeypatch
):
    tell_every_frame(monkeypatch)
    output = tmp_path / "out.mp4"
    output.write_bytes(b"old")
    with pytest.raises(JobCancelledError):
        swapper.swap_video(
            face_clip,
            output,
            identity,
            video=SHORT_SEGMENTS,
            on_progress=stop_after(SEGMENT + 5, JobCancelledError("Enough.")),
        )
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    assert output.read_bytes() == b"old"


@pytest.mark.parametrize("error", [MediaError("Broken."), RuntimeError("Broken.")])
def test_an_error_in_the_middle_names_the_time_and_leaves_the_rest_to_resume(
    face_clip, identity, tmp_path, monkeypatch, swapper, whole, error
):
    output, calls = tmp_path / "out.mp4", []
    render = FaceSwapper.render

    def breaking(self, frames, plans, options, **how):
        calls.append(1)
        if len(calls) == SEGMENT + 6:
            raise error
        return render(self, frames, plans, options, **how)

    with monkeypatch.context() as patched:
        patched.setattr(FaceSwapper, "render", breaking)
        with pytest.raises(type(error)) as told:
            swapper.swap_video(face_clip, output, identity, video=SHORT_SEGMENTS)
    said = " ".join([str(told.value), *getattr(told.value, "__notes__", [])])
    assert f"Between {SEGMENT / RATE:.2f} s and {2 * SEGMENT / RATE:.2f} s" in said
    assert not output.exists()
    report = swapper.swap_video(face_clip, output, identity, video=SHORT_SEGMENTS)
    assert report.resumed_frames == SEGMENT
    assert same_but_for_the_signature(output, whole[0])


def test_a_full_disk_is_told_with_the_time_and_leaves_no_output(
    swapper, face_clip, identity, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # it would be cut off, unnoticed
    output, limits = tmp_path / "out.mp4", resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(
            MediaError, match=r"Between 0\.00 s and 0\.33 s: .* could not be written"
        ):
            swapper.swap_video(face_clip, output, identity, video=SHORT_SEGMENTS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_a_stretch_is_swapped_to_the_frame(swapper, face_clip, identity, tmp_path):
    output = tmp_path / "out.webm"
    video = replace(SHORT_SEGMENTS, start=10 / RATE, end=15 / RATE)
    report = swapper.swap_video(face_clip, output, identity, video=video)
    assert report.frames == len(decoded(output)) == 5
    assert report.faces_swapped == 5


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("out.avi", {}, "unknown ending"),
        ("out.mp4", {"format": "webm"}, "does not go with"),
        ("out.mp4", {"start": 99.0}, "the video ends at"),
        ("out.mp4", {"crf": 60}, "crf is 60"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(
    swapper, face_clip, identity, tmp_path, name, changes, message
):
    with pytest.raises(OptionError, match=message):
        swapper.swap_video(
            face_clip, tmp_path / name, identity, video=replace(SHORT_SEGMENTS, **changes)
        )
    assert list(tmp_path.iterdir()) == []


def test_a_first_pass_does_not_slow_the_estimate_of_the_rest(monkeypatch):
    now = 0.0
    monkeypatch.setattr(videos_progress, "time", SimpleNamespace(perf_counter=lambda: now))
    meter = videos_progress.Meter(num_resumed=0, num_total=1000)

    def looking():
        nonlocal now
        now = 90.0
        yield 1000

    list(meter.looked_at(looking()))
    now = 110.0
    told = next(meter.followed(iter([(10, None)]), 1000))
    assert told.frames_per_second == 10 / 20
    assert told.eta_seconds == 990 / (10 / 20)
