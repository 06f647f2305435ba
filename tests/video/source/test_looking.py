"""A file is looked through by a process of its own, within bounds of memory and time."""

import signal
from fractions import Fraction

import av
import numpy as np
import pytest

from simswap.errors import CostlyVideoError, MediaError
from simswap.video.metadata_label import read_video_label
from simswap.video.source import info as info_of_files
from simswap.video.source import limits as video_guard
from simswap.video.source import looking
from simswap.video.source.decoding import process
from simswap.video.source.decoding.process import answers_of
from simswap.video.source.info import VideoInfo, probe_video
from simswap.video.source.limits import VideoLimits
from simswap.video.source.looking import look_through
from simswap.video.source.reading import read_frames
from tests.support.media.video_files import make_video


def test_a_file_that_takes_much_memory_is_refused(tmp_path, monkeypatch):
    path = make_video(tmp_path / "film.mp4", sound=None)
    monkeypatch.setattr(video_guard, "_OWN_BYTES", 1_000_000)
    process.end_idle()  # a new one takes a second to start
    with pytest.raises(CostlyVideoError, match="takes too much memory"):
        probe_video(path, VideoLimits(max_pixels=128 * 128, max_tables=1))


def test_a_file_whose_decoder_holds_many_frames_is_refused(tmp_path, monkeypatch):
    options = {"preset": "ultrafast", "x264-params": "ref=16:keyint=99:scenecut=0:bframes=0"}
    given = {"pix_fmt": "yuv444p10le", "options": options, "sound": None, "size": (1920, 1088)}
    black = np.zeros((1088, 1920, 3), np.uint8)
    path = make_video(tmp_path / "film.mp4", num_frames=20, picture=lambda *_: black, **given)
    info = probe_video(path, VideoLimits(max_pixels=2 * 1920 * 1088, max_tables=1))
    with pytest.raises(CostlyVideoError, match="takes too much memory"):
        list(read_frames(info, 0, 20))


def test_a_file_that_takes_long_is_refused(tmp_path):
    path = make_video(tmp_path / "film.mp4", sound=None)
    process.end_idle()
    with pytest.raises(CostlyVideoError, match="takes too much time"):
        probe_video(path, VideoLimits(max_work=0.001))


def test_a_file_is_looked_through_once(tmp_path, monkeypatch):
    path, asked = make_video(tmp_path / "film.mp4", sound=None), []
    monkeypatch.setattr(info_of_files, "answers_of", lambda it: asked.append(it) or answers_of(it))
    infos = [probe_video(path) for _ in range(3)]
    assert len(asked) == 1
    assert infos[0].num_frames == 30


def test_what_is_kept_of_a_file_has_neither_its_name_nor_its_tags(tmp_path):
    make_video(tmp_path / "my-wedding.mp4", sound=None, tags={"title": "Our honeymoon"})
    info = probe_video(tmp_path / "my-wedding.mp4")
    assert info.path == tmp_path / "my-wedding.mp4"
    kept = repr(vars(info_of_files._kept))
    assert "'h264'" in kept
    assert "wedding" not in kept
    assert "honeymoon" not in kept


def test_a_files_tables_are_not_searched_in_this_process(tmp_path, monkeypatch):
    path = make_video(tmp_path / "film.mp4", sound=None)
    monkeypatch.setattr(info_of_files, "check_structure", None)
    assert probe_video(path).num_frames == 30


def test_nothing_of_a_strangers_video_is_opened_or_decoded_in_this_process(tmp_path, monkeypatch):
    path = make_video(tmp_path / "film.mp4", sound=None)
    monkeypatch.setattr(av, "open", None)
    info = probe_video(path)
    assert read_video_label(path) is None
    assert len(list(read_frames(info, 0, 2))) == 2


@pytest.mark.parametrize("recipe", [{}, {"rotation": 90, "time_base": Fraction(1001, 24000)}])
def test_what_another_process_finds_out_is_what_this_one_would(tmp_path, recipe):
    path = make_video(tmp_path / "film.mp4", **recipe)
    assert_same(probe_video(path), look_through(path, VideoLimits()))


def test_how_an_hdr_video_was_mastered_is_found_out_too(shared_data):
    path = shared_data / "cases" / "hdr10_pq.mp4"
    assert_same(probe_video(path), look_through(path, VideoLimits()))


def assert_same(one: VideoInfo, other: VideoInfo) -> None:
    for name, value in vars(one).items():
        assert np.array_equal(value, getattr(other, name)), name
        assert type(value) is type(getattr(other, name))


def test_a_file_that_cannot_be_opened_takes_no_time_from_the_next(tmp_path, monkeypatch):
    monkeypatch.setattr(looking, "OPENING_SECONDS", 0.3)
    (tmp_path / "junk.mp4").write_bytes(b"hello " * 50)
    with pytest.raises(MediaError):
        looking.read_tags(tmp_path / "junk.mp4", VideoLimits())
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
