"""Subtitles and chapters of a rewritten video."""

from pathlib import Path

import av
import pytest

from simswap.video.output import joining, texts
from simswap.video.output.muxing import MuxRequest
from simswap.video.output.texts import _plain_header
from simswap.video.output.writing import Encoding
from simswap.video.source.limits import VideoLimits
from simswap.video.source.looking import look_through
from tests.support.media.texts import (
    CHAPTERS,
    HEADER,
    LINES,
    chapters_of,
    languages_of,
    lines_of,
    make_film,
)
from tests.support.media.video_files import rewrite

SHORT = {"num_frames": 30, "size": (48, 32)}


def remade(source: Path, output: Path, span: tuple[int, int] | None = None) -> tuple[str, ...]:
    info = look_through(source, VideoLimits())
    encoding = Encoding(output.suffix[1:], preset="ultrafast")
    return (*info.notices, *rewrite(info, output, encoding, span=span, cut=30))


@pytest.mark.parametrize(
    ("name", "codec", "output"),
    [
        *(("in.mkv", "subrip", name) for name in ("out.mkv", "out.mp4", "out.mov", "out.webm")),
        *(("in.mp4", "mov_text", name) for name in ("out.mkv", "out.mp4", "out.webm")),
        *(("in.mkv", "webvtt", "out.mkv"), ("in.mkv", "ass", "out.mkv")),
    ],
)
def test_subtitles_and_chapters_are_kept(tmp_path, name, codec, output):
    source = make_film(tmp_path / name, [codec, codec], ["eng", "fra"], sound=None, **SHORT)
    assert remade(source, tmp_path / output) == ()
    assert [lines_of(tmp_path / output, track) for track in (0, 1)] == [list(LINES)] * 2
    assert languages_of(tmp_path / output, "subtitle") == ["eng", "fra"]
    assert chapters_of(tmp_path / output) == list(CHAPTERS)


@pytest.mark.parametrize(("output", "name"), [("out.mp4", "MP4"), ("out.webm", "WebM")])
def test_subtitles_that_a_container_cannot_hold_are_told(tmp_path, output, name):
    source = make_film(tmp_path / "in.mkv", ["ass", "ass", "subrip"], sound=None, **SHORT)
    told = remade(source, tmp_path / output)
    assert told == (f"2 subtitle tracks are left out: {name} cannot hold ass.",)
    assert lines_of(tmp_path / output) == list(LINES)


def test_a_stretch_has_its_own_subtitles_and_chapters(tmp_path):
    source = make_film(tmp_path / "in.mkv", ["subrip"], sound=None, **SHORT)
    remade(source, tmp_path / "out.mkv", span=(6, 18))  # from 200 to 600 ms
    assert lines_of(tmp_path / "out.mkv") == [(0, 100, LINES[0][2]), (200, 400, LINES[1][2])]
    assert chapters_of(tmp_path / "out.mkv") == [(0, 300, "One"), (300, 400, "Two")]


def test_lines_that_an_mp4_cannot_show_at_once_follow_each_other(tmp_path):
    lines = ((0, 300, "One"), (100, 600, "Two"), (200, 500, "Three"))
    source = make_film(tmp_path / "in.mkv", ["subrip"], lines=lines, sound=None, **SHORT)
    told = remade(source, tmp_path / "out.mp4")
    assert lines_of(tmp_path / "out.mp4") == [(0, 300, "One"), (300, 600, "Two")]
    assert told == ("1 line of subtitles is left out: MP4 cannot hold it.",)


def test_a_line_that_would_take_long_to_write_is_left_out_and_told(tmp_path):
    lines = ((0, 300, "Good day"), (400, 900, "o" * 9_000))
    source = make_film(tmp_path / "in.mkv", ["subrip"], lines=lines, sound=None, **SHORT)
    told = remade(source, tmp_path / "out.mp4")
    assert told == ("1 line of subtitles is left out: MP4 cannot hold it.",)
    assert lines_of(tmp_path / "out.mp4") == [(0, 300, "Good day")]


def test_a_line_whose_style_would_take_long_to_write_is_left_out_and_told(tmp_path):
    styled = "{\\b1}{\\i1}{\\u1}a{\\b0}{\\i0}{\\u0}b" * 450
    lines = ((0, 300, "Good day"), (400, 900, styled))
    source = make_film(tmp_path / "in.mp4", ["mov_text"], lines=lines, sound=None, **SHORT)
    told = remade(source, tmp_path / "out.webm")
    assert told == ("1 line of subtitles is left out: WebM cannot hold it.",)
    assert lines_of(tmp_path / "out.webm") == [(0, 300, "Good day")]


def test_of_lines_that_take_long_together_the_first_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(joining, "mux", MuxRequest.write)
    monkeypatch.setattr(texts, "_MAX_WORK", 40**2)
    source = make_film(tmp_path / "in.mkv", ["subrip"], sound=None, **SHORT)
    told = remade(source, tmp_path / "out.mp4")
    assert told == ("1 line of subtitles is left out: MP4 cannot hold it.",)
    assert lines_of(tmp_path / "out.mp4") == list(LINES[:1])


def test_nobody_is_named_by_the_header_of_subtitles_or_by_chapters(tmp_path):
    source = make_film(tmp_path / "in.mkv", ["ass"], sound=None, **SHORT)
    assert b"Jane Doe" in source.read_bytes()
    remade(source, tmp_path / "out.mkv")
    assert b"Jane Doe" not in (tmp_path / "out.mkv").read_bytes()


def test_the_look_of_lines_is_kept():
    kept = _plain_header(HEADER.encode()).decode()
    assert "PlayResX: 384" in kept
    assert "Style: Default,Arial,16," in kept


def test_an_animation_tells_what_it_has_not(tmp_path):
    source = make_film(tmp_path / "in.mkv", ["subrip", "subrip"], sound=None, **SHORT)
    info = look_through(source, VideoLimits())
    told = rewrite(info, tmp_path / "out.webp", Encoding("webp"), span=(0, 2))
    assert "A WebP has no subtitles: 2 tracks are left out." in told
    assert "A WebP has no chapters, of which there are 2." in told


def test_tracks_of_sound_keep_the_language_by_which_they_are_chosen(tmp_path):
    source = make_film(tmp_path / "in.mkv", num_frames=4, sound=0.2)
    with av.open(str(source)) as container, av.open(str(tmp_path / "two.mkv"), "w") as copy:
        pictures, *sounds = (
            copy.add_stream_from_template(container.streams[number]) for number in (0, 1, 1)
        )
        sounds[0].metadata["language"], sounds[1].metadata["language"] = "eng", "fra"
        for packet in container.demux():
            for stream in [pictures] if packet.stream_index == 0 else sounds:
                if packet.size:
                    again = av.Packet(bytes(packet))
                    again.pts, again.dts, again.time_base = packet.pts, packet.dts, packet.time_base
                    again.stream, again.is_keyframe = stream, packet.is_keyframe
                    copy.mux(again)
    remade(tmp_path / "two.mkv", tmp_path / "out.mp4")
    assert languages_of(tmp_path / "out.mp4", "audio") == ["eng", "fra"]
