"""Videos in which people are told apart: chosen, assigned, resumed."""

from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap import Assignment, OptionError, SwapOptions
from simswap.media.frames import FrameFolder
from simswap.video.frame_folder import swap_folder
from simswap.video.job import VideoJob
from simswap.video.people import looks
from tests.support.media.face_videos import SHORT_SEGMENTS
from tests.support.media.people_videos import NUM_FRAMES, WIDTH, cuts, make_scene, picture, sizes
from tests.support.media.video_files import decoded, same_but_for_the_signature

pytestmark = pytest.mark.slow

LARGEST = SwapOptions(faces="largest")
VIDEO = replace(SHORT_SEGMENTS, segment_frames=6, detect_every=3)


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """The scene `sizes`: the admiral, at the right, is smaller only in the end."""
    return make_scene(tmp_path_factory.mktemp("sizes") / "in.mp4", sizes)


@pytest.fixture(scope="module")
def whole(swapper, clip, identity, tmp_path_factory):
    """The largest person swapped without interruption: output, report, reports of progress."""
    output, steps = tmp_path_factory.mktemp("whole") / "out.mp4", []
    report = swapper.swap_video(
        clip, output, identity, LARGEST, video=VIDEO, on_progress=steps.append
    )
    return output, report, steps


def changed_sides(output: Path, clip: Path) -> set[str]:
    """On which sides of its frames a video was swapped."""
    sides = set()
    for new, old in zip(decoded(output), decoded(clip), strict=True):
        changed = (np.abs(new.astype(int) - old).max(axis=(0, 2)) > 40).reshape(2, WIDTH // 2)
        sides |= {("left", "right")[i] for i in np.flatnonzero(changed.sum(axis=1) > 10)}
    return sides


def test_the_largest_person_of_a_film_is_one_person(clip, whole):
    output, report, _ = whole
    assert report.faces_swapped == report.frames == NUM_FRAMES[sizes]
    assert changed_sides(output, clip) == {"right"}
    assert report.first_pass_seconds > 0


def test_an_interrupted_job_with_tracks_ends_in_the_same_bytes(
    swapper, clip, identity, whole, tmp_path, monkeypatch
):
    monkeypatch.setattr("simswap.video.progress.REPORT_SECONDS", 0)
    output, looked_at = tmp_path / "out.mp4", []

    def stop_at(looks: int, done: int):
        def on_progress(step) -> None:
            looked_at.append(step.frames_looked_at)
            if (step.frames_looked_at or 0) >= looks or step.frames_done >= done:
                raise KeyboardInterrupt

        return on_progress

    def swap(on_progress):
        return swapper.swap_video(
            clip, output, identity, LARGEST, video=VIDEO, on_progress=on_progress
        )

    with pytest.raises(KeyboardInterrupt):  # in the second half of the first pass
        swap(stop_at(7, 99))
    (folder,) = tmp_path.glob(".*.job")
    assert [path.name for path in folder.glob("faces-*")] == ["faces-00000.npy"]
    with pytest.raises(KeyboardInterrupt):  # right behind it
        swap(stop_at(99, 1))
    with pytest.raises(KeyboardInterrupt):
        swap(stop_at(99, 8))
    assert not any(b"embedding" in path.read_bytes() for path in folder.iterdir())
    looked_at.clear()
    report = swap(stop_at(99, 99))
    assert set(looked_at) == {None}
    assert (report.resumed_frames, report.first_pass_seconds) == (6, 0)
    assert same_but_for_the_signature(output, whole[0])
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_a_first_pass_goes_on_without_looking_for_the_same_faces_again(
    swapper, clip, identity, tmp_path, monkeypatch
):
    job = VideoJob.plan(swapper, clip, tmp_path / "out.mp4", identity, LARGEST, VIDEO)
    looked_at = []
    detect = swapper.detect_batch

    def counting(frames, options):
        looked_at.extend(frames)
        return detect(frames, options)

    monkeypatch.setattr(swapper, "detect_batch", counting)
    with job.opened():
        counts = looks(job.first_pass, partial(job.first_pass.look, swapper))
        list(islice(counts, 7))
        counts.close()
        looked_at.clear()
        assert list(looks(job.first_pass, partial(job.first_pass.look, swapper))) == [*range(1, 13)]
        assert len(looked_at) == 2
        job.cancel()


def test_faces_of_the_first_pass_are_those_that_the_swap_would_find(
    swapper, clip, identity, tmp_path
):
    made, video = {}, replace(VIDEO, segment_frames=3, end=0.2)
    for faces in ("all", (0, 1)):
        job = VideoJob.plan(
            swapper, clip, tmp_path / "out.mp4", identity, SwapOptions(faces=faces), video
        )
        assert (job.first_pass is None) == (faces == "all")
        swapper.swap_video(clip, job.output, identity, job.options, video=video)
        made[faces] = decoded(job.output)
    for one, other in zip(*made.values(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_assignments_give_each_person_of_a_video_a_face(
    swapper, identity, astronaut, grace_hopper, tmp_path
):
    clip = make_scene(tmp_path / "in.mp4", cuts)
    hopper, other = (swapper.identity_of(photo) for photo in (grace_hopper, astronaut))
    source = [Assignment(identity, hopper), Assignment(hopper, other)]
    report = swapper.swap_video(clip, tmp_path / "out.mp4", source, video=VIDEO)
    assert report.faces_swapped == 10 + 10


def test_a_person_who_is_not_there_is_an_error_that_leaves_nothing(
    swapper, clip, identity, tmp_path
):
    with pytest.raises(OptionError, match="no person number 2: the video shows 2"):
        swapper.swap_video(
            clip, tmp_path / "out.mp4", identity, SwapOptions(faces=(2,)), video=VIDEO
        )
    assert list(tmp_path.iterdir()) == []


def test_the_people_of_a_video_are_listed_by_face_area(swapper, clip):
    steps = []
    found = swapper.people_of(
        clip, video=VIDEO, on_progress=lambda done, total: steps.append((done, total))
    )
    assert [(one.number, one.num_frames, one.first, one.last) for one in found] == [
        (0, 12, 0, 11),
        (1, 12, 0, 11),
    ]
    assert found[0].area > found[1].area
    assert found[0].best_box[0] > WIDTH / 2 > found[1].best_box[2]
    assert steps == [(number, 12) for number in range(1, 13)]


def test_pictures_of_a_folder_are_one_video_when_resumed_too(swapper, identity, tmp_path):
    (tmp_path / "in").mkdir()
    for number in range(NUM_FRAMES[sizes]):
        Image.fromarray(picture(sizes, number)).save(tmp_path / "in" / f"{number:02}.png")
    plan = FrameFolder.plan(tmp_path / "in", tmp_path / "out")
    swap_folder(swapper, plan, identity, LARGEST, VIDEO)
    before = [np.asarray(Image.open(path)) for path in plan.outputs]
    for path in plan.outputs[9:]:
        path.unlink()
    plan = FrameFolder.plan(tmp_path / "in", tmp_path / "out", resume=True)
    report = swap_folder(swapper, plan, identity, LARGEST, VIDEO)
    assert report.resumed_frames == 9
    after = [np.asarray(Image.open(path)) for path in plan.outputs]
    for number, (one, other) in enumerate(zip(before, after, strict=True)):
        np.testing.assert_array_equal(one, other)
        changed = np.abs(one.astype(int) - picture(sizes, number)).max(axis=(0, 2))
        assert changed.argmax() > WIDTH // 2
