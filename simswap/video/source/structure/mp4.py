"""What the tables of an MP4 claim.

They may tell of any number of samples in a few bytes, for each of which the library makes entries
in memory.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from simswap.errors import MediaError

MAX_SAMPLES = 5_000_000  # of all tracks: pictures and sound of a day
MAX_FRAGMENTS = 2_000_000  # times tracks
MAX_BOXES = 1_000_000  # at the top level of an MP4
MAX_TABLE_BYTES = 200_000_000  # of an MP4 but its media data; a day's tables have half of it
MAX_NAMES = 500_000  # of tables in an MP4; fragments of a day have half as many
MAX_TRACKS = 200  # as many as libav takes
_TABLES = re.compile(
    rb"trak|hdlr|stsz|stz2|stts|ctts|stsc|stco|co64|elst|sbgp|moof|trun|sidx|tfra|cmov"
)
_TO_COVERS = (b"moov", b"udta", b"meta", b"ilst", b"covr")  # box within box
# Boxes that libav looks for tables in, should they stand at the top.
_MP4_TABLES = {
    *(b"moov", b"hoov", b"moof", b"mfra", b"mvex", b"sidx", b"trak", b"traf", b"mdia", b"minf"),
    *(b"stbl", b"dinf", b"edts", b"udta", b"meta", b"sinf", b"schi", b"wave", b"iprp", b"ipro"),
    *(b"stsz", b"stz2", b"stts", b"ctts", b"stsc", b"stco", b"co64", b"elst", b"sbgp", b"trun"),
    b"tfra",
}
_SAMPLES_PER_PIECE = 1024  # of plain sound, which libav cuts up
_ROWS_AT_ONCE = 100_000  # of a table
_FEW_EDITS = 2  # that any camera's file may have


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


def check_mp4(stream: BinaryIO, name: str) -> None:
    """Raise MediaError for an MP4 that claims more than a video of a day needs.

    name: of the file, for messages.
    """
    tracks, num_fragments, num_names, room = [_Track()], 0, 0, MAX_TABLE_BYTES
    for tables in _boxes_of_tables(stream, name):
        start, covers = 0, _covers_in(tables)
        while found := _TABLES.search(tables, start):
            # What looks like a name may end in another.
            kind, place, start = found[0], found.end(), found.start() + 1
            behind = next((end for begin, end in covers if begin <= start < end), None)
            if behind is not None:
                start = behind
                continue
            num_names += 1
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


def _covers_in(tables: bytes) -> list[tuple[int, int]]:
    """Where cover pictures stand in a top-level box: their bytes may look like anything.

    Only where libav, too, takes them for nothing else: each box within its own, in the usual order.
    """
    spans = [(0, len(tables))]
    for kind in _TO_COVERS:
        spans = [inner for start, end in spans for inner in _inside(tables, start, end, kind)]
    return spans


def _inside(tables: bytes, start: int, end: int, kind: bytes) -> Iterator[tuple[int, int]]:
    """The contents of the boxes of a kind between two places."""
    while start + 8 <= end:
        length = _number(tables, start)
        if not 8 <= length <= end - start:
            return
        body = start + 8
        if tables[start + 4 : body] == kind:
            is_full = kind == b"meta" and tables[body + 4 : body + 8] != b"hdlr"
            yield body + (4 if is_full else 0), start + length
        start += length


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
