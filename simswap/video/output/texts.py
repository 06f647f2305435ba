"""Subtitles and chapters on their way to the result, where its container can hold them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle

from simswap.files import printable
from simswap.video.output.tracks import take_over
from simswap.video.source.container import is_decoded, opened
from simswap.video.source.info import VideoInfo

# What each container gets of each kind: these are written by libav from the others' text.
_TEXT = ("subrip", "webvtt", "mov_text", "text")
_IN_MP4 = dict.fromkeys(_TEXT, "mov_text")
_WRITTEN = {
    "mp4": _IN_MP4,
    "mov": _IN_MP4,
    "webm": dict.fromkeys(_TEXT, "webvtt"),
    "matroska": dict.fromkeys(_TEXT, "subrip") | {"webvtt": "webvtt", "ass": "ass"},
}
_COPIED = {"matroska": {"hdmv_pgs_subtitle", "dvb_subtitle"}}  # pictures
_NAMES = {"mp4": "MP4", "mov": "MOV", "webm": "WebM", "matroska": "MKV"}
_MAX_HEADER = 16  # bytes of a picture's kind
MAX_TRACKS = 32
_MAX_LINES = 200_000  # of all tracks; a long film has two thousand in each
_MAX_BYTES = 50_000_000  # of all tracks, most of it pictures
# Bytes of one line that is written in another form, as it comes and with all that is said of its
# style: FFmpeg's time for that grows with the square (a million take 13 s). Lines of films have
# some hundred. A track may take the time of 60 of the longest, 0.2 s.
_MAX_LINE = 8_000
_MAX_WORK = 60 * _MAX_LINE**2
_MAX_TITLE = 200  # characters of a chapter's
_NO_LINE = b"\0\0"  # between two lines of an MP4
_MILLISECOND = Fraction(1, 1000)
# Of a header that says how lines look (ASS), and may say who wrote them.
_SECTION = re.compile(rb"\[(script info|v4\+? styles|events)\]", re.IGNORECASE)
_PLAIN = re.compile(
    rb"(?:ScriptType|PlayRes[XY]|WrapStyle|ScaledBorderAndShadow|Collisions|Timer|YCbCr Matrix"
    rb"|Format|Style):.*",
    re.IGNORECASE,
)


@dataclass
class _Track:
    """A track of subtitles: where it comes from, where it goes, and its lines so far.

    is_copied: whether lines are kept to the byte. end: of the last one, in milliseconds. work: of
    writing them, the sum of their squared lengths.
    """

    source: SubtitleStream
    output: SubtitleStream
    is_copied: bool
    lines: list[Packet] = field(default_factory=list)
    end: int = 0
    num_lost: int = 0
    work: int = 0


def add_texts(
    output: OutputContainer,
    info: VideoInfo,
    span: tuple[int, int],
    shift: Fraction,
) -> tuple[Iterator[Packet], tuple[str, ...]]:
    """Add the source's chapters and subtitles for some frames; see audio.add_audio.

    Returns the subtitles' packets, ascending, and notices.
    """
    if not info.num_subtitles and not info.num_chapters:
        return iter(()), ()
    start = int(info.frame_times[span[0]]) * info.time_base if span[0] else Fraction(0)
    end = info.end_time if span[1] == info.num_frames else int(info.frame_times[span[1]])
    stretch = start, end * info.time_base
    with opened(info.path, info.max_pixels) as source:
        output.set_chapters(_chapters(source, stretch, shift))
        tracks, notices = _add_tracks(output, source)
        if tracks:
            _read(source, tracks, stretch, shift)
    name = _NAMES[output.format.name]
    num_lost = sum(track.num_lost for track in tracks)
    if num_lost:
        some = "1 line" if num_lost == 1 else f"{num_lost} lines"
        be, them = ("is", "it") if num_lost == 1 else ("are", "them")
        notices += (f"{some} of subtitles {be} left out: {name} cannot hold {them}.",)
    lines = [line for track in tracks for line in track.lines]
    return iter(sorted(lines, key=lambda line: line.pts)), notices


def _chapters(
    source: InputContainer, stretch: tuple[Fraction, Fraction], shift: Fraction
) -> list[dict[str, object]]:
    """Chapters that lie in a stretch of the source: their times and titles, and nothing else."""
    kept = []
    for chapter in source.chapters():
        base = chapter["time_base"]
        start, end = (
            max(chapter["start"] * base, stretch[0]),
            min(chapter["end"] * base, stretch[1]),
        )
        if start >= end:
            continue
        title = chapter["metadata"].get("title")
        kept.append(
            {
                "id": len(kept) + 1,
                "start": round((start - shift) / _MILLISECOND),
                "end": round((end - shift) / _MILLISECOND),
                "time_base": _MILLISECOND,
                "metadata": {"title": printable(title, _MAX_TITLE)} if title else {},
            }
        )
    return kept


def _add_tracks(
    output: OutputContainer, source: InputContainer
) -> tuple[list[_Track], tuple[str, ...]]:
    tracks, left_out = [], Counter()
    written = _WRITTEN[output.format.name]
    for stream in source.streams.subtitles:
        codec = _codec_of(stream)
        if len(tracks) == MAX_TRACKS:
            left_out[f"more than {MAX_TRACKS}"] += 1
        elif codec in written and is_decoded(stream):
            added = output.add_stream(written[codec])
            stream.codec_context.open(strict=False)  # which reads the header
            header = stream.codec_context.subtitle_header or b""
            added.codec_context.subtitle_header = _plain_header(header)
            tracks.append(_Track(stream, added, is_copied=written[codec] == codec))
        elif codec in _COPIED.get(output.format.name, ()) and _has_plain_header(stream):
            tracks.append(_Track(stream, output.add_stream_from_template(stream), is_copied=True))
        else:
            left_out[codec] += 1
    for track in tracks:
        take_over(track.source, track.output)
    name = _NAMES[output.format.name]
    return tracks, tuple(
        f"{count} subtitle {'track is' if count == 1 else 'tracks are'} left out: {name} cannot "
        f"hold {codec}."
        for codec, count in left_out.items()
    )


def _codec_of(stream: Stream) -> str:
    context = stream.codec_context
    return "an unknown kind" if context is None else context.codec.canonical_name


def _has_plain_header(stream: SubtitleStream) -> bool:
    return len(stream.codec_context.extradata or b"") <= _MAX_HEADER


def _plain_header(header: bytes) -> bytes:
    """What a header says of how lines look, without names, titles and remarks."""
    lines = [line.strip() for line in header.splitlines()]
    return b"\r\n".join(line for line in lines if _SECTION.match(line) or _PLAIN.match(line))


def _read(
    source: InputContainer,
    tracks: list[_Track],
    stretch: tuple[Fraction, Fraction],
    shift: Fraction,
) -> None:
    """Fill the tracks with the lines that are shown in a stretch of the source."""
    of_stream = {track.source.index: track for track in tracks}
    num_lines = num_bytes = 0
    try:
        for packet in source.demux([track.source for track in tracks]):
            if not packet.size or packet.pts is None or packet.is_corrupt:
                continue
            base = packet.time_base
            start, end = packet.pts * base, (packet.pts + (packet.duration or 0)) * base
            if start >= stretch[1] or end <= stretch[0]:
                continue
            num_lines, num_bytes = num_lines + 1, num_bytes + packet.size
            track = of_stream[packet.stream_index]
            is_long = not track.is_copied and packet.size > _MAX_LINE
            if is_long or num_lines > _MAX_LINES or num_bytes > _MAX_BYTES:
                track.num_lost += 1
                continue
            start, end = max(start, stretch[0]) - shift, min(end, stretch[1]) - shift
            shown = round(start / _MILLISECOND), round(end / _MILLISECOND)
            _add_line(track, packet, *shown)
    except FFmpegError:
        return  # the file breaks off here, as its list of frames has told


def _add_line(track: _Track, packet: Packet, start: int, end: int) -> None:
    """Add a line that is shown from start to end, in milliseconds of the result."""
    is_alone = _codec_of(track.output) == "mov_text"
    if is_alone:  # an MP4 shows one line of a track at a time
        start = max(start, track.end)
    if bytes(packet) == _NO_LINE:
        return
    if track.is_copied:
        line = Packet(bytes(packet))
    else:
        try:
            said = track.source.codec_context.decode2(packet)
            if said is None or not len(said):
                return
            num_bytes = sum(len(part.ass) for part in said if isinstance(part, AssSubtitle))
            track.work += num_bytes**2
            if num_bytes > _MAX_LINE or track.work > _MAX_WORK:
                track.num_lost += 1
                return
            line = track.output.codec_context.encode_subtitle(said)
        except FFmpegError:
            track.num_lost += 1
            return
    if end <= start and is_alone:
        track.num_lost += 1
        return
    line.stream, line.time_base = track.output, _MILLISECOND
    line.pts = line.dts = start
    line.duration = max(end - start, 0)
    track.end = end
    track.lines.append(line)
