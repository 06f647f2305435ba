"""What the sound of a stranger's video may cost when it is joined to the result."""

import struct
from contextlib import contextmanager
from pathlib import Path

import av
import pytest

from simswap.errors import CrowdedError
from simswap.video.output import audio, joining, muxing
from simswap.video.output.muxing import MuxRequest
from simswap.video.output.sound import SoundRequest
from simswap.video.output.writing import Encoding
from simswap.video.source.container import opened
from simswap.video.source.decoding import process
from simswap.video.source.info import probe_video
from tests.support.media.video_files import frame_seconds, make_video, rewrite, sound_packets

pytestmark = pytest.mark.slow


@pytest.fixture
def joined_here(monkeypatch):
    """No process is asked, so that a test can see to what it does."""
    monkeypatch.setattr(joining, "mux", MuxRequest.write)


@pytest.fixture
def quickly_watched(monkeypatch):
    """A process has to start, which takes more than a few megabytes, and that is seen at once."""
    process.end_idle()
    monkeypatch.setattr(process, "WATCH_SECONDS", 0.0)


def test_sound_that_takes_much_memory_does_not_lose_the_video(
    tmp_path, monkeypatch, joined_here, quickly_watched
):
    path = make_video(tmp_path / "in.mov", sound_codec="pcm_s16le")
    monkeypatch.setattr(SoundRequest, "memory", 10_000_000)
    notices = rewrite(path, tmp_path / "out.mp4")
    assert notices == ("The sound (pcm_s16le) is damaged, or takes too much, and is dropped.",)
    assert len(frame_seconds(tmp_path / "out.mp4")) == 30


def test_a_file_that_takes_much_memory_to_be_joined_does_not_lose_the_video(
    tmp_path, monkeypatch, quickly_watched
):
    path = make_video(tmp_path / "in.mp4", num_frames=5, sound=0.2)
    monkeypatch.setattr(MuxRequest, "memory", 10_000_000)
    assert rewrite(path, tmp_path / "out.mp4") == (
        "The sound (aac) is damaged, or takes too much, and is dropped.",
    )
    assert len(frame_seconds(tmp_path / "out.mp4")) == 5


def test_nothing_of_a_strangers_video_is_opened_in_this_process_for_its_sound(
    tmp_path, monkeypatch
):
    path, names, open_any = make_video(tmp_path / "in.mp4", num_frames=5, sound=0.2), [], av.open

    def noticed(name, *given, **more):
        names.append(name)
        return open_any(name, *given, **more)

    monkeypatch.setattr(av, "open", noticed)
    rewrite(path, tmp_path / "out.mp4")
    assert names
    assert not [name for name in names if path.name in name]
    assert sound_packets(tmp_path / "out.mp4")


def write_with_tracks(path: Path, count: int) -> Path:
    """A video with its sound so many times."""
    plain = make_video(path.with_name("plain.mp4"), num_frames=5, sound=0.2)
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        copies = [output.add_stream_from_template(source.streams.video[0])]
        copies += [output.add_stream_from_template(source.streams.audio[0]) for _ in range(count)]
        for packet in source.demux():
            for copy in copies if packet.dts is not None else ():
                if copy.type == packet.stream.type:
                    again = av.Packet(bytes(packet))
                    again.pts, again.dts, again.time_base = packet.pts, packet.dts, packet.time_base
                    again.stream, again.is_keyframe = copy, packet.is_keyframe
                    output.mux(again)
    return path


def test_a_file_of_many_tracks_is_open_for_one_at_a_time(tmp_path, monkeypatch, joined_here):
    path = write_with_tracks(tmp_path / "in.mp4", 3)
    now_open, most = [], []

    @contextmanager
    def counted(*given):
        with opened(*given) as source:
            now_open.append(source)
            most.append(len(now_open))
            yield source
            now_open.remove(source)

    monkeypatch.setattr(audio, "opened", counted)
    rewrite(path, tmp_path / "out.mp4")
    assert most == [1] * 4
    with av.open(str(tmp_path / "out.mp4")) as result:
        assert len(result.streams.audio) == 3


def test_sound_that_is_the_same_bytes_of_the_file_again_and_again_does_not_grow(tmp_path: Path):
    path = make_video(tmp_path / "in.mp4", sound=2.0)
    data = bytearray(path.read_bytes())
    sound, begin = data.index(b"soun"), data.index(b"mdat") + 4
    sizes, places = data.index(b"stsz", sound) + 8, data.index(b"stco", sound) + 8
    (num_places,) = struct.unpack_from(">I", data, places)
    struct.pack_into(">I", data, sizes, len(data) // 4)
    struct.pack_into(f">{num_places}I", data, places + 4, *[begin] * num_places)
    path.write_bytes(data)
    assert sum(len(packet) for _, packet in sound_packets(path)) > 3 * len(data)
    rewrite(path, tmp_path / "out.mp4")
    assert len(frame_seconds(tmp_path / "out.mp4")) == 30
    assert (tmp_path / "out.mp4").stat().st_size < 2 * len(data)


def test_a_file_is_opened_for_its_sound_within_the_limit_of_its_pictures(
    tmp_path, monkeypatch, joined_here
):
    path = make_video(tmp_path / "in.mp4", num_frames=5, sound=0.2)
    limits = []
    monkeypatch.setattr(audio, "opened", lambda p, most: limits.append(most) or opened(p, most))
    rewrite(path, tmp_path / "out.mp4")
    assert limits == [probe_video(path).max_pixels] * 2


def test_sound_that_the_results_header_cannot_tell_of_is_encoded_anew(tmp_path: Path):
    path = make_video(tmp_path / "in.mp4", sound_codec="flac", sound_start=-1.0)
    data = path.read_bytes()
    assert data.count(b"dfLa") == 1
    path.write_bytes(data.replace(b"dfLa", b"none"))
    (notice,) = rewrite(path, tmp_path / "out.mkv", Encoding("mkv", preset="ultrafast"))
    assert notice.startswith("The sound (flac) is encoded anew as AAC")
    assert len(frame_seconds(tmp_path / "out.mkv")) == 30


def test_sound_waits_for_room_in_memory_and_is_not_dropped(tmp_path: Path, monkeypatch):
    path, answers_of, tries = make_video(tmp_path / "in.mp4"), process.answers_of, []

    def crowded_at_first(request):
        tries.append(request)
        if len(tries) < 3:
            raise CrowdedError
        return answers_of(request)

    monkeypatch.setattr(muxing.process, "answers_of", crowded_at_first)
    assert rewrite(path, tmp_path / "out.mp4") == ()
    assert (len(tries), sound_packets(tmp_path / "out.mp4")) == (3, sound_packets(path))


def test_a_result_is_written_from_the_folder_that_the_user_is_in(tmp_path: Path, monkeypatch):
    path = make_video(tmp_path / "in.mp4", num_frames=5, sound=0.2)
    probe_video(path)  # a process is there, and is in another folder
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert rewrite(path, Path("out.mp4")) == ()
    assert sound_packets(tmp_path / "here" / "out.mp4")
