"""Packets that hold more than an encoder puts into one, and those of ordinary files."""

from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from simswap.errors import MediaError
from simswap.video.source import packets as bounds
from simswap.video.source.info import probe_video
from simswap.video.source.limits import VideoLimits
from simswap.video.source.packets import holds_too_much
from simswap.video.source.reading import read_frames
from tests.support.media.video_files import make_video

X265 = {"x265-params": "log-level=none:pools=1:frame-threads=1:slices=4"}
ORDINARY = {
    "h264.mp4": {"options": {"x264-params": "slices=4"}},
    "h264.ts": {"options": {"x264-params": "slices=4"}, "sound_codec": "mp2"},
    "hevc.mp4": {"codec": "libx265", "options": X265},
    "av1.webm": {"codec": "libsvtav1", "options": {"preset": "12"}, "sound_codec": "libopus"},
    "vp9.mkv": {"codec": "libvpx-vp9", "sound_codec": "flac"},
    "mpeg2.mkv": {"codec": "mpeg2video", "sound_codec": "ac3"},
    "mpeg4.avi": {"codec": "mpeg4", "sound_codec": "pcm_s16le"},
    "mjpeg.mov": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "sound_codec": "pcm_s24le"},
}


def packets(path: Path, kind: str) -> list[tuple[bytes, str, str, bytes]]:
    """Each packet of the streams of a kind, with what else the check is told."""
    with av.open(str(path)) as container:
        (stream,) = getattr(container.streams, kind)
        context = stream.codec_context
        told = kind, context.codec.canonical_name, context.extradata or b""
        return [(bytes(packet), *told) for packet in container.demux(stream) if packet.size]


@pytest.mark.parametrize("name", ORDINARY)
def test_what_encoders_write_passes(tmp_path, name):
    path = make_video(tmp_path / name, size=(256, 160), num_frames=40, **ORDINARY[name])
    for kind in ("video", "audio"):
        found = packets(path, kind)
        assert found
        assert not any(holds_too_much(memoryview(data), *told) for data, *told in found)


@pytest.mark.parametrize("name", ["h264.mp4", "h264.ts", "hevc.mp4", "av1.webm", "mpeg2.mkv"])
def test_a_packet_of_very_many_pictures_holds_too_much(tmp_path, name):
    path = make_video(tmp_path / name, num_frames=4, **ORDINARY[name])
    data, *told = packets(path, "video")[-1]
    assert holds_too_much(memoryview(data * 1300), *told)


def test_marks_between_parts_count_where_a_file_promises_lengths(tmp_path):
    path = make_video(tmp_path / "lengths.mp4", num_frames=4, **ORDINARY["h264.mp4"])
    data, *told = packets(path, "video")[-1]
    part = data[4 : 4 + int.from_bytes(data[:4])]
    marked = b"\0\0\0\1" + part + (b"\0\0\1" + part) * 1300
    assert holds_too_much(memoryview(marked), *told)


def test_lengths_count_whatever_first_number_the_header_of_an_hevc_has(tmp_path):
    path = make_video(tmp_path / "hevc.mp4", num_frames=4, **ORDINARY["hevc.mp4"])
    data, *told, header = packets(path, "video")[-1]
    assert holds_too_much(memoryview(data * 1300), *told, b"\2" + header[1:])


def test_no_header_changes_the_lengths_of_an_h264_midway(tmp_path):
    path = make_video(tmp_path / "h264.mp4", num_frames=4, **ORDINARY["h264.mp4"])
    _, *told, header = packets(path, "video")[-1]
    assert holds_too_much(memoryview(header[:4] + b"\xfc" + header[5:]), *told, header)


def test_a_motion_jpeg_has_no_more_scans_than_a_photo(tmp_path):
    path = make_video(tmp_path / "mjpeg.mov", num_frames=4, **ORDINARY["mjpeg.mov"])
    data, *told = packets(path, "video")[-1]
    scan = data[data.index(b"\xff\xda") : -2]
    assert holds_too_much(memoryview(data[:-2] + scan * 100 + data[-2:]), *told)


def test_a_packet_of_very_many_frames_of_sound_holds_too_much(tmp_path):
    path = make_video(tmp_path / "sound.mkv", sound_codec="flac")
    for data, *told in packets(path, "audio"):
        assert holds_too_much(memoryview(data * 100), *told)
    path = make_video(tmp_path / "sound.mp4")
    data, *told = packets(path, "audio")[1]
    assert holds_too_much(memoryview(data * 2000), *told)


def test_a_video_ends_before_a_packet_of_very_many_pictures(tmp_path):
    source = make_video(tmp_path / "in.mp4", sound=None, num_frames=30)
    with av.open(str(source)) as read, av.open(str(tmp_path / "out.mp4"), "w") as written:
        (stream,) = read.streams.video
        copy = written.add_stream_from_template(stream)
        for number, packet in enumerate(read.demux(stream)):
            if packet.size:
                data = bytes(packet) * (1300 if number == 20 else 1)
                again = av.Packet(data)
                again.pts, again.dts, again.time_base = packet.pts, packet.dts, packet.time_base
                again.stream, again.is_keyframe = copy, packet.is_keyframe
                written.mux(again)
    info = probe_video(tmp_path / "out.mp4")
    assert info.num_frames <= 20
    assert len(list(read_frames(info, 0, info.num_frames))) == info.num_frames


def test_frames_before_a_wanted_one_take_no_longer_than_a_caller_waits(tmp_path, monkeypatch):
    path = make_video(tmp_path / "far.mp4", num_frames=60, options={"g": "1000"}, sound=None)
    info = probe_video(path, VideoLimits(max_reach=10**9))
    assert len(list(read_frames(info, 59, 60))) == 1
    monkeypatch.setattr(bounds, "PATIENCE", 0.0)
    with pytest.raises(MediaError, match="too many frames lie behind the last key frame"):
        list(read_frames(info, 59, 60))


def test_a_caller_may_take_its_time_between_the_frames_of_a_video(tmp_path, monkeypatch):
    path = make_video(tmp_path / "clip.mp4", num_frames=8, sound=None)
    frames = read_frames(probe_video(path, VideoLimits(max_reach=10**9)), 0, 8)
    next(frames)
    monkeypatch.setattr(bounds, "time", SimpleNamespace(monotonic=lambda: float("inf")))
    assert len(list(frames)) == 7
