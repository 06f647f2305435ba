"""Probing: what a video holds, what of it is refused, and how a stretch of it is named."""

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from simswap.errors import MediaError, OptionError
from simswap.video.source.info import VideoLimits, probe_video, trim
from tests.support.media.video_files import make_video

UNEVEN = [0, 20, 41, 60, 100, 101, 140, 200, 220, 300]  # of 600 per second


def test_a_plain_video_is_described(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "plain.mp4"))
    assert (info.width, info.height, info.rotation, info.num_frames) == (96, 64, 0, 30)
    assert (info.codec, info.audio_codec, info.bit_depth) == ("h264", "aac", 8)
    assert info.frame_rate == 30
    assert info.duration == pytest.approx(1.0)
    assert info.notices == ()


def test_2397_frames_per_second_stay_exact(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "film.mp4", time_base=Fraction(1001, 24000)))
    assert info.frame_rate == Fraction(24000, 1001)
    assert [time * info.time_base for time in info.frame_times.tolist()] == [
        Fraction(1001 * number, 24000) for number in range(30)
    ]


def test_uneven_frame_times_are_kept(tmp_path: Path):
    path = make_video(tmp_path / "phone.mp4", time_base=Fraction(1, 600), times=UNEVEN)
    info = probe_video(path)
    assert [time * info.time_base * 600 for time in info.frame_times.tolist()] == UNEVEN


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation_is_told_and_sizes_are_as_shown(tmp_path: Path, degrees: int):
    info = probe_video(make_video(tmp_path / "turned.mp4", rotation=degrees))
    assert info.rotation == degrees
    assert (info.width, info.height) == ((96, 64) if degrees == 180 else (64, 96))


@pytest.mark.parametrize(
    ("changes", "notice"),
    [
        ({"interlaced": True}, "interlaced"),
    ],
)
def test_what_will_change_is_told(tmp_path: Path, changes: dict, notice: str):
    info = probe_video(make_video(tmp_path / "odd.mp4", **changes))
    assert notice in " ".join(info.notices)


def test_a_gif_has_its_own_frame_times(tmp_path: Path):
    times = [0, 10, 15, 40, 45, 60]
    path = tmp_path / "moving.gif"
    make_video(
        path, codec="gif", pix_fmt="rgb8", sound=None, time_base=Fraction(1, 100), times=times
    )
    info = probe_video(path)
    assert (info.frame_times.tolist(), info.time_base) == (times, Fraction(1, 100))


def test_one_frame_is_a_video(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "one.mp4", num_frames=1, sound=None))
    assert (info.num_frames, info.has_audio) == (1, False)
    assert info.duration > 0


@pytest.mark.parametrize(("shown", "width"), [((True, True), 96), ((False, True), 320)])
def test_of_several_films_the_one_that_players_show_is_taken(tmp_path: Path, shown, width):
    sizes = ((96, 64), (320, 240))
    with av.open(str(tmp_path / "two.mp4"), "w") as container:
        films = [container.add_stream("libx264", rate=30) for _ in sizes]
        for film, size, is_shown in zip(films, sizes, shown, strict=True):
            film.width, film.height, film.pix_fmt = *size, "yuv420p"
            film.disposition = av.stream.Disposition.default if is_shown else 0
        for film, (wide, high) in zip(films, sizes, strict=True):
            frame = av.VideoFrame.from_ndarray(np.zeros((high, wide, 3), np.uint8))
            container.mux(film.encode(frame.reformat(format="yuv420p")))
        for film in films:
            container.mux(film.encode())
    info = probe_video(tmp_path / "two.mp4")
    assert (info.width, info.num_films) == (width, 2)


def no_frames(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        container.start_encoding()


def sound_only(path: Path) -> None:
    make_video(path, num_frames=0)


def truncated_without_index(path: Path) -> None:
    path.write_bytes(make_video(path.with_name("whole.mp4")).read_bytes()[:2000])


BAD_FILES = {
    "missing.mp4": (lambda path: None, "missing.mp4 does not exist"),
    "folder.mp4": (lambda path: path.mkdir(), "folder.mp4 is not a file"),
    "empty.mp4": (lambda path: path.touch(), "empty.mp4 is empty"),
    "text.mp4": (lambda path: path.write_text("Dear Sir\n" * 99), "text.mp4 is not a video"),
    "noise.mp4": (
        lambda path: path.write_bytes(np.random.default_rng(1).bytes(5000)),
        "noise.mp4 is not a video",
    ),
    "sound.m4a": (sound_only, "sound.m4a has sound but no pictures"),
    "none.mp4": (no_frames, "none.mp4 "),
    "cut.mp4": (truncated_without_index, "cut.mp4 is not a video that can be read, or it is"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_is_no_video_is_one_clear_error(tmp_path: Path, name: str):
    make, message = BAD_FILES[name]
    make(tmp_path / name)
    with pytest.raises(MediaError, match=message):
        probe_video(tmp_path / name)


def test_a_path_that_cannot_be_is_one_clear_error():
    with pytest.raises(MediaError, match=r"a\?b\.mp4 does not exist"):
        probe_video("a\0b.mp4")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_one_clear_error(tmp_path: Path):
    path = make_video(tmp_path / "locked.mp4")
    path.chmod(0)
    with pytest.raises(MediaError, match="cannot be opened"):
        probe_video(path)


def test_a_playlist_opens_no_other_file(tmp_path: Path):
    make_video(tmp_path / "part.ts")
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\npart.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(MediaError, match="is not a video"):
        probe_video(playlist)


def test_a_name_is_never_taken_for_an_address(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "a.mp4")
    os.rename("a.mp4", "concat:a.mp4")
    assert probe_video("concat:a.mp4").num_frames == 30


def test_a_file_cut_off_in_its_middle_gives_the_frames_it_has(tmp_path: Path):
    whole = make_video(
        tmp_path / "whole.mp4", sound=None, container_options={"movflags": "faststart"}
    )
    data = whole.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) - 400])
    info = probe_video(cut)
    assert 1 <= info.num_frames < 30
    assert "cut off" in info.notices[0]


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (VideoLimits(max_bytes=1000), "MB; at most"),
        (VideoLimits(max_pixels=96 * 64 - 1), "frames of 96x64"),
        (VideoLimits(max_seconds=0.5), "is 1.0 s long; at most 0.5 s"),
    ],
)
def test_limits_are_told_with_the_value(tmp_path: Path, limits: VideoLimits, message: str):
    path = make_video(tmp_path / "large.mp4")
    with pytest.raises(MediaError, match=message):
        probe_video(path, limits)


def test_a_limit_below_zero_is_refused():
    with pytest.raises(OptionError, match="max_seconds is -1"):
        VideoLimits(max_seconds=-1)


@pytest.mark.parametrize(
    ("start", "end", "frames"),
    [
        (None, None, (0, 30)),
        (0, 1, (0, 30)),
        (0.5, None, (15, 30)),
        (0.51, 0.6, (15, 18)),
        (0.0333, 0.0667, (1, 2)),
        (0.99, 5, (29, 30)),
    ],
)
def test_a_stretch_is_named_to_the_frame(tmp_path: Path, start, end, frames):
    assert trim(probe_video(make_video(tmp_path / "plain.mp4")), start, end) == frames


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (1.0, None, "start is 1 s, but the video ends at 1.000 s"),
        (-1, None, "start is -1"),
        (0.5, 0.5, r"end \(0.5 s\) is not after start"),
        (float("nan"), None, "start is nan"),
        (None, float("inf"), "end is inf"),
    ],
)
def test_a_stretch_without_frames_is_refused(tmp_path: Path, start, end, message: str):
    info = probe_video(make_video(tmp_path / "plain.mp4"))
    with pytest.raises(OptionError, match=message):
        trim(info, start, end)


@pytest.mark.slow
def test_more_than_8k_is_refused_before_decoding(tmp_path: Path):
    quick = {"preset": "ultrafast"}
    path = make_video(
        tmp_path / "more.mp4", size=(8192, 4640), num_frames=1, sound=None, options=quick
    )
    with pytest.raises(MediaError, match="8192x4640"):
        probe_video(path)
