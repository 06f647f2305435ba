"""Decoding: exactly the frames asked for, upright, in the right colours, from any file."""

from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from simswap.errors import MediaError
from simswap.video.source.info import probe_video
from simswap.video.source.limits import VideoLimits
from simswap.video.source.looking import look_through
from simswap.video.source.reading import read_frames
from tests.support.hostile.hostile_videos import growing_frames
from tests.support.media.video_files import (
    decoded,
    growing,
    make_video,
    number_of,
    numbered_frame,
)

QUICK_VP9 = {"deadline": "realtime", "cpu-used": "8"}
SHORT_GROUPS = "log-level=none:pools=1:keyint=10:min-keyint=10:open-gop=1:bframes=4"
KINDS = {
    "h264.mp4": {"options": {"g": "10"}},
    "hevc.mp4": {"codec": "libx265"},
    "open-groups.mp4": {"codec": "libx265", "options": {"x265-params": SHORT_GROUPS}},
    "10-bit.mp4": {"codec": "libx265", "pix_fmt": "yuv420p10le"},
    "vp9.webm": {"codec": "libvpx-vp9", "options": QUICK_VP9, "sound_codec": "libopus"},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "11", "svtav1-params": "lp=1"}},
    "mpeg4.mp4": {"codec": "mpeg4", "options": {"q": "2"}},
    "mpeg4.avi": {"codec": "mpeg4", "options": {"q": "2", "bf": "2"}, "sound_codec": "mp3"},
    "h264.avi": {"options": {"g": "10"}, "sound_codec": "mp3"},
    "flash.flv": {"options": {"g": "10"}},
    "moving.gif": {"codec": "gif", "pix_fmt": "rgb8", "sound": None, "time_base": Fraction(1, 20)},
    "broadcast.ts": {"options": {"g": "10"}},
    "h264.mkv": {"options": {"g": "10"}},
    "odd.mp4": {"size": (97, 65), "pix_fmt": "yuv444p"},
    "interlaced.mp4": {"interlaced": True},
    "uneven.mp4": {"time_base": Fraction(1, 600), "times": [n * n for n in range(30)]},
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_gives_each_frame_once(tmp_path: Path, name: str):
    frames = decoded(make_video(tmp_path / name, **KINDS[name]))
    assert [number_of(frame) for frame in frames] == list(range(30))


@pytest.mark.parametrize("name", KINDS)
def test_a_frame_does_not_depend_on_where_reading_began(tmp_path: Path, name: str):
    info = probe_video(make_video(tmp_path / name, **KINDS[name]))
    whole = list(read_frames(info, 0, 30))
    for first, end in ((0, 1), (7, 19), (10, 11), (19, 30), (29, 30)):
        part = list(read_frames(info, first, end))
        assert np.array_equal(part, whole[first:end])


TURNS = [(0, -1, 1, 0), (-1, 0, 0, -1), (0, 1, -1, 0)]
MIRRORS = [(-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)]


@pytest.mark.parametrize("matrix", [*TURNS, *MIRRORS])
def test_frames_are_shown_as_the_display_matrix_says(tmp_path: Path, matrix: tuple[int, ...]):
    path = make_video(tmp_path / "turned.mp4", matrix=matrix, num_frames=3, options={"crf": "4"})
    for number, frame in enumerate(decoded(path)):
        # 4:2:0 blurs colours at the bars' edges; the picture as a whole stays.
        difference = np.abs(frame - shown(numbered_frame(number), matrix).astype(float))
        assert difference.mean() < 4


def shown(image: np.ndarray, matrix: tuple[int, ...]) -> np.ndarray:
    """An image whose point (x, y) is moved to (a x + c y, b x + d y), pixel by pixel."""
    height, width = image.shape[:2]
    a, b, c, d = matrix
    size = (height, width) if a else (width, height)
    rows, columns = np.mgrid[:height, :width]
    across, down = a * columns + c * rows, b * columns + d * rows
    moved = np.empty((*size, 3), np.uint8)
    moved[down - down.min(), across - across.min()] = image
    return moved


def test_frames_cut_off_by_an_edit_list_are_not_read(tmp_path: Path):
    """Phones trim so: the packets stay, and a list says from where on to show them."""
    path = make_video(tmp_path / "whole.mp4", sound=None, options={"bf": "0"})
    with av.open(str(path)) as source, av.open(str(tmp_path / "cut.mp4"), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                packet.pts = packet.dts = packet.pts - 10 * packet.duration
                copy.mux(packet)
    info = probe_video(tmp_path / "cut.mp4")
    assert [number_of(frame) for frame in decoded(tmp_path / "cut.mp4")] == list(range(10, 30))
    assert [number_of(frame) for frame in read_frames(info, 5, 8)] == [15, 16, 17]


WEIGHTS = {"601": (0.299, 0.114), "709": (0.2126, 0.0722)}  # of red and blue


def flat_video(path: Path, colour: tuple[int, int, int], matrix: str, is_full: bool) -> None:
    """A video of one colour, computed here by the standard's own formula."""
    red, green, blue = (value / 255 for value in colour)
    weight_red, weight_blue = WEIGHTS[matrix]
    luma = weight_red * red + (1 - weight_red - weight_blue) * green + weight_blue * blue
    chroma = ((blue - luma) / (2 - 2 * weight_blue), (red - luma) / (2 - 2 * weight_red))
    black, scales = (0, (255, 255)) if is_full else (16, (219, 224))
    values = [black + scales[0] * luma, *(128 + scales[1] * value for value in chroma)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        context = stream.codec_context
        code = {"601": 6, "709": 1}[matrix]
        context.colorspace = context.color_primaries = context.color_trc = code
        context.color_range = 2 if is_full else 1
        planes = np.repeat(np.round(values).astype(np.uint8), [64 * 64, 32 * 32, 32 * 32])
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(planes.reshape(96, 64), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.mark.parametrize("is_full", [False, True], ids=["limited", "full"])
@pytest.mark.parametrize("matrix", WEIGHTS)
@pytest.mark.parametrize("colour", [(200, 60, 40), (40, 180, 90), (255, 255, 255), (0, 0, 0)])
def test_colours_follow_the_matrix_and_range(tmp_path: Path, colour, matrix: str, is_full: bool):
    path = tmp_path / "flat.mp4"
    flat_video(path, colour, matrix, is_full)
    assert np.abs(decoded(path)[1].astype(int) - colour).max() <= 3


def damage(path: Path, first: int, end: int) -> None:
    """Make noise of the bytes of a video's frames first to end - 1."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size][first:end]
        places = [(packet.pos, packet.size) for packet in packets]
    data, noise = bytearray(path.read_bytes()), np.random.default_rng(3)
    for place, size in places:
        data[place : place + size] = noise.bytes(size)
    path.write_bytes(data)


def vp9_video(path: Path) -> Path:
    """With a key frame every fifth frame."""
    return make_video(
        path, codec="libvpx-vp9", sound=None, options={**QUICK_VP9, "g": "5", "lag-in-frames": "0"}
    )


def test_frames_that_cannot_be_decoded_are_repeated_and_counted(tmp_path: Path):
    path = vp9_video(tmp_path / "hurt.mp4")
    damage(path, 12, 14)
    info = probe_video(path)
    reader = read_frames(info, 0, 30)
    frames = list(reader)
    assert len(frames) == 30
    assert reader.num_repeated >= 2
    assert np.array_equal(frames[12], frames[11])
    assert [number_of(frame) for frame in frames[15:]] == list(range(15, 30))


def test_a_stretch_without_one_good_frame_names_its_time(tmp_path: Path):
    path = vp9_video(tmp_path / "hurt.mp4")
    damage(path, 15, 25)
    with pytest.raises(MediaError, match=r"cannot be decoded from 0\.50 s to 0\.83 s"):
        list(read_frames(probe_video(path), 15, 25))


def test_a_file_that_vanishes_is_a_clear_error(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "gone.mp4"))
    info.path.unlink()
    with pytest.raises(MediaError, match=r"gone\.mp4 does not exist"):
        list(read_frames(info, 0, 5))


def test_frames_beyond_the_end_are_a_programming_error(tmp_path: Path):
    info = probe_video(make_video(tmp_path / "short.mp4"))
    with pytest.raises(ValueError, match="no frames 20 to 31"):
        read_frames(info, 20, 31)


def combed(number: int, width: int, height: int) -> np.ndarray:
    """A bar that moves on between the two fields of a frame, which are every second line."""
    image = np.full((height, width, 3), 40, np.uint8)
    left = 12 * number
    image[0::2, left : left + 12] = 220
    image[1::2, left + 6 : left + 18] = 220
    return image


def test_deinterlaced_frames_have_no_combs(tmp_path: Path):
    path = make_video(
        tmp_path / "combs.mp4",
        interlaced=True,
        num_frames=8,
        picture=combed,
        options={"crf": "4"},
    )
    lines = decoded(path)[4][10:54, 49:53, 1].astype(int)
    combs = np.abs(lines[1:-1] * 2 - lines[:-2] - lines[2:]).mean()
    assert combs < 40  # in the file itself: 360


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_frames_that_grow_over_the_limit_are_not_decoded(tmp_path, codec):
    path = growing(tmp_path / "grow.webm", codec, (64, 64, 512, 64))
    info = look_through(path, VideoLimits(max_pixels=128 * 128))
    reader = read_frames(info, 0, info.num_frames)
    assert [frame.shape for frame in reader] == [(64, 64, 3)] * 4
    assert reader.num_repeated >= 1


def test_frames_that_grow_within_the_limit_are_decoded(tmp_path):
    path = growing(tmp_path / "grow.webm", "libvpx", (64, 64, 512, 64))
    info = look_through(path, VideoLimits())
    reader = read_frames(info, 0, info.num_frames)
    assert [frame.shape for frame in reader] == [(64, 64, 3)] * 4
    assert reader.num_repeated == 0


def test_interlaced_frames_that_change_their_size_are_decoded(tmp_path):
    path = growing(tmp_path / "grow.ts", "mpeg2video", (64, 64, 96, 96, 48), interlaced=True)
    info = probe_video(path)
    reader = read_frames(info, 0, info.num_frames)
    assert info.is_interlaced
    assert [frame.shape for frame in reader] == [(64, 64, 3)] * 5
    assert reader.num_repeated <= 2  # its decoder drops a frame at each change


@pytest.mark.parametrize(
    ("kind", "pix_fmt"), [("matroska", "yuv444p10le"), ("mpegts", "yuv422p10le")]
)
def test_decoding_ends_where_frames_get_too_many_bytes_after_the_trial(tmp_path, kind, pix_fmt):
    path = tmp_path / "grow"
    path.write_bytes(growing_frames("libx264", kind, 256, 256, 6, num_small=40, pix_fmt=pix_fmt))
    for max_side, num_repeated in ((256, 6), (512, 0)):
        info = look_through(path, VideoLimits(max_pixels=max_side**2))
        reader = read_frames(info, 0, info.num_frames)
        assert [frame.shape for frame in reader] == [(64, 64, 3)] * 46
        assert reader.num_repeated == num_repeated


def test_a_frame_far_behind_its_key_frame_is_refused_before_it_is_decoded(tmp_path):
    far = make_video(tmp_path / "far.mp4", num_frames=60, options={"g": "1000"}, sound=None)
    near = make_video(tmp_path / "near.mp4", num_frames=60, options={"g": "10"}, sound=None)
    limits = VideoLimits(max_reach=10 * 50_000)  # ten small frames
    for path, number in ((far, 10), (near, 59)):
        assert len(list(read_frames(probe_video(path, limits), number, number + 1))) == 1
    with pytest.raises(MediaError, match=r"far.mp4 at 1\.97 s: too many .*; 10 may, or"):
        list(read_frames(probe_video(far, limits), 59, 60))


def test_frames_that_grow_count_as_large_as_they_are(tmp_path):
    limits = VideoLimits(max_reach=10 * 50_000)
    for side, is_near in ((64, True), (512, False)):
        (tmp_path / "grow.webm").write_bytes(growing_frames("libvpx", "webm", side, side, 40))
        info = probe_video(tmp_path / "grow.webm", limits)
        with nullcontext() if is_near else pytest.raises(MediaError, match="too many frames"):
            list(read_frames(info, 20, 21))


def test_what_is_read_one_after_another_may_be_long(tmp_path):
    path = make_video(tmp_path / "far.mp4", num_frames=60, options={"g": "1000"}, sound=None)
    info = probe_video(path, VideoLimits(max_reach=10 * 50_000))
    assert len(list(read_frames(info, 0, 60))) == 60


def test_a_large_video_of_full_colours_is_told_how_to_become_smaller(tmp_path):
    path = make_video(tmp_path / "full.mp4", pix_fmt="yuv444p10le", sound=None)
    info = look_through(path, VideoLimits())
    with pytest.raises(MediaError, match=r"yuv444p10le.* take too much memory"):
        look_through(path, VideoLimits(max_pixels=info.width * info.height))
