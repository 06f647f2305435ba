"""Films with subtitles and chapters, made on the spot."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.subtitles.subtitle import SubtitleSet

from tests.support.media.video_files import make_video

MILLISECOND = Fraction(1, 1000)
LINES = ((0, 300, "Good day"), (400, 900, "{\\i1}Really{\\i0} good"))  # from, to in ms, text
CHAPTERS = ((0, 500, "One"), (500, 1000, "Two"))  # from, to in ms, title
HEADER = "\r\n".join(
    (
        *("[Script Info]", "Title: Holiday of Jane Doe", "; by Jane Doe", "PlayResX: 384"),
        *("PlayResY: 288", "", "[V4+ Styles]"),
        "Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, "
        "BackColour, Bold, Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, "
        "BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, MarginV, Encoding",
        "Style: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1",
        *("", "[Events]"),
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text",
        "",
    )
)


def make_film(
    path: Path,
    subtitles: Sequence[str] = (),
    languages: Sequence[str] = (),
    chapters: Sequence[tuple[int, int, str]] = CHAPTERS,
    lines: Sequence[tuple[int, int, str]] = LINES,
    **recipe: object,
) -> Path:
    """A second of film with chapters and tracks of subtitles of these codecs and languages."""
    plain = make_video(path.with_name(f"plain-{path.stem}{path.suffix}"), **recipe)
    with av.open(str(plain)) as source, av.open(str(path), "w") as container:
        copies = [container.add_stream_from_template(stream) for stream in source.streams]
        tracks = [container.add_stream(codec) for codec in subtitles]
        for track, language in zip(tracks, languages, strict=False):
            track.metadata["language"] = language
        for track in tracks:
            track.codec_context.subtitle_header = HEADER.encode()
        container.set_chapters(
            [
                {
                    **{"id": number, "start": start, "end": end, "time_base": MILLISECOND},
                    "metadata": {"title": title, "author": "Jane Doe"},
                }
                for number, (start, end, title) in enumerate(chapters, start=1)
            ]
        )
        for track in tracks:
            for start, end, text in lines:
                said = SubtitleSet.create(f"0,0,Default,,0,0,0,,{text}".encode(), 0, end - start)
                packet = track.codec_context.encode_subtitle(said)
                packet.stream, packet.time_base = track, MILLISECOND
                packet.pts = packet.dts = start
                packet.duration = end - start
                container.mux(packet)
        for packet in source.demux():
            if packet.size:
                packet.stream = copies[packet.stream_index]
                container.mux(packet)
    return path


def lines_of(path: Path, number: int = 0) -> list[tuple[int, int, str]]:
    """Lines of a track of a file's subtitles, as LINES has them."""
    found = []
    with av.open(str(path)) as container:
        stream = container.streams.subtitles[number]
        for packet in container.demux(stream):
            said = stream.decode(packet) if packet.size else []
            for line in said:
                start = round(packet.pts * packet.time_base * 1000)
                end = start + round(packet.duration * packet.time_base * 1000)
                found.append((start, end, line.dialogue.decode().replace("{\\r}", "{\\i0}")))
    return found


def chapters_of(path: Path) -> list[tuple[int, int, str]]:
    """A file's chapters, as CHAPTERS has them."""
    with av.open(str(path)) as container:
        return [_chapter(chapter) for chapter in container.chapters()]


def _chapter(chapter: dict) -> tuple[int, int, str]:
    start, end = (round(chapter[name] * chapter["time_base"] * 1000) for name in ("start", "end"))
    return start, end, chapter["metadata"].get("title", "")


def languages_of(path: Path, kind: str) -> list[str]:
    """Of a file's tracks of a kind, "subtitle" or "audio"."""
    with av.open(str(path)) as container:
        return [_language(container, s.index) for s in container.streams if s.type == kind]


def _language(container: InputContainer, number: int) -> str:
    return container.streams[number].metadata.get("language", "")
