"""Videos of every kind into every container: all times and sounds as they were, losses told."""

from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from simswap.provenance.signing import sign_video
from simswap.verify.report import verify
from simswap.video.metadata_label import video_metadata
from simswap.video.options import VideoOptions
from simswap.video.output.writing import Encoding
from simswap.video.source.info import VideoInfo
from simswap.video.source.limits import VideoLimits
from simswap.video.source.looking import look_through
from simswap.video.source.reading import read_frames
from tests.support.media.animations import make_animation
from tests.support.media.texts import make_film
from tests.support.media.video_files import (
    make_video,
    number_of,
    numbered_frame,
    rewrite,
    sound_packets,
)

UNEVEN = [0, 40, 80, 81, 160, 240, 500, 540, 580, 620, 700, 900]  # ms
EVEN = {"num_frames": 12, "sound": 0.4}
SHORT = {**EVEN, "time_base": Fraction(1, 1000), "times": UNEVEN}
MP4 = {**SHORT, "options": {"bf": "2"}}
QUICK = {"deadline": "realtime", "cpu-used": "8"}
WEBM = {**SHORT, "codec": "libvpx-vp9", "sound_codec": "libopus", "options": QUICK}
PCM = {**MP4, "sound_codec": "pcm_s16le"}
X265 = {"codec": "libx265"}
HEVC = {**SHORT, **X265}
DEEP = {**EVEN, **X265, "pix_fmt": "yuv420p10le"}
PQ, HLG = {**DEEP, "colour": (9, 1, 9, 16)}, {**DEEP, "colour": (9, 1, 9, 18)}
X444 = {"pix_fmt": "yuv444p10le"}
ODD = {**EVEN, "size": (97, 65), "pix_fmt": "yuv444p"}
GIF = {"num_frames": 12, "codec": "gif", "pix_fmt": "rgb8", "sound": None}
GIF |= {"time_base": Fraction(1, 20)}
FILM = {"num_frames": 30, "sound": 1.0}
OPUS, AAC = "encoded anew as Opus", "encoded anew as AAC"
EVEN_SIZES, TEN_BITS = "takes even sizes only", "10-bit colour becomes 8-bit."
BRIGHT, COLOURS = "HDR becomes standard", "A picture of a GIF has 256 colours."
FINE = "4:4:4 colour becomes 4:2:0"
HDR_KEPT = "HDR is kept, as HEVC"
MUTE = "has no sound: the sound (aac) is left out."


def with_surround_sound(path: Path) -> Path:
    plain = make_video(path.with_name("plain.mp4"), **MP4 | {"sound": None})
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
    return path


def with_transparency(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=30, options=QUICK)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuva420p"
        for number in range(12):
            image = np.dstack([numbered_frame(number), np.full((64, 96), 90, np.uint8)])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgba")))
        container.mux(stream.encode())
    return path


# From, to, how the source is made, and what is told, sentence by sentence.
KINDS = [
    ("in.mp4", "out.mov", MP4, ()),
    ("in.mp4", "out.mkv", MP4, ()),
    ("in.mp4", "out.webm", MP4, (OPUS,)),
    ("in.mov", "out.mov", PCM, ()),
    ("in.mov", "out.mkv", PCM, ()),
    ("in.mov", "out.mp4", PCM, (AAC,)),
    ("in.mkv", "out.mkv", HEVC, ()),
    ("in.mkv", "out.mov", HEVC, ()),
    ("in.webm", "out.webm", WEBM, ()),
    ("in.webm", "out.mkv", WEBM, ()),
    ("in.webm", "out.mp4", WEBM, ("QuickTime may not play it",)),
    ("in.webm", "out.mov", WEBM, (AAC,)),
    ("film.mp4", "out.mp4", {**EVEN, "time_base": Fraction(1001, 24000)}, ()),
    ("phone.mp4", "out.mp4", {**EVEN, "rotation": 90, "time_base": Fraction(1, 600)}, ()),
    ("selfie.mp4", "out.mp4", {**EVEN, "matrix": (-1, 0, 0, 1)}, ()),
    ("one.mp4", "out.mp4", {"num_frames": 1, "sound": 0.2}, ()),
    ("late-sound.mp4", "out.mp4", {**EVEN, "sound_start": 0.5}, ()),
    ("late.mkv", "out.mp4", {**EVEN, "times": range(15, 27)}, ()),
    ("wide.mp4", "out.mp4", {**EVEN, "aspect": Fraction(4, 3)}, ()),
    ("interlaced.mp4", "out.mp4", {**EVEN, "interlaced": True}, ("becomes progressive",)),
    ("odd.mp4", "out.mp4", {**ODD}, (FINE, EVEN_SIZES)),
    ("odd.mp4", "out.webm", {**ODD}, (FINE, OPUS)),
    ("10-bit.mp4", "out.mp4", DEEP, (TEN_BITS,)),
    ("pq.mp4", "out.mp4", PQ, (HDR_KEPT,)),
    ("hlg.mov", "out.mkv", HLG, (HDR_KEPT,)),
    ("hlg.mp4", "out.mov", {**HLG, "size": (97, 65), **X444}, (FINE, HDR_KEPT, EVEN_SIZES)),
    ("pq.mp4", "out.webm", PQ, (BRIGHT, TEN_BITS, OPUS)),
    ("old.avi", "out.mp4", {**EVEN, "codec": "mpeg4", "sound_codec": "mp3"}, ()),
    ("flash.flv", "out.mp4", {**EVEN}, ()),
    ("broadcast.ts", "out.mp4", {**EVEN}, ()),
    ("in.gif", "out.mp4", GIF, ()),
    ("in.gif", "out.gif", GIF, (COLOURS,)),
    ("in.gif", "out.webp", GIF, ()),
    ("in.webp", "out.mp4", make_animation, ()),
    ("in.webp", "out.gif", make_animation, (COLOURS,)),
    ("in.webp", "out.webp", make_animation, ()),
    ("in.png", "out.mp4", make_animation, ()),
    ("in.png", "out.webp", make_animation, ()),
    ("in.mp4", "out.gif", {**EVEN, "time_base": Fraction(1, 25)}, (MUTE, COLOURS)),
    ("in.mp4", "out.webp", {**EVEN, "time_base": Fraction(1, 25)}, (MUTE,)),
    ("surround.mov", "out.mp4", with_surround_sound, ("Its 6 channels become 2.",)),
    ("alpha.webm", "out.mp4", with_transparency, ("Transparency is dropped.",)),
    ("text.mkv", "out.mp4", partial(make_film, subtitles=["subrip"], **FILM), ()),
    ("text.mkv", "out.webm", partial(make_film, subtitles=["subrip"], **FILM), (OPUS,)),
    ("text.mp4", "out.mkv", partial(make_film, subtitles=["mov_text"], **FILM), ()),
    ("text.mkv", "out.mov", partial(make_film, subtitles=["ass"], **FILM), ("cannot hold ass.",)),
]
TURNED = ("phone.mp4", "selfie.mp4")  # whose frames do not show their numbers upright


@pytest.mark.parametrize(("name", "output", "recipe", "told"), KINDS, ids=lambda it: str(it)[:15])
def test_a_video_of_any_kind_keeps_times_and_sound(tmp_path, name, output, recipe, told):
    path, output = tmp_path / name, tmp_path / output
    source = recipe(path) if callable(recipe) else make_video(path, **recipe)
    info = look_through(source, VideoLimits())
    encoding = VideoOptions(preset="ultrafast").encoding(output, info)
    notices = (*info.notices, *rewrite(info, output, encoding, cut=7))
    assert len(notices) == len(told), notices
    assert all(part in notice for part, notice in zip(told, notices, strict=True)), notices
    result = look_through(output, VideoLimits())
    late = np.abs(times_of(result) - times_of(info))
    if output.suffix == ".webm":
        late = late[:-1]  # it does not say when the last frame ends
    assert late.max() < 0.0006  # MKV: whole milliseconds
    if name not in TURNED:
        frames = read_frames(result, 0, info.num_frames)
        assert [number_of(frame[:64]) for frame in frames] == list(range(info.num_frames))
    before, after = sound_packets(source), sound_packets(output)
    if encoding.is_animation or not before:
        assert not after
    elif "encoded anew" in " ".join(notices):
        assert abs(after[0][0] - before[0][0]) < 0.03
    elif name == "broadcast.ts":  # where each piece has a header of its own
        assert len(after) == len(before)
    else:
        assert b"".join(data for _, data in after) == b"".join(data for _, data in before)


def times_of(info: VideoInfo) -> np.ndarray:
    """When frames are shown, and when the last ends, in seconds from the first."""
    return np.array([info.seconds(number) for number in range(info.num_frames + 1)])


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


def test_a_mov_is_signed_and_an_mkv_says_why_not(tmp_path):
    source = make_video(tmp_path / "in.mp4", **MP4)
    for ending in ("mov", "mkv"):
        encoding = Encoding(ending, preset="ultrafast")
        rewrite(source, tmp_path / f"out.{ending}", encoding, metadata=video_metadata("m"))
    assert sign_video(tmp_path / "out.mov", "m", source) == ()
    report = verify(tmp_path / "out.mov")
    assert report.credentials.is_intact
    assert report.label.model == "m"
    assert "an .mp4 would be signed" in sign_video(tmp_path / "out.mkv", "m", source)[0]
    assert verify(tmp_path / "out.mkv").label.model == "m"
