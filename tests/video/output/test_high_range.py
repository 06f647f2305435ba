"""HDR videos that stay HDR: their range, depth and metadata, and the swapped faces in them."""

import os
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from simswap import FaceSwapper, VideoOptions
from simswap.media.colours.high_range import HLG, PQ
from simswap.verify.report import look_for_watermark, verify
from simswap.video.output.writing import Encoding
from simswap.video.source.info import probe_video
from simswap.video.source.picture.side_data import Mastering
from simswap.video.source.reading import read_deep_frames
from tests.support.media.video_files import decoded, make_video, rewrite

DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
MASTERED = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 1, 10_000_000)
TOLD = f"log-level=none:pools=1:frame-threads=1:hdr10=1:master-display={DISPLAY}:max-cll=900,300"
DEEP = {"codec": "libx265", "pix_fmt": "yuv420p10le", "num_frames": 4}
KEPT = Encoding(preset="ultrafast", is_high_range=True)


def high_range_video(path: Path, transfer: int = PQ, **changes: object) -> Path:
    return make_video(path, **DEEP | {"colour": (9, 1, 9, transfer)} | changes)


def deep_frames(path: Path) -> list[np.ndarray]:
    return list(read_deep_frames(probe_video(path), 0))


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv"])
def test_mastering_and_light_are_kept(tmp_path, ending):
    source = high_range_video(tmp_path / "in.mp4", options={"x265-params": TOLD})
    assert probe_video(source).colour.mastering == Mastering(MASTERED, (900, 300))
    rewrite(source, tmp_path / f"out.{ending}", replace(KEPT, format=ending))
    info = probe_video(tmp_path / f"out.{ending}")
    assert info.colour == probe_video(source).colour
    assert (info.codec, info.bit_depth) == ("hevc", 10)


@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize("rotation", [0, 90])
def test_what_is_not_swapped_keeps_its_light(tmp_path, transfer, rotation):
    source = high_range_video(tmp_path / "in.mp4", transfer, rotation=rotation)
    rewrite(source, tmp_path / "out.mp4", KEPT, cut=3)
    before, after = (np.array(deep_frames(tmp_path / name)) for name in ("in.mp4", "out.mp4"))
    off = np.abs(before.astype(int) - after) / 65535
    assert before.shape == after.shape
    assert (off.mean(), np.quantile(off, 0.9)) < (0.004, 0.01)


@pytest.mark.parametrize("cut", [1, 2])
def test_segments_too_short_for_x265_to_time_are_written(tmp_path, cut):
    source = probe_video(high_range_video(tmp_path / "in.mp4", num_frames=6))
    for _ in range(8):
        memory = [os.urandom(size) for size in range(1000, 200_000, 1000)]
        del memory  # what it held was taken for the times: half of the tries failed
        rewrite(source, tmp_path / "out.mp4", KEPT, span=(0, 2), cut=cut)
    assert len(deep_frames(tmp_path / "out.mp4")) == 2


def test_the_same_frames_give_the_same_bytes(tmp_path):
    source = high_range_video(tmp_path / "in.mp4", size=(320, 240), num_frames=8)
    for name in ("one.mp4", "two.mp4"):
        rewrite(source, tmp_path / name, KEPT, cut=5)
    assert (tmp_path / "one.mp4").read_bytes() == (tmp_path / "two.mp4").read_bytes()


def test_quicktime_is_given_the_tag_that_it_plays(tmp_path):
    rewrite(high_range_video(tmp_path / "in.mp4"), tmp_path / "out.mp4", KEPT)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


@pytest.mark.parametrize(
    ("output", "options", "is_kept"),
    [
        ("out.mp4", VideoOptions(), True),
        ("out.mkv", VideoOptions(), True),
        ("out.mp4", VideoOptions(keep_hdr=False), False),
        ("out.webm", VideoOptions(), False),
        ("out.gif", VideoOptions(), False),
    ],
)
def test_hdr_stays_where_the_format_can_and_it_is_wanted(tmp_path, output, options, is_kept):
    info = probe_video(high_range_video(tmp_path / "in.mp4"))
    assert options.encoding(Path(output), info).is_high_range == is_kept


def test_hdr_is_not_kept_in_frames_that_its_encoder_cannot_take(tmp_path):
    info = probe_video(high_range_video(tmp_path / "in.mp4"))
    for size, is_kept in (((64, 64), True), ((62, 96), False), ((96, 62), False)):
        small = replace(info, width=size[0], height=size[1])
        assert VideoOptions().encoding(Path("out.mp4"), small).is_high_range == is_kept


def test_a_standard_video_is_written_as_ever(tmp_path):
    info = probe_video(make_video(tmp_path / "in.mp4"))
    assert VideoOptions().encoding(Path("out.mp4"), info) == Encoding()


def test_mastering_that_cannot_be_is_not_passed_on(tmp_path):
    params = TOLD.replace("L(10000000,1)", "L(1,10000000)")
    source = high_range_video(tmp_path / "in.mp4", options={"x265-params": params})
    assert probe_video(source).colour.mastering == Mastering(None, (900, 300))


@pytest.fixture(scope="module")
def swapped(
    swapper: FaceSwapper,
    astronaut: np.ndarray,
    grace_hopper: np.ndarray,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, Path]:
    """An HDR video of a face, and what became of it."""
    face = np.ascontiguousarray(astronaut[:320, 64:384]) // 2 + 20  # not all as bright as can be
    folder = tmp_path_factory.mktemp("hdr")
    picture = {"picture": lambda *_: face, "size": (320, 320), "options": {"crf": "8"}}
    source = high_range_video(folder / "in.mp4", **picture | {"sound": None})
    identity = swapper.identity_of(grace_hopper)
    swapper.swap_video(source, folder / "out.mp4", identity)
    return source, folder / "out.mp4"


def test_a_swap_changes_the_face_alone(swapper, swapped):
    before, after = (deep_frames(path)[0].astype(int) for path in swapped)
    off = np.abs(before - after).mean(axis=2) / 65535
    x0, y0, x1, y1 = swapper.detect(decoded(swapped[0])[0])[0].box.astype(int)
    around = np.ones(off.shape, bool)
    around[max(y0 - 40, 0) : y1 + 40, max(x0 - 40, 0) : x1 + 40] = False
    assert off[y0:y1, x0:x1].mean() > 0.01
    assert off[around].mean() < 0.005


def test_a_swapped_face_looks_as_in_standard_range(swapper, swapped, grace_hopper):
    wanted = swapper.swap_image(decoded(swapped[0])[0], swapper.identity_of(grace_hopper)).image
    shown = decoded(swapped[1])[0]
    assert np.abs(shown.astype(int) - wanted).mean() < 3


def test_all_three_marks_are_read(swapper, swapped):
    report = look_for_watermark(verify(swapped[1]), swapped[1], swapper)
    assert report.credentials.is_intact
    assert report.label.model == swapper.name
    assert report.watermark.is_found
