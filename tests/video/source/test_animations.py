"""Animated WebP and PNG files as videos."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap.errors import MediaError
from simswap.media import decoding
from simswap.video.source.info import VideoInfo
from simswap.video.source.limits import VideoLimits
from simswap.video.source.looking import look_through
from simswap.video.source.reading import read_frames
from simswap.video.source.structure.kinds import check_is_no_photo
from tests.support.media.animations import DELAYS, make_animation
from tests.support.media.video_files import decoded, number_of

KINDS = ["in.webp", "in.png"]


def look_at(path: Path) -> VideoInfo:
    return look_through(path, VideoLimits())


@pytest.mark.parametrize("name", [*KINDS, "in.gif"])
def test_pictures_and_their_times_are_those_of_the_file(tmp_path, name):
    path = make_animation(tmp_path / name)
    info = look_at(path)
    assert [number_of(frame) for frame in decoded(path)] == list(range(8))
    assert [number_of(frame) for frame in read_frames(info, 3, 6)] == [3, 4, 5]
    times = [info.seconds(number) for number in range(9)]
    assert np.diff(times).round(4).tolist() == [delay / 1000 for delay in DELAYS]


@pytest.mark.parametrize("name", KINDS)
def test_pictures_of_no_time_are_shown_as_browsers_do(tmp_path, name):
    path = make_animation(tmp_path / name, delays=(0, 10, 40))
    assert look_at(path).duration == pytest.approx(0.24)


@pytest.mark.parametrize("name", KINDS)
def test_photos_are_still_no_videos(tmp_path, name):
    Image.new("RGB", (64, 64)).save(tmp_path / name)
    with pytest.raises(MediaError, match="is not a video that can be read, but a photo"):
        check_is_no_photo(tmp_path / name)


def test_the_still_picture_of_an_apng_is_not_part_of_it(tmp_path):
    make_animation(tmp_path / "in.png", default_image=True, delays=DELAYS)
    assert [number_of(frame) for frame in decoded(tmp_path / "in.png")] == list(range(1, 8))


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "limits",
    [
        VideoLimits(max_decoded=8 * 96 * 64 - 1),
        VideoLimits(max_reach=4 * 8 * 96 * 64 - 1),
        VideoLimits(max_pixels=96 * 64 - 1),
    ],
    ids=["all", "those before the last", "one"],
)
def test_too_many_pixels_are_refused_before_any_is_decoded(tmp_path, monkeypatch, name, limits):
    path = make_animation(tmp_path / name)
    monkeypatch.delattr(decoding, "_to_photo")
    with pytest.raises(MediaError, match="8 pictures of 96x64 pixels"):
        look_through(path, limits)


@pytest.mark.parametrize("name", KINDS)
def test_more_pictures_than_frames_are_taken_are_refused(tmp_path, name):
    with pytest.raises(MediaError, match="more than 7 frames"):
        look_through(make_animation(tmp_path / name), VideoLimits(max_frames=7))


def test_a_picture_that_is_damaged_shows_the_one_before(tmp_path):
    path = make_animation(tmp_path / "in.png")
    data = bytearray(path.read_bytes())
    place = data.rindex(b"fdAT") + 20
    data[place : place + 8] = bytes(8)
    path.write_bytes(data)
    info = look_at(path)
    reader = read_frames(info, 0, 8)
    assert [number_of(frame) for frame in reader] == [*range(7), 6]
    assert reader.num_repeated == 1


def test_transparency_of_an_animation_is_told(tmp_path):
    clear = [Image.new("RGBA", (64, 64), (red, 0, 0, 90)) for red in (0, 200)]
    clear[0].save(tmp_path / "in.webp", save_all=True, append_images=clear[1:], duration=50)
    assert look_at(tmp_path / "in.webp").notices == ("Transparency is dropped.",)
