"""Videos of every kind into every container: all times and sounds as they were, losses told."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from simswap.provenance.signing import sign_video
from simswap.verify.report import verify
from simswap.video.label import video_metadata
from simswap.video.output.writing import Encoding
from simswap.video.source.info import probe_video
from tests.support.media.video_files import (
    decoded,
    frame_seconds,
    make_video,
    number_of,
    rewrite,
    sound_packets,
)

UNEVEN = [0, 40, 80, 81, 160, 240, 500, 540, 580, 620, 700, 900]  # ms
SHORT = {"num_frames": 12, "time_base": Fraction(1, 1000), "times": UNEVEN}
MP4 = {**SHORT, "options": {"bf": "2"}}
WEBM = {**SHORT, "codec": "libvpx-vp9", "sound_codec": "libopus"}
PCM = {**MP4, "sound_codec": "pcm_s16le"}
HEVC = {**SHORT, "codec": "libx265"}
# From, to, how the source is made, whether its sound is the same to the byte, what is told.
KINDS = [
    ("in.mp4", "out.mov", MP4, True, ""),
    ("in.mp4", "out.mkv", MP4, True, ""),
    ("in.mp4", "out.webm", MP4, False, "(aac) is encoded anew as Opus"),
    ("in.mov", "out.mov", PCM, True, ""),
    ("in.mov", "out.mkv", PCM, True, ""),
    ("in.mov", "out.mp4", PCM, False, "(pcm_s16le) is encoded anew as AAC"),
    ("in.mkv", "out.mkv", HEVC, True, ""),
    ("in.mkv", "out.mov", HEVC, True, ""),
    ("in.webm", "out.webm", WEBM, True, ""),
    ("in.webm", "out.mkv", WEBM, True, ""),
    ("in.webm", "out.mp4", WEBM, True, "QuickTime may not play it"),
    ("in.webm", "out.mov", WEBM, False, "(opus) is encoded anew as AAC"),
]


@pytest.mark.parametrize(
    ("name", "output", "recipe", "is_same", "told"), KINDS, ids=lambda it: it if it else None
)
def test_a_video_of_any_kind_keeps_times_and_sound(tmp_path, name, output, recipe, is_same, told):
    source = make_video(tmp_path / name, **recipe)
    encoding = Encoding(output[4:], preset="ultrafast")
    notices = rewrite(source, tmp_path / output, encoding, cut=5)
    assert told in " ".join(notices)
    assert bool(notices) == bool(told)
    written, wanted = frame_seconds(tmp_path / output), frame_seconds(source)
    assert np.abs((written - written[0]) - (wanted - wanted[0])).max() < 0.0006  # MKV: whole ms
    assert [number_of(frame) for frame in decoded(tmp_path / output)] == list(range(12))
    before, after = sound_packets(source), sound_packets(tmp_path / output)
    if is_same:
        assert b"".join(data for _, data in after) == b"".join(data for _, data in before)
    else:
        assert abs(after[0][0] - before[0][0]) < 0.03


def with_tracks(path: Path, num_tracks: int) -> Path:
    """The same sound several times, each beginning 0.1 s later than the one before."""
    plain = make_video(path.with_name(f"plain-{path.name}"), **MP4)
    with av.open(str(plain)) as source, av.open(str(path), "w") as container:
        video, sound = source.streams
        copies = [container.add_stream_from_template(sound) for _ in range(num_tracks)]
        pictures = container.add_stream_from_template(video)
        for packet in source.demux():
            if not packet.size:
                continue
            if packet.stream is video:
                packet.stream = pictures
                container.mux(packet)
                continue
            for number, copy in enumerate(copies):
                later = av.Packet(bytes(packet))
                later.stream, later.time_base = copy, packet.time_base
                later.pts = later.dts = packet.pts + round(number / 10 / packet.time_base)
                later.duration = packet.duration
                container.mux(later)
    return path


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm"])
def test_all_sound_tracks_are_kept(tmp_path, ending):
    source = with_tracks(tmp_path / "in.mkv", 3)
    notices = rewrite(source, tmp_path / f"out.{ending}", Encoding(ending, preset="ultrafast"))
    with av.open(str(tmp_path / f"out.{ending}")) as container:
        starts = [
            next(float(p.pts * p.time_base) for p in _reread(container, track))
            for track in container.streams.audio
        ]
    assert np.allclose(np.diff(starts), 0.1, atol=0.03)
    named = [f"Sound track {number} (aac)" for number in (1, 2, 3)]
    assert all(name in " ".join(notices) for name in named) == (ending == "webm")


def _reread(container: av.container.InputContainer, track: av.stream.Stream):
    container.seek(0)
    return container.demux(track)


def test_of_many_sound_tracks_the_first_are_kept_and_it_is_told(tmp_path):
    source = with_tracks(tmp_path / "in.mkv", 10)
    notices = rewrite(source, tmp_path / "out.mp4", Encoding(preset="ultrafast"))
    assert notices[-1] == "Of 10 sound tracks the first 8 are kept."


def test_channels_that_are_lost_are_told(tmp_path):
    path, plain = tmp_path / "in.mov", make_video(tmp_path / "plain.mp4", **MP4, sound=None)
    with av.open(str(plain)) as source, av.open(str(path), "w") as container:
        pictures = container.add_stream_from_template(source.streams.video[0])
        sound = container.add_stream("pcm_s24le", rate=48_000)
        sound.layout = "5.1"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = pictures
                container.mux(packet)
        samples = np.zeros((1, 6 * 4800), np.int32)
        frame = av.AudioFrame.from_ndarray(samples, format="s32", layout="5.1")
        frame.sample_rate, frame.pts = 48_000, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    (notice,) = rewrite(path, tmp_path / "out.mp4", Encoding(preset="ultrafast"))
    assert notice.endswith("Its 6 channels become 2.")


def test_transparency_of_a_vp9_is_told(tmp_path):
    with av.open(str(tmp_path / "alpha.webm"), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=30)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuva420p"
        clear = av.VideoFrame.from_ndarray(np.zeros((64, 96, 4), np.uint8), format="rgba")
        container.mux(stream.encode(clear))
        container.mux(stream.encode())
    assert "Transparency is dropped." in probe_video(tmp_path / "alpha.webm").notices


def test_a_mov_is_signed_and_an_mkv_says_why_not(tmp_path):
    source = make_video(tmp_path / "in.mp4", **MP4)
    for ending in ("mov", "mkv"):
        encoding = Encoding(ending, preset="ultrafast")
        rewrite(source, tmp_path / f"out.{ending}", encoding, metadata=video_metadata("m"))
    assert sign_video(tmp_path / "out.mov", "m", source) == ()
    report = verify(tmp_path / "out.mov")
    assert report.credentials.is_unchanged
    assert report.mark.model == "m"
    assert "an .mp4 would be signed" in sign_video(tmp_path / "out.mkv", "m", source)[0]
    assert verify(tmp_path / "out.mkv").mark.model == "m"
