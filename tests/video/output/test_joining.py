"""Writing and joining: times, sound, colours and bytes of the file that people get."""

import os
import subprocess
import sys
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from simswap.errors import MediaError, OptionError
from simswap.video.output.joining import join_segments
from simswap.video.output.writing import Encoding, SegmentWriter
from simswap.video.source.info import probe_video
from simswap.video.source.reading import read_frames
from tests.support.examples import ROOT
from tests.support.media.video_files import (
    decoded,
    make_video,
    number_of,
    numbered_frame,
    rewrite,
)

pytestmark = pytest.mark.slow

WEBM = Encoding("webm", preset="ultrafast")


def test_rotated_videos_come_out_upright_without_a_flag(tmp_path: Path):
    rewrite(make_video(tmp_path / "phone.mp4", rotation=90), tmp_path / "out.mp4")
    info = probe_video(tmp_path / "out.mp4")
    assert (info.rotation, info.width, info.height) == (0, 64, 96)
    image = decoded(tmp_path / "out.mp4")[7]
    assert np.abs(image - np.rot90(numbered_frame(7)).astype(float)).mean() < 6


def raw_means(path: Path) -> np.ndarray:
    """Mean stored values of the three planes of the second frame; no conversion comes between."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
        planes = frames[1].to_ndarray()
        height = frames[1].height
    return np.array([planes[:height].mean(), *planes[height:].reshape(2, -1).mean(axis=1)])


@pytest.mark.parametrize("encoding", [Encoding(), WEBM], ids=lambda encoding: encoding.format)
@pytest.mark.parametrize(
    "colour", [(6, 1, 6, 6), (6, 2, 6, 6), (1, 1, 1, 1), (1, 2, 1, 1), (9, 1, 9, 14), None]
)
def test_colours_and_their_tags_are_kept(tmp_path: Path, colour, encoding: Encoding):
    path = make_video(tmp_path / "in.mp4", colour=colour, num_frames=5)
    output = tmp_path / f"out.{encoding.format}"
    rewrite(path, output, encoding)
    before, after = probe_video(path).colour, probe_video(output).colour
    assert (before.space, before.range_used) == (after.space, after.range_used)
    if encoding.format == "mp4":
        assert (before.primaries, before.transfer) == (after.primaries, after.transfer)
    assert np.abs(raw_means(path) - raw_means(output)).max() < 1


@pytest.mark.parametrize(("encoding", "size"), [(Encoding(), (98, 66)), (WEBM, (97, 65))])
def test_odd_sizes_are_made_even_where_the_format_needs_it(tmp_path: Path, encoding, size):
    path = make_video(tmp_path / "odd.mp4", size=(97, 65), pix_fmt="yuv444p", sound=None)
    output = tmp_path / f"out.{encoding.format}"
    notices = rewrite(path, output, encoding)
    info = probe_video(output)
    assert (info.width, info.height) == size
    assert [number_of(frame[:65, :97]) for frame in decoded(output)] == list(range(30))
    assert any("97x65" in notice for notice in notices) == (size != (97, 65))


@pytest.mark.parametrize("encoding", [Encoding(), WEBM], ids=lambda encoding: encoding.format)
def test_the_same_input_gives_the_same_bytes(tmp_path: Path, encoding: Encoding):
    path = make_video(tmp_path / "in.mp4")
    outputs = [tmp_path / f"{name}.{encoding.format}" for name in ("one", "two")]
    for output in outputs:
        rewrite(path, output, encoding, metadata={"comment": "marked"})
    assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_the_index_stands_before_the_pictures(tmp_path: Path):
    rewrite(make_video(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_pixels_that_are_not_square_stay_so(tmp_path: Path):
    path = make_video(tmp_path / "wide.mp4", aspect=Fraction(4, 3))
    rewrite(path, tmp_path / "out.mp4")
    assert probe_video(tmp_path / "out.mp4").sample_aspect == Fraction(4, 3)


def test_tags_of_the_source_are_not_taken_over(tmp_path: Path):
    path = make_video(tmp_path / "in.mp4")
    with av.open(str(path)) as source, av.open(str(tmp_path / "place.mp4"), "w") as copy:
        copy.metadata["location"] = "+48.8584+002.2945/"
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    rewrite(tmp_path / "place.mp4", tmp_path / "out.mp4", metadata={"comment": "marked"})
    assert b"+48.8584" not in (tmp_path / "out.mp4").read_bytes()
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.metadata["comment"] == "marked"


LIMITED = """
import resource, sys
from pathlib import Path
sys.path[:0] = [{root!r}]
from tests.support.media.video_files import rewrite
from simswap.errors import MediaError
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))
try:
    rewrite(Path({source!r}), Path({output!r}))
except MediaError as error:
    sys.exit(f"told: {{error}}")
"""


@pytest.mark.parametrize("limit", [3000, 20_000])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, limit: int):
    source = make_video(tmp_path / "in.mp4", num_frames=60, sound=2.0)
    (tmp_path / "result").mkdir()
    script = LIMITED.format(
        root=str(ROOT),
        limit=limit,
        source=str(source),
        output=str(tmp_path / "result" / "out.mp4"),
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        # Modules compiled under the limit would be cut off, unnoticed, for all later runs.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "told: " in done.stderr
    assert "could not be written" in done.stderr
    names = {path.name for path in (tmp_path / "result").iterdir()}
    assert not {name for name in names if name.endswith(".part") or name == "out.mp4"}


def test_an_interrupted_segment_leaves_no_file(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "in.mp4"))
    segment = tmp_path / "job" / "segment.nut"
    segment.parent.mkdir()
    with suppress(KeyboardInterrupt), SegmentWriter(segment, info, Encoding(), 0) as writer:
        writer.write(numbered_frame(0))
        raise KeyboardInterrupt
    assert list(segment.parent.iterdir()) == []


def test_a_segment_has_no_name_before_it_is_whole(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "in.mp4"))
    segment = tmp_path / "segment.nut"
    with SegmentWriter(segment, info, Encoding(), 0) as writer:
        writer.write(numbered_frame(0))
        assert not segment.exists()
    assert segment.exists()


def test_segments_that_do_not_fit_are_refused(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "in.mp4"))
    segment = tmp_path / "segment.nut"
    with SegmentWriter(segment, info, Encoding(), 0) as writer:
        for image in read_frames(info, 0, 10):
            writer.write(image)
    with pytest.raises(MediaError, match="hold 10 frames instead of 30"):
        join_segments([segment], info, 0, 30, Encoding(), tmp_path / "out.mp4", metadata={})
    assert not (tmp_path / "out.mp4").exists()


def test_segments_of_different_settings_are_refused(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "in.mp4"))
    segments = []
    for first, preset in ((0, "ultrafast"), (15, "medium")):
        segments.append(tmp_path / f"{preset}.nut")
        with SegmentWriter(segments[-1], info, Encoding(preset=preset), first) as writer:
            for image in read_frames(info, first, first + 15):
                writer.write(image)
    with pytest.raises(MediaError, match="different settings"):
        join_segments(segments, info, 0, 30, Encoding(), tmp_path / "out.mp4", metadata={})


def test_segments_of_one_frame_are_joined_as_well(tmp_path: Path):
    rewrite(make_video(tmp_path / "in.mp4", num_frames=13), tmp_path / "out.mp4", cut=4)
    assert [number_of(frame) for frame in decoded(tmp_path / "out.mp4")] == list(range(13))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "in.mp4"))
    with pytest.raises(MediaError, match=r"segment\.nut could not be written"):
        SegmentWriter(tmp_path / "nowhere" / "segment.nut", info, Encoding(), 0)


def test_a_frame_of_another_size_is_a_programming_error(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "in.mp4"))
    with (
        pytest.raises(ValueError, match=r"\(64, 96, 3\)"),
        SegmentWriter(tmp_path / "segment.nut", info, Encoding(), 0) as writer,
    ):
        writer.write(np.zeros((10, 10, 3), np.uint8))


@pytest.mark.parametrize(
    ("format", "told"), [("mp4", "rc-lookahead=2:sync-lookahead=0"), ("webm", "2")]
)
def test_an_encoder_looks_few_large_frames_ahead(format: str, told: str):
    name = "x264-params" if format == "mp4" else "lag-in-frames"
    assert told in Encoding(format).options(3840, 2160)[name]


@pytest.mark.parametrize("format", ["mp4", "webm"])
def test_frames_up_to_full_hd_are_encoded_as_their_preset_says(format: str):
    assert "lookahead" not in (options := Encoding(format).options(1920, 1080)).get(
        "x264-params", ""
    )
    assert "lag-in-frames" not in options


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format": "avi"}, 'format is "avi"; choose one of mp4, mov, mkv, webm'),
        ({"preset": "hasty"}, 'preset is "hasty"'),
        ({"crf": 52}, "crf is 52; give a number from 0"),
        ({"crf": -1}, "crf is -1"),
    ],
)
def test_an_encoding_that_cannot_be_is_refused(values: dict, message: str):
    with pytest.raises(OptionError, match=message):
        Encoding(**values)
