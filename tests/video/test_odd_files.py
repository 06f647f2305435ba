"""Odd and broken files through the whole way: decode, detect, encode, join, sign."""

from fractions import Fraction

import numpy as np
import pytest

from simswap import MediaError, VideoOptions
from simswap.video.source.info import probe_video
from tests.support.media.video_files import frame_seconds, make_video, sound_packets
from tests.video.source.test_info import BAD_FILES

pytestmark = pytest.mark.slow

QUICK = VideoOptions(preset="ultrafast", detect_every=10)
PHONE = {"time_base": Fraction(1, 600), "times": [n * n for n in range(12)]}
ODD = {
    "mute": {"sound": None},
    "one frame": {"num_frames": 1},
    "23.976 fps": {"time_base": Fraction(1001, 24000)},
    "phone, 90": {**PHONE, "rotation": 90},
    "phone, 180": {**PHONE, "rotation": 180},
    "phone, 270": {**PHONE, "rotation": 270},
    "10 bits": {"codec": "libx265", "pix_fmt": "yuv420p10le"},
    "interlaced": {"interlaced": True},
    "odd size": {"size": (97, 65), "pix_fmt": "yuv444p"},
    "8K": {"size": (8192, 4608), "num_frames": 1, "options": {"preset": "ultrafast"}},
}


@pytest.fixture(scope="module")
def swapper(quick_swapper):
    """What becomes of frames before and after their swap is alike for all networks."""
    return quick_swapper


@pytest.mark.parametrize("name", ODD)
def test_an_odd_video_is_swapped_with_all_its_frames_and_sound(tmp_path, swapper, identity, name):
    path = make_video(tmp_path / "in.mp4", **({"num_frames": 12} | ODD[name]))
    output = tmp_path / "out.mp4"
    report = swapper.swap_video(path, output, identity, video=QUICK)
    before = frame_seconds(path)
    np.testing.assert_allclose(frame_seconds(output), before, atol=1e-3)
    assert report.frames == len(before)
    assert [data for _, data in sound_packets(output)] == [data for _, data in sound_packets(path)]
    shown, written = probe_video(path), probe_video(output)
    even = (shown.width + shown.width % 2, shown.height + shown.height % 2)
    assert ((written.width, written.height), written.rotation) == (even, 0)


def test_a_video_cut_off_in_its_middle_is_swapped_as_far_as_it_goes(tmp_path, swapper, identity):
    whole = make_video(tmp_path / "whole.ts", num_frames=30, options={"g": "5"})
    data = whole.read_bytes()
    (tmp_path / "cut.ts").write_bytes(data[: len(data) * 2 // 3])
    report = swapper.swap_video(tmp_path / "cut.ts", tmp_path / "out.mp4", identity, video=QUICK)
    assert 1 <= report.frames < 30
    assert len(frame_seconds(tmp_path / "out.mp4")) == report.frames


@pytest.mark.parametrize("name", BAD_FILES)
def test_what_is_no_video_is_told_and_nothing_is_written(tmp_path, swapper, identity, name):
    make, message = BAD_FILES[name]
    make(tmp_path / name)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(MediaError, match=message):
        swapper.swap_video(tmp_path / name, tmp_path / "out.mp4", identity, video=QUICK)
    assert sorted(tmp_path.iterdir()) == before
