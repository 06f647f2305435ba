"""HDR videos: what is read and written is what a display of standard range shows."""

from fractions import Fraction

import av
import numpy as np
import pytest

from simswap.video.source.info import probe_video
from simswap.video.source.picture.tone_mapping import HLG, PQ, to_standard_range
from tests.support.media.video_files import decoded, make_video, rewrite

# Signals (0 to 1) of light in cd/m2 by BT.2100's formulas, computed elsewhere.
SIGNALS = {PQ: {0: 0.0, 50: 0.4404, 100: 0.5081, 1000: 0.7518}, HLG: {0: 0.0, 1000: 1.0}}


def shown(signal: float, transfer: int) -> np.ndarray:
    pixels = np.full((2, 2, 3), round(signal * 65535), np.uint16)
    return to_standard_range(pixels, transfer)[0, 0].astype(int)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_black_is_black_and_the_brightest_is_white(transfer):
    assert shown(SIGNALS[transfer][0], transfer).max() == 0
    assert shown(SIGNALS[transfer][1000], transfer).min() >= 254


@pytest.mark.parametrize("light", [50, 100])
def test_middle_tones_keep_their_light(light):
    wanted = 255 * (light / 203) ** (1 / 2.4)
    assert np.abs(shown(SIGNALS[PQ][light], PQ) - wanted).max() < 12


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_greys_stay_grey_and_in_order(transfer):
    values = np.array([shown(signal, transfer) for signal in np.linspace(0, 1, 40)])
    assert np.ptp(values, axis=1).max() <= 1
    assert (np.diff(values[:, 0]) >= 0).all()


def test_colours_of_the_wider_space_are_brought_in():
    red = np.zeros((1, 1, 3), np.uint16)
    red[..., 0] = round(SIGNALS[PQ][100] * 65535)
    red = to_standard_range(red, PQ)[0, 0].astype(int)
    assert red[0] > 180
    assert red[1:].max() < 10


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_a_video_is_told_read_and_written_in_standard_range(tmp_path, transfer):
    recipe = {
        "codec": "libx265",
        "pix_fmt": "yuv420p10le",
        "colour": (9, 1, 9, transfer),
        "picture": lambda number, width, height: np.full((height, width, 3), 112, np.uint8),
        "num_frames": 4,
        "time_base": Fraction(1, 30),
    }
    source = make_video(tmp_path / "in.mp4", **recipe)
    assert any("HDR becomes standard" in notice for notice in probe_video(source).notices)
    wanted = shown(112 / 255, transfer)
    assert np.abs(decoded(source)[0].mean((0, 1)) - wanted).max() < 4
    rewrite(source, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.color_trc, frame.color_primaries, frame.colorspace) == (1, 1, 1)
    assert np.abs(decoded(tmp_path / "out.mp4")[0].mean((0, 1)) - wanted).max() < 4
