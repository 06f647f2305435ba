"""What a video's file claims, held against limits before any library sees it.

Tables of an MP4 may claim any number of samples in a few bytes, for each of which the library
makes entries in memory; pictures of a GIF may be a few bytes each on a canvas of any size.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from simswap.errors import MediaError
from simswap.files import printable

MAX_SAMPLES = 5_000_000  # of all tracks: pictures and sound of a day
MAX_FRAGMENTS = 2_000_000  # times tracks
MAX_BOXES = 1_000_000  # at the top level of an MP4
MAX_TABLE_BYTES = 200_000_000  # of an MP4 but its media data; a day's tables have half of it
MAX_NAMES = 500_000  # of tables in an MP4; fragments of a day have half as many
MAX_TRACKS = 200  # as many as libav takes
MAX_GIF_STEPS = 10_000_000  # blocks of a GIF, and pieces of them
# Nothing but files of these and the kinds below is ever opened: a playlist that calls itself an
# MP4 could otherwise make the library fetch addresses or read other files.
_UNCHECKED = "mpegts,mpeg,flv,asf,ogg,nut,m4v,mp3,wav,flac,aac,aiff"  # sound too, to tell it apart
_MP4_STARTS = {
    *(b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"udta", b"uuid", b"styp"),
    *(b"moof", b"sidx", b"jP  ", b"junk"),
}
_TABLES = re.compile(
    rb"trak|hdlr|stsz|stz2|stts|ctts|stsc|stco|co64|elst|sbgp|moof|trun|sidx|tfra|cmov|covr"
)
# Boxes that libav looks for tables in, should they stand at the top.
_MP4_TABLES = {
    *(b"moov", b"hoov", b"moof", b"mfra", b"mvex", b"sidx", b"trak", b"traf", b"mdia", b"minf"),
    *(b"stbl", b"dinf", b"edts", b"udta", b"meta", b"sinf", b"schi", b"wave", b"iprp", b"ipro"),
    *(b"stsz", b"stz2", b"stts", b"ctts", b"stsc", b"stco", b"co64", b"elst", b"sbgp", b"trun"),
    b"tfra",
}
_PHOTO_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*")
_MAX_CHUNKS = 1_000  # of a PNG before its pixels
_WEBP_ANIMATION = 2  # of the flags in a WebP's first chunk
_SAMPLES_PER_PIECE = 1024  # of plain sound, which libav cuts up
_ROWS_AT_ONCE = 100_000  # of a table
_FEW_EDITS = 2  # that any camera's file may have


def demuxers_for(path: Path) -> str:
    """The names of libav's readers that a file may reach, by its own first bytes."""
    with path.open("rb") as stream:
        head = stream.read(12)
    if head[4:8] in _MP4_STARTS:
        return "mov,mp4,m4a,3gp,3g2,mj2"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska,webm"
    if head.startswith(b"GIF8"):
        return "gif"
    return "avi" if head.startswith(b"RIFF") and head[8:11] == b"AVI" else _UNCHECKED


def check_is_no_photo(path: Path) -> None:
    """Raise MediaError for a photo, by its first bytes."""
    with path.open("rb") as stream:
        head = stream.read(12)
    is_photo = head.startswith(_PHOTO_STARTS) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")
    if is_photo and not is_animation(path):
        raise MediaError(
            f"{printable(path.name)} is not a video that can be read, but a photo. Give a video "
            "file."
        )


def check_structure(path: Path, max_decoded: int | None = None) -> None:
    """Raise MediaError for an MP4 or a GIF that claims more than its kind needs.

    max_decoded: pixels of all frames of a GIF together; None: any number.
    """
    name = printable(path.name)
    with path.open("rb") as stream:
        head = stream.read(12)
        stream.seek(0)
        if head[4:8] in _MP4_STARTS:
            _check_mp4(stream, name)
        elif head.startswith(b"GIF8") and max_decoded is not None:
            _check_gif(stream.read(), name, max_decoded)


def is_animation(path: Path) -> bool:
    """Whether a file says of itself that it is an animated WebP or PNG."""
    with path.open("rb") as stream:
        head = stream.read(21)
        if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
            return len(head) == 21 and bool(head[20] & _WEBP_ANIMATION)
        if not head.startswith(b"\x89PNG\r\n\x1a\n"):
            return False
        stream.seek(8)
        for _ in range(_MAX_CHUNKS):
            length, kind = struct.unpack(">I4s", stream.read(8).ljust(8, b"\0"))
            if kind in (b"acTL", b"IDAT", b"\0\0\0\0"):
                return kind == b"acTL"
            stream.seek(length + 4, os.SEEK_CUR)
    return False


@dataclass
class _Track:
    """What the tables of one track claim."""

    num_samples: int = 0
    num_chunks: int = 0
    num_edits: int = 0
    num_grouped: int = 0
    kinds: set[bytes] = field(default_factory=set)  # b"vide" or b"soun" or both
    ticks_once: bool = False  # each sample lasts one unit, as those of plain sound do
    is_reordered: bool = False
    num_pieces: float = 0  # of plain sound, but in the chunks from last_run on
    last_run: int = 2**32  # the first chunk of the last run of chunks
    last_pieces: int = 0  # in each chunk of it

    @property
    def num_entries(self) -> float:
        """How many entries libav makes of them."""
        is_sound = b"soun" in self.kinds and b"vide" not in self.kinds
        count = self.num_samples
        if is_sound and self.ticks_once and not self.is_reordered:
            num_last = max(self.num_chunks + 1 - self.last_run, 0)
            count = self.num_pieces + num_last * self.last_pieces
        if self.num_edits > _FEW_EDITS:
            count = max(count, count * self.num_edits // 2)
        return count + self.num_grouped

    def add_runs(self, runs: np.ndarray) -> None:
        """Runs of chunks: [N, 3] first chunk, samples in each chunk, format."""
        for place in range(0, len(runs), _ROWS_AT_ONCE):
            some = runs[place : place + _ROWS_AT_ONCE + 1].astype(np.float64)
            counts = np.ceil(some[:, 1] / _SAMPLES_PER_PIECE)
            self.num_pieces += float((np.diff(some[:, 0]).clip(min=0) * counts[:-1]).sum())
        if len(runs):  # of several tables, whichever libav takes: the first chunk, all the pieces
            self.last_run = min(self.last_run, int(runs[-1, 0]))
            self.last_pieces += -(-int(runs[-1, 1]) // _SAMPLES_PER_PIECE)


def _check_mp4(stream: BinaryIO, name: str) -> None:
    tracks, num_fragments, num_names, room = [_Track()], 0, 0, MAX_TABLE_BYTES
    for tables in _boxes_of_tables(stream, name):
        place = 0
        while found := _TABLES.search(tables, place):
            kind, place = found[0], found.end()
            num_names += 1
            if kind == b"covr":  # a picture, whose bytes may look like anything
                place += max(_number(tables, place - 8) - 8, 0)
                continue
            if kind == b"cmov":
                raise MediaError(
                    f"{name} has compressed headers, which are not read. Convert it to an MP4."
                )
            if kind == b"trak":
                tracks.append(_Track())
            elif kind == b"moof":
                num_fragments += 1
            elif kind == b"sidx":
                is_long = tables[place : place + 1] == b"\1"
                num_fragments += _number(tables, place + (30 if is_long else 22), 2)
            elif kind == b"tfra":
                num_fragments += _number(tables, place + 12)
            else:
                room -= _note(tracks[-1], kind, tables, place)
            if num_names > MAX_NAMES or room < 0 or len(tracks) > MAX_TRACKS + 1:
                raise _too_many_tables(name)
    total = sum(track.num_entries for track in tracks)
    if total > MAX_SAMPLES or num_fragments * len(tracks) > MAX_FRAGMENTS:
        raise MediaError(
            f"{name} claims more than {MAX_SAMPLES // 1_000_000} million pictures and pieces "
            "of sound. Cut it, or convert it to an ordinary MP4."
        )


def _note(track: _Track, kind: bytes, tables: bytes, place: int) -> int:
    """What one table, whose body begins at `place`, says of its track.

    Returns how many of its bytes were gone through: what looks like tables may share its bytes.
    """
    count = _number(tables, place + 4)
    if kind == b"hdlr":
        track.kinds |= {tables[place + 8 : place + 12]} & {b"vide", b"soun"}
    elif kind in (b"stsz", b"stz2"):
        track.num_samples = max(track.num_samples, _number(tables, place + 8))
    elif kind == b"trun":
        track.num_grouped += count
    elif kind == b"stts":
        track.ticks_once = count == 1 and _number(tables, place + 12) == 1
    elif kind == b"ctts":
        track.is_reordered = True
    elif kind == b"elst":
        track.num_edits += count
    elif kind in (b"stco", b"co64"):
        track.num_chunks = max(track.num_chunks, count)
    elif kind == b"stsc":
        runs = _rows(tables, place + 8, count, 3)
        track.add_runs(runs)
        return runs.nbytes
    elif kind == b"sbgp":
        start = place + (16 if tables[place : place + 1] == b"\1" else 12)
        groups = _rows(tables, start, _number(tables, start - 4), 2)
        track.num_grouped += int(groups[:, 0].sum(dtype=np.int64)) // 8
        return groups.nbytes
    return 0


def _rows(tables: bytes, start: int, count: int, width: int) -> np.ndarray:
    """[N, width] numbers from `start` on, N at most `count` and what there is; not copied."""
    count = min(count, max(len(tables) - start, 0) // (4 * width))
    return np.frombuffer(tables, ">u4", count * width, min(start, len(tables))).reshape(-1, width)


def _too_many_tables(name: str) -> MediaError:
    return MediaError(
        f"{name} has more tables than a video of a day. Cut it, or convert it to an ordinary MP4."
    )


def _number(data: bytes, place: int, length: int = 4) -> int:
    return int.from_bytes(data[place : place + length], "big")


def _boxes_of_tables(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """The top-level boxes of an MP4 that hold tables, whole.

    Boxes inside of them are not followed, as a box in an unusual place counts for libav too: what
    looks like the name of a table is taken for one. What is missed here, the process finds that
    looks it through.
    """
    size, position, num_bytes = os.fstat(stream.fileno()).st_size, 0, 0
    for _ in range(MAX_BOXES):
        stream.seek(position)
        head = stream.read(16)
        if len(head) < 8:
            return
        length, kind = struct.unpack_from(">I4s", head)
        if length == 1 and len(head) == 16:
            length = _number(head, 8, 8)
        elif length == 0:
            length = size - position
        if length < 8:
            return
        length = min(length, size - position)
        is_hidden = kind == b"free" and head[12:16] in (b"mvhd", b"cmov")  # libav looks there, too
        if kind in _MP4_TABLES or is_hidden:
            num_bytes += length
            if num_bytes > MAX_TABLE_BYTES:
                break
            stream.seek(position)
            yield stream.read(length)
        position += length
    raise _too_many_tables(name)


def _check_gif(data: bytes, name: str, max_decoded: int) -> None:
    width, height = struct.unpack_from("<HH", data.ljust(13), 6)
    position, num_frames, num_pieces = 13 + _colours(data[10:11]), 0, 0
    while num_pieces < MAX_GIF_STEPS and num_frames * width * height <= max_decoded:
        num_pieces += 1
        kind = data[position : position + 1]
        if kind == b"\x2c":
            num_frames += 1
            position += 10 + _colours(data[position + 9 : position + 10]) + 1
        elif kind == b"\x21":
            position += 2
        elif not kind or kind == b"\x3b":
            return
        else:
            position += 1
            continue
        while position < len(data) and data[position] and num_pieces < MAX_GIF_STEPS:
            position += 1 + data[position]
            num_pieces += 1
        position += 1
    raise MediaError(
        f"{name} has so many pictures of {width}x{height} pixels that looking through them takes "
        "too long. Convert it to an MP4, make it smaller, or cut it."
    )


def _colours(flags: bytes) -> int:
    """Bytes of the table of colours that flags tell of."""
    return 3 << (flags[0] & 7) + 1 if flags and flags[0] & 0x80 else 0
