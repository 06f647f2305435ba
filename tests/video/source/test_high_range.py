"""HDR videos: what is read and written is what a display of standard range shows."""

from fractions import Fraction

import av
import numpy as np
import pytest

from simswap.media.colours.high_range import HLG, PQ, bring_back, to_standard_range
from simswap.video.source.picture.colour import Colour
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


def some_picture(transfer: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    brightest = SIGNALS[transfer][1000] * 0.9
    return (rng.uniform(0.1, brightest, (80, 50, 3)) * 65535).astype(np.uint16)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_what_is_not_changed_in_standard_range_stays_to_the_bit(transfer):
    original = some_picture(transfer)
    changed = to_standard_range(original, transfer)
    changed[20:30, 10:40] //= 2
    result = original.copy()
    bring_back(result, changed, transfer)
    result[20:30, 10:40] = original[20:30, 10:40]
    assert np.array_equal(result, original)


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_what_is_changed_in_standard_range_is_seen_there_again(transfer):
    result = np.full((80, 50, 3), round(0.5 * 65535), np.uint16)
    changed = to_standard_range(result, transfer)
    changed[10:70] = np.linspace(20, 240, 60)[:, None, None]
    changed[10:70, 25:, 1] -= 15  # a colour
    bring_back(result, changed, transfer)
    error = to_standard_range(result, transfer).astype(int) - changed
    assert np.abs(error).max() <= 2


@pytest.mark.parametrize("transfer", [PQ, HLG])
def test_small_differences_near_white_stay_small(transfer):
    result = np.full((4, 4, 3), round(SIGNALS[transfer][1000] * 65535), np.uint16)
    before = int(result.max())
    changed = to_standard_range(result, transfer) - np.uint8(1)
    bring_back(result, changed, transfer)
    assert 0 < before - int(result.max()) <= 0.021 * 65535


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
    wanted = shown(112 / 255, transfer)
    assert np.abs(decoded(source)[0].mean((0, 1)) - wanted).max() < 4
    told = rewrite(source, tmp_path / "out.mp4")
    assert any("HDR becomes standard" in notice for notice in told)
    with av.open(str(tmp_path / "out.mp4")) as container:
        frame = next(container.decode(video=0))
    assert (frame.color_trc, frame.color_primaries, frame.colorspace) == (1, 1, 1)
    assert np.abs(decoded(tmp_path / "out.mp4")[0].mean((0, 1)) - wanted).max() < 4


def test_hdr_that_does_not_tell_its_matrix_is_of_bt_2020():
    assert Colour(transfer=PQ).matrix(240) == Colour(space=9).matrix(240) != Colour().matrix(240)
