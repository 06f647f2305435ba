"""A job's memory does not grow with its video."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from simswap.video import job
from simswap.video.source.reading import read_frames
from tests.support.media.face_videos import NUM_FRAMES, SHORT_SEGMENTS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def swapper(quick_swapper):
    return quick_swapper


@pytest.mark.parametrize("every", [1, 3])
def test_few_frames_live_however_long_the_video(
    swapper, face_clip, identity, tmp_path, monkeypatch, every
):
    live, most = weakref.WeakSet(), []

    class Counted(np.ndarray):
        __hash__ = object.__hash__
        __eq__ = object.__eq__

    class Counting:
        num_repeated = 0

        def __init__(self, info, first, end) -> None:
            self._reader = read_frames(info, first, end)

        def __iter__(self):
            for frame in self._reader:
                counted = frame.view(Counted)
                del frame
                live.add(counted)
                most.append(len(live))
                yield counted
                del counted

    monkeypatch.setattr("simswap.video.job.read_frames", Counting)
    monkeypatch.setattr("simswap.video.job.workers_for", lambda device: 2)
    gc.collect()
    video = replace(SHORT_SEGMENTS, segment_frames=1000, detect_every=every)
    swapper.swap_video(face_clip, tmp_path / "out.mp4", identity, video=video)
    assert len(most) == NUM_FRAMES
    assert max(most) <= 8 + 6 * every


def test_after_each_segment_freed_memory_goes_back_to_the_system(
    swapper, face_clip, identity, tmp_path, monkeypatch
):
    segments = set()
    monkeypatch.setattr(job, "hand_back", lambda: segments.update(tmp_path.rglob("segment-*.json")))
    swapper.swap_video(face_clip, tmp_path / "out.mp4", identity, video=SHORT_SEGMENTS)
    assert len(segments) == -(-NUM_FRAMES // SHORT_SEGMENTS.segment_frames)
