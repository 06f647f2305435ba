"""No word of a model in a video that it left as it was."""

from dataclasses import replace

import pytest

from simswap import Assignment
from simswap.verify.report import verify
from tests.support.media.face_videos import NUM_FRAMES, RATE, SHORT_SEGMENTS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("output", ["out.mp4", "out.webm"])
def test_a_video_in_which_no_face_was_swapped_is_neither_marked_nor_signed(
    swapper, face_clip, identity, tmp_path, output
):
    video = replace(SHORT_SEGMENTS, start=(NUM_FRAMES - 3) / RATE)
    report = swapper.swap_video(face_clip, tmp_path / output, identity, video=video)
    assert (report.faces_swapped, report.frames_without_face) == (0, 3)
    assert any("No face was swapped" in notice for notice in report.notices)
    told = verify(tmp_path / output)
    assert (told.label, told.credentials) == (None, None)


def test_frames_whose_faces_were_not_chosen_make_no_mark(
    swapper, face_clip, identity, grace_hopper, tmp_path
):
    other = Assignment(identity, reference=swapper.identity_of(grace_hopper))
    video = replace(SHORT_SEGMENTS, end=3 / RATE)
    report = swapper.swap_video(face_clip, tmp_path / "out.mp4", [other], video=video)
    assert report.faces_swapped == 0
    assert verify(tmp_path / "out.mp4").verdict == "unmarked"
