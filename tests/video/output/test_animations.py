"""GIF and animated WebP out: what they keep of a video, what they lose, what they say."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from simswap import OptionError
from simswap.verify.report import verify
from simswap.video.output import animation
from simswap.video.output.animation import check_result
from simswap.video.output.writing import Encoding
from simswap.video.source.limits import VideoLimits
from simswap.video.source.looking import look_through
from tests.support.media.animations import make_animation
from tests.support.media.face_videos import RATE, SHORT_SEGMENTS
from tests.support.media.video_files import decoded, make_video, number_of, rewrite


def delays_of(path: Path) -> list[float]:
    """Seconds for which each frame of a file is shown."""
    info = look_through(path, VideoLimits())
    times = [info.seconds(number) for number in range(info.num_frames + 1)]
    return np.diff(times).round(3).tolist()


PLAYED = [
    *(("in.gif", "out.gif", 1), ("in.gif", "out.webp", 3), ("in.webp", "out.gif", 3)),
    *(("in.webp", "out.webp", 1), ("in.png", "out.gif", 1), ("in.png", "out.webp", 0)),
]


@pytest.mark.parametrize(("source", "output", "num_plays"), PLAYED)
def test_an_animation_is_played_as_often_as_its_source(tmp_path, source, output, num_plays):
    path = make_animation(tmp_path / source, num_plays=num_plays)
    rewrite(path, tmp_path / output, Encoding(output.rpartition(".")[2]))
    assert look_through(tmp_path / output, VideoLimits()).num_plays == num_plays


@pytest.mark.parametrize("format", ["gif", "webp"])
def test_a_film_becomes_an_animation_without_end_and_its_sound_is_told(tmp_path, format):
    path = make_video(tmp_path / "in.mp4", num_frames=4, time_base=Fraction(1, 25))
    notices = rewrite(path, tmp_path / f"out.{format}", Encoding(format))
    assert "no sound: the sound (aac) is left out." in notices[0]
    assert look_through(tmp_path / f"out.{format}", VideoLimits()).num_plays == 0
    assert delays_of(tmp_path / f"out.{format}") == [0.04] * 4


def test_frames_too_short_for_a_gif_are_left_out_and_told(tmp_path):
    path = make_video(tmp_path / "in.mp4", num_frames=12, time_base=Fraction(1, 100), sound=None)
    notices = rewrite(path, tmp_path / "out.gif", Encoding("gif"))
    assert notices[-1].startswith("6 frames are left out: browsers show none of a GIF for less")
    assert [number_of(frame) for frame in decoded(tmp_path / "out.gif")] == list(range(0, 12, 2))
    assert delays_of(tmp_path / "out.gif") == [0.02] * 6


def test_an_animation_of_too_many_pixels_is_refused_before_the_work(tmp_path, monkeypatch):
    info = look_through(make_animation(tmp_path / "in.webp"), VideoLimits())
    monkeypatch.setattr(animation, "MAX_PIXELS", info.width * info.height * 7)
    check_result(info, 1, 8, Encoding("gif"))
    check_result(info, 0, 8, Encoding("mp4"))
    with pytest.raises(OptionError, match=r"8 frames of 96x64 .* or write a \.mp4"):
        check_result(info, 0, 8, Encoding("gif"))


def test_a_quality_of_films_is_refused_for_an_animation():
    with pytest.raises(OptionError, match=r"a \.gif has none"):
        Encoding("gif", crf=18)


@pytest.mark.slow
@pytest.mark.parametrize("output", ["out.gif", "out.webp"])
def test_a_swapped_animation_is_labelled_and_signed(swapper, face_clip, identity, tmp_path, output):
    video = replace(SHORT_SEGMENTS, end=2 / RATE)
    report = swapper.swap_video(face_clip, tmp_path / output, identity, video=video)
    assert report.faces_swapped == 2
    told = verify(tmp_path / output)
    assert told.label.model == swapper.name
    assert told.credentials.is_intact
