"""What a job keeps in its folder, and whom it refuses."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from simswap import FaceSwapper, Identity, JobCancelledError, MediaError, OptionError, SwapOptions
from simswap.video.job import VideoJob
from tests.support.media.face_videos import NUM_FRAMES, SEGMENT, SHORT_SEGMENTS, make_face_video
from tests.support.media.video_files import same_but_for_the_signature

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swapper(quick_swapper):
    """What becomes of frames before and after their swap is alike for all networks."""
    return quick_swapper


@pytest.fixture(scope="module")
def whole(swapper, face_clip, identity, tmp_path_factory) -> Path:
    """The clip swapped without interruption."""
    output = tmp_path_factory.mktemp("whole") / "out.mp4"
    swapper.swap_video(face_clip, output, identity, video=SHORT_SEGMENTS)
    return output


def plan(swapper: FaceSwapper, clip: Path, output: Path, identity: Identity) -> VideoJob:
    return VideoJob.plan(swapper, clip, output, identity, SwapOptions(), SHORT_SEGMENTS)


def make(job: VideoJob, number: int, swapper: FaceSwapper) -> None:
    for _ in job.segment_results(swapper, number):
        pass


def test_a_job_of_other_settings_is_refused_and_can_be_begun_anew(
    swapper, face_clip, identity, whole, tmp_path
):
    output = tmp_path / "out.mp4"
    job = plan(swapper, face_clip, output, identity)
    with job.opened():
        make(job, 0, swapper)
    other = replace(SHORT_SEGMENTS, crf=30)
    with pytest.raises(OptionError, match=r"other settings \(encoding\).*restart"):
        swapper.swap_video(face_clip, output, identity, video=other)
    assert job.finished().keys() == {0}
    report = swapper.swap_video(face_clip, output, identity, video=other, resume=False)
    assert report.resumed_frames == 0
    assert output.stat().st_size < whole.stat().st_size


def test_another_face_or_another_video_is_not_mixed_in(
    swapper, face_clip, identity, astronaut, tmp_path
):
    output = tmp_path / "out.mp4"
    job = plan(swapper, face_clip, output, identity)
    with job.opened():
        make(job, 0, swapper)
    with pytest.raises(OptionError, match=r"\(identity\)"):
        swapper.swap_video(face_clip, output, swapper.identity_of(astronaut), video=SHORT_SEGMENTS)
    copy = make_face_video(tmp_path / "copy.mp4", astronaut, num_frames=NUM_FRAMES - 1)
    with pytest.raises(OptionError, match=r"\(input, end frame\)"):
        swapper.swap_video(copy, output, identity, video=SHORT_SEGMENTS)


def test_the_manifest_tells_no_face_and_no_name(swapper, face_clip, identity, tmp_path):
    job = plan(swapper, face_clip, tmp_path / "out.mp4", identity)
    with job.opened():
        make(job, 0, swapper)
    said = "".join(file.read_text() for file in job.folder.path.glob("*.json"))
    assert face_clip.name not in said
    assert str(face_clip.parent) not in said
    assert f"{identity.embedding[0]:.4f}" not in said


def test_a_damaged_segment_is_made_again(swapper, face_clip, identity, whole, tmp_path):
    output = tmp_path / "out.mp4"
    job = plan(swapper, face_clip, output, identity)
    with job.opened():
        make(job, 0, swapper)
        make(job, 1, swapper)
    segment = job.folder.segment(1)
    segment.write_bytes(segment.read_bytes()[:-10])
    assert (
        swapper.swap_video(face_clip, output, identity, video=SHORT_SEGMENTS).resumed_frames
        == SEGMENT
    )
    assert same_but_for_the_signature(output, whole)


def test_what_a_link_in_the_place_of_a_segment_leads_to_is_left_alone(
    swapper, face_clip, identity, tmp_path
):
    job = plan(swapper, face_clip, tmp_path / "out.mp4", identity)
    (tmp_path / "theirs.nut").write_bytes(b"theirs")
    with job.opened():
        job.folder.segment(3).symlink_to(tmp_path / "theirs.nut")
        make(job, 3, swapper)
        assert job.finished().keys() == {3}
        job.cancel()
    assert (tmp_path / "theirs.nut").read_bytes() == b"theirs"


def test_segments_may_be_made_elsewhere_and_in_any_order(
    swapper, face_clip, identity, whole, tmp_path
):
    job = plan(swapper, face_clip, tmp_path / "out.mp4", identity)
    sent = pickle.loads(pickle.dumps(job))
    with job.opened():
        for segment in reversed(job.segments):
            make(sent, segment.number, swapper)
        job.finish()
    assert same_but_for_the_signature(job.output, whole)


def test_a_folder_of_other_files_is_refused_and_left_alone(swapper, face_clip, identity, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "mine.txt").write_text("mine")
    with pytest.raises(MediaError, match=r"holds other files, such as mine\.txt"):
        swapper.swap_video(
            face_clip, tmp_path / "out.mp4", identity, job_folder=tmp_path / "photos", resume=False
        )
    assert (tmp_path / "photos" / "mine.txt").read_text() == "mine"


def test_two_jobs_do_not_share_a_folder(swapper, face_clip, identity, tmp_path):
    job = plan(swapper, face_clip, tmp_path / "out.mp4", identity)
    with job.opened(), pytest.raises(MediaError, match="in use by another"), job.opened():
        pass


def test_the_time_a_segment_may_take_follows_its_frames_and_faces(
    swapper, face_clip, identity, tmp_path
):
    job = plan(swapper, face_clip, tmp_path / "out.mp4", identity)
    short, long = job.estimated_seconds(3), job.estimated_seconds(0)
    assert short < long < job.estimated_seconds(0, faces_per_frame=5)
    with job.opened():
        make(job, 0, swapper)
        assert job.estimated_seconds(1) > job.finished()[0].seconds


def test_the_output_may_not_be_the_video(swapper, face_clip, identity):
    with pytest.raises(MediaError, match="overwrite the video itself"):
        swapper.swap_video(face_clip, face_clip, identity)


def test_cancelling_deletes_no_file_of_others(swapper, face_clip, identity, tmp_path):
    others = ["out.mp4.part", ".simswap-out.mp4.part", "out.mp4.signed", ".out.mp4.job.txt"]
    for name in others:
        (tmp_path / name).write_text("mine")

    def stop(_: object) -> None:
        raise JobCancelledError("Enough.")

    with pytest.raises(JobCancelledError):
        swapper.swap_video(
            face_clip, tmp_path / "out.mp4", identity, video=SHORT_SEGMENTS, on_progress=stop
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(others)


def test_an_output_may_have_the_longest_name_that_the_file_system_takes(
    swapper, face_clip, identity, tmp_path
):
    output = tmp_path / ("動画" * 41 + "n" * 5 + ".mp4")
    report = swapper.swap_video(face_clip, output, identity, video=replace(SHORT_SEGMENTS, end=0.1))
    assert len(output.name.encode()) == 255
    assert [path.name for path in tmp_path.iterdir()] == [output.name]
    assert not any("Content Credentials" in notice for notice in report.notices)
