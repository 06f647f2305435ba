"""Packets that are decoded to get at a frame: as many as a caller waits for."""

from types import SimpleNamespace

import pytest

from simswap.errors import MediaError
from simswap.video.source import packets as bounds
from simswap.video.source.decoding.frame_reader import FrameReader
from simswap.video.source.info import probe_video
from simswap.video.source.limits import VideoLimits
from simswap.video.source.reading import read_frames
from tests.support.media.video_files import make_video


def test_frames_before_a_wanted_one_take_no_longer_than_a_caller_waits(tmp_path, monkeypatch):
    path = make_video(tmp_path / "far.mp4", num_frames=60, options={"g": "1000"}, sound=None)
    info = probe_video(path, VideoLimits(max_reach=10**9))
    assert len(list(read_frames(info, 59, 60))) == 1
    monkeypatch.setattr(bounds, "PATIENCE", 0.0)
    with pytest.raises(MediaError, match="too many frames lie behind the last key frame"):
        list(FrameReader(info, 59, 60))


def test_a_caller_may_take_its_time_between_the_frames_of_a_video(tmp_path, monkeypatch):
    path = make_video(tmp_path / "clip.mp4", num_frames=8, sound=None)
    frames = FrameReader(probe_video(path, VideoLimits(max_reach=10**9)), 0, 8)
    next(frames)
    monkeypatch.setattr(bounds, "time", SimpleNamespace(monotonic=lambda: float("inf")))
    assert len(list(frames)) == 7
