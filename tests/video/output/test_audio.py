"""The sound of a rewritten video: copied where that can be, in time where it cannot."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from simswap.video.output.audio import _is_plain
from simswap.video.output.writing import Encoding
from tests.support.media.video_files import (
    decoded,
    frame_seconds,
    make_video,
    number_of,
    rewrite,
    sound_packets,
)

pytestmark = pytest.mark.slow

WEBM = Encoding("webm", preset="ultrafast")
VP9 = {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}}


def test_a_stretch_keeps_the_sound_that_belongs_to_it(tmp_path: Path):
    path = make_video(tmp_path / "in.mp4", num_frames=90, sound=3.0)
    rewrite(path, tmp_path / "out.mp4", span=(31, 72))
    times = frame_seconds(tmp_path / "out.mp4")
    assert times[0] == 0
    assert [number_of(frame) for frame in decoded(tmp_path / "out.mp4")] == list(range(31, 72))
    sound, kept = sound_packets(path), sound_packets(tmp_path / "out.mp4")
    place = [data for _, data in sound].index(kept[0][1])
    assert [data for _, data in kept] == [d for _, d in sound[place : place + len(kept)]]
    shift = sound[place][0] - kept[0][0]
    assert shift == pytest.approx(31 / 30, abs=1e-3)
    assert -0.022 < kept[0][0] <= 0
    assert kept[-1][0] == pytest.approx(41 / 30, abs=0.022)


def mono_sound(path: Path, seconds: float) -> np.ndarray:
    """A file's sound as players give it: its first second or so, on the file's own clock."""
    samples = np.zeros(int(seconds * 48000), np.float32)
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            values = frame.to_ndarray().astype(np.float32).mean(axis=0).ravel()
            if frame.format.name.startswith("s16"):
                values /= 32768
            start = round(float(frame.pts * frame.time_base) * 48000)
            values = values[max(0, -start) :][: max(0, len(samples) - max(0, start))]
            samples[max(0, start) : max(0, start) + len(values)] = values
    return samples


@pytest.mark.parametrize(
    ("name", "recipe", "encoding"),
    [
        ("in.mov", {"sound_codec": "pcm_s16le"}, Encoding()),
        ("in.mp4", {"sound_codec": "aac"}, WEBM),
    ],
)
def test_sound_that_must_be_encoded_anew_stays_in_time(tmp_path, name, recipe, encoding):
    path = make_video(tmp_path / name, **recipe)
    output = tmp_path / f"out.{encoding.format}"
    notices = rewrite(path, output, encoding)
    assert "encoded anew" in notices[0]
    before, after = mono_sound(path, 0.9), mono_sound(output, 0.9)
    shifts = range(-200, 201)
    fits = [np.dot(before[5000:30000], after[5000 + s : 30000 + s]) for s in shifts]
    assert abs(shifts[int(np.argmax(fits))]) <= 48  # 1 ms


def test_a_sound_track_whose_header_is_damaged_does_not_lose_the_video(tmp_path: Path):
    path = make_video(tmp_path / "in.mkv", sound_codec="libopus")
    data = path.read_bytes()
    place = data.rindex(b"\x63\xa2", 0, data.index(b"OpusHead"))  # the header's element
    path.write_bytes(data[:place] + b"\x63\xa3" + data[place + 2 :])
    notices = rewrite(path, tmp_path / "out.mp4")
    assert "The sound (opus) is encoded anew as AAC" in notices[0]
    assert len(frame_seconds(tmp_path / "out.mp4")) == 30


def test_opus_is_copied_into_webm(tmp_path: Path):
    path = make_video(tmp_path / "in.webm", **VP9, sound_codec="libopus")
    assert rewrite(path, tmp_path / "out.webm", WEBM) == ()
    assert [data for _, data in sound_packets(path)] == [
        data for _, data in sound_packets(tmp_path / "out.webm")
    ]
    assert np.abs(frame_seconds(path) - frame_seconds(tmp_path / "out.webm")).max() < 0.001


def with_sound_from(path: Path, output: Path, *, start: float, step: float, count: int) -> Path:
    """The video with one packet of its sound over and over, from `start` on, `step` s apart."""
    packet = sound_packets(path)[5][1]
    with av.open(str(path)) as source, av.open(str(output), "w") as copy:
        streams = [copy.add_stream_from_template(stream) for stream in source.streams]
        for picture in source.demux(video=0):
            if picture.size:
                picture.stream = streams[0]
                copy.mux(picture)
        for number in range(count):
            sound = av.Packet(packet)
            sound.stream, sound.time_base = streams[1], Fraction(1, 48000)
            sound.pts = sound.dts = round((start + number * step) * 48000)
            copy.mux(sound)
    return output


@pytest.mark.parametrize("encoding", [Encoding(), WEBM], ids=["copied", "encoded anew"])
@pytest.mark.parametrize(
    ("start", "step"), [(0.0, 1024 / 48000), (0.5, 1 / 48000)], ids=["long after", "crowded"]
)
def test_sound_lasts_no_longer_than_the_pictures(tmp_path, encoding, start, step):
    film = make_video(tmp_path / "film.mp4", num_frames=6)
    path = with_sound_from(film, tmp_path / "in.mp4", start=start, step=step, count=20_000)
    output = tmp_path / f"out.{encoding.format}"
    rewrite(path, output, encoding)
    sound = sound_packets(output)
    assert len(sound) < 12_000
    assert all(time < 1.3 for time, _ in sound)


def test_sound_long_before_the_pictures_is_left_out(tmp_path: Path):
    film = make_video(tmp_path / "film.mp4", times=range(90 * 30, 90 * 30 + 6))
    path = with_sound_from(film, tmp_path / "in.mkv", start=0, step=1024 / 48000, count=5000)
    rewrite(path, tmp_path / "out.mp4")
    assert 10 < len(sound_packets(tmp_path / "out.mp4")) < 600


OPUS = b"OpusHead\1\2" + bytes(9)
ALAC = b"\0\0\0\x24alac" + bytes(28)
PLAIN = [
    ("aac", bytes.fromhex("1210")),
    ("aac", bytes.fromhex("121056e500")),
    ("opus", OPUS),
    ("flac", bytes(34)),
    ("alac", ALAC),
    ("ac3", b""),
]


@pytest.mark.parametrize(("codec", "header"), PLAIN)
def test_a_plain_header_of_sound_is_copied(codec, header):
    assert _is_plain(codec, header)


@pytest.mark.parametrize(("codec", "header"), PLAIN)
def test_a_header_of_sound_with_room_for_words_is_not_copied(codec, header):
    assert not _is_plain(codec, header + b"Jane Doe")


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        *(("in.mp4", "aac"), ("in.mkv", "flac"), ("in.mp4", "flac"), ("in.mkv", "alac")),
        *(("in.mkv", "libmp3lame"), ("in.avi", "libmp3lame"), ("in.ts", "aac")),
    ],
)
def test_ordinary_sound_is_copied(tmp_path, name, codec):
    path = make_video(tmp_path / name, sound_codec=codec)
    assert rewrite(path, tmp_path / "out.mp4") == ()


def test_sound_that_is_left_out_is_told(tmp_path: Path):
    path = make_video(tmp_path / "in.mp4", sound=4.0)
    notices = rewrite(path, tmp_path / "out.mp4")
    assert notices == ("The sound ends 1 s after the last picture, where it went on.",)


def with_another_header(flv: bytes, text: bytes) -> bytes:
    """The FLV with the sound's header a second time, in mid-stream, where a text follows it."""
    place, num_sounds, header = 13, 0, b""
    while place < len(flv):
        size = int.from_bytes(flv[place + 1 : place + 4], "big")
        tag, body = flv[place : place + 11], flv[place + 11 : place + 11 + size]
        if tag[0] == 8 and body[1] == 0:
            header = body
        elif tag[0] == 8:
            num_sounds += 1
        if num_sounds == 10:
            added = header + text
            added = b"\x08" + len(added).to_bytes(3, "big") + tag[4:] + added
            return flv[:place] + added + len(added).to_bytes(4, "big") + flv[place:]
        place += 15 + size
    raise ValueError("The file has little sound.")


def test_a_header_that_comes_later_is_not_copied(tmp_path):
    path, text = make_video(tmp_path / "in.flv", sound_codec="aac"), b"Anna Karenina, Moscow"
    path.write_bytes(with_another_header(path.read_bytes(), text))
    rewrite(path, tmp_path / "out.mp4")
    assert len(sound_packets(tmp_path / "out.mp4")) > 20
    assert text not in (tmp_path / "out.mp4").read_bytes()
