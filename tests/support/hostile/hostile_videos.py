"""Videos made to harm, as bytes: small files that ask for much memory or time.

HOSTILE_VIDEOS names them all, in the sizes in which they once did harm.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from fractions import Fraction
from functools import partial

import av
import numpy as np

from tests.support.hostile.hostile_photos import gif_of_frames

MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def mp4_of_claims(num_samples: int, num_tracks: int = 1, claims: str = "sizes") -> bytes:
    """Attacks who lists a video's frames: a few bytes claim millions of them, in every track.

    claims: the table that claims them: "sizes" (one size for all), "times" or "offsets".
    """
    tables = _tables(num_samples)
    if claims != "sizes":
        tables[b"stsz"] = struct.pack(">III", 0, 1, 1)
    if claims == "offsets":
        tables[b"ctts"] = struct.pack(">III", 1, num_samples, 7)
    tracks = (_track(number + 1, num_samples, tables) for number in range(num_tracks))
    return _movie(num_samples, *tracks)


def mp4_of_tracks(num_tracks: int) -> bytes:
    """Attacks who prepares every track: thousands that hold one frame each."""
    return _movie(1, *(_track(number + 1, 1, _tables(1)) for number in range(num_tracks)))


def mov_of_tiny_samples(num_samples: int) -> bytes:
    """Attacks limits that come after the cost: frames of one byte each, all of them real."""
    tables = _tables(num_samples)
    movie = _movie(num_samples, _track(1, num_samples, tables), bytes(num_samples))
    return movie.replace(b"isom", b"qt  ", 1)


def mp4_of_fragments(num_samples: int, num_fragments: int) -> bytes:
    """Attacks limits on a movie's own tables: fragments claim the frames instead."""
    extends = _full(b"trex", 0, 0, struct.pack(">IIIII", 1, 1, 1, 1, 0))
    movie = _movie(1, _track(1, 0, _tables(0)), more=_box(b"mvex", extends))
    runs = _full(b"tfhd", 0, 0x020000, struct.pack(">I", 1))
    runs += _full(b"trun", 0, 0, struct.pack(">I", num_samples))
    return movie + _box(b"moof", _box(b"traf", runs)) * num_fragments


def mp4_of_edits(num_edits: int) -> bytes:
    """Attacks who follows edit lists: each of 12 bytes shows all frames once more."""
    edits = struct.pack(">I", num_edits) + struct.pack(">IiI", 1000, 0, 0x10000) * num_edits
    edit_list = _box(b"edts", _full(b"elst", 0, 0, edits))
    return _movie(1000, _track(1, 1000, _tables(1000), more=edit_list), bytes(1000))


def mp4_of_boxes(depth: int) -> bytes:
    """Attacks who reads boxes by calling itself: boxes in boxes."""
    content = b""
    for _ in range(depth):
        content = _box(b"trak", content)
    return _box(b"ftyp", b"isom\0\0\2\0isom") + _box(b"moov", content)


def growing_frames(
    codec: str,
    kind: str,
    width: int,
    height: int,
    num_frames: int = 2,
    num_small: int = 1,
    pix_fmt: str = "yuv420p",
) -> bytes:
    """Attacks size limits at the start: the first frames are 64 x 64, the next ones are huge.

    codec, kind: an encoder, and a container that takes its packets as they are. The huge ones are
    all held for later ones to refer to, as far as the codec has it.
    """
    small = _encoded(codec, 64, 64, num_small)
    packets = [*small, *_encoded(codec, width, height, num_frames, pix_fmt)]
    stored = io.BytesIO()
    with av.open(stored, "w", format=kind) as container:
        stream = _stream(container, codec, 64, 64)
        container.start_encoding()
        for number, data in enumerate(packets):
            packet = av.Packet(data)
            packet.stream, packet.pts, packet.dts = stream, number, number
            packet.time_base, packet.is_keyframe = Fraction(1, 25), number in (0, len(small))
            container.mux(packet)
    return stored.getvalue()


def large_frames(width: int, height: int, num_frames: int) -> bytes:
    """Attacks memory and time of decoders: plain frames as large as are taken, of one colour."""
    stored = io.BytesIO()
    with av.open(stored, "w", format="mp4") as container:
        stream = _stream(container, "libx264", width, height)
        for _ in range(num_frames):
            container.mux(stream.encode(_frame(width, height)))
        container.mux(stream.encode())
    return stored.getvalue()


def mkv_of_claims(num_bytes: int) -> bytes:
    """Attacks who trusts a length: an element that claims more than the file has."""
    whole = bytearray(growing_frames("libvpx-vp9", "matroska", 64, 64, 1))
    place = whole.index(b"\x16\x54\xae\x6b") + 4  # the size of Tracks
    whole[place : place + 1] = b"\x01" + num_bytes.to_bytes(7, "big")
    return bytes(whole)


def mkv_of_cues(num_cues: int) -> bytes:
    """Attacks who keeps an index: cues without end, of some bytes each, at the end of the file."""
    positions = _element(b"\xf7", b"\1") + _element(b"\xf1", b"\1")
    cue = _element(b"\xbb", _element(b"\xb3", b"\1") + _element(b"\xb7", positions))
    return growing_frames("libvpx-vp9", "matroska", 64, 64, 1) + _element(
        b"\x1c\x53\xbb\x6b", cue * num_cues
    )


def avi_of_index(num_entries: int) -> bytes:
    """Attacks who keeps an index: all entries of an AVI's point to one frame."""
    stored = io.BytesIO()
    with av.open(stored, "w", format="avi") as container:
        stream = _stream(container, "mpeg4", 64, 64, "yuv420p")
        container.mux(stream.encode(_frame(64, 64)))
        container.mux(stream.encode())
    whole = stored.getvalue()
    place = whole.index(b"idx1")
    entry = whole[place + 8 : place + 24]
    return whole[:place] + b"idx1" + struct.pack("<I", 16 * num_entries) + entry * num_entries


def stream_of_programs(num_tables: int) -> bytes:
    """Attacks who prepares every stream: a broadcast that announces new ones in each packet."""
    packets = []
    for number in range(num_tables):
        streams = b"".join(
            struct.pack(">BHH", 0x1B, 0xE000 | (0x100 + (number * 30 + n) % 0x1E00), 0xF000)
            for n in range(30)
        )
        table = struct.pack(">HHBBBHH", 0xB000 | (13 + len(streams)), 1, 0xC1, 0, 0, 0xE100, 0xF000)
        table = b"\2" + table[:2] + table[2:] + streams
        packets.append(_transport(0x20, b"\0" + table + struct.pack(">I", _crc(table))))
    programs = b"\0" + struct.pack(">HHBBBHH", 0xB00D, 1, 0xC1, 0, 0, 1, 0xE020)
    first = _transport(0, b"\0" + programs + struct.pack(">I", _crc(programs)))
    return (first + b"".join(packets)).ljust(188 * 8, b"\xff")


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", len(content) + 8) + kind + content


def _full(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags), *parts)


def _tables(num_samples: int) -> dict[bytes, bytes]:
    """A track's tables: one frame a millisecond, of one byte each, one after the other."""
    return {
        b"stts": struct.pack(">III", 1, num_samples, 1),
        b"stsc": struct.pack(">IIII", 1, 1, max(num_samples, 1), 1),
        b"stsz": struct.pack(">II", 1, num_samples),
        b"stco": struct.pack(">II", 1, 48),
    }


def _track(number: int, length: int, tables: dict[bytes, bytes], more: bytes = b"") -> bytes:
    side = 64 << 16
    head = struct.pack(">IIIII", 0, 0, number, 0, length) + bytes(16) + MATRIX
    media = struct.pack(">IIIIHH", 0, 0, 1000, length, 0x55C4, 0)
    entry = bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", 64, 64)
    entry += struct.pack(">IIIH", 0x480000, 0x480000, 0, 1) + bytes(32) + b"\0\x18\xff\xff"
    described = _full(b"stsd", 0, 0, struct.pack(">I", 1), _box(b"mp4v", entry))
    where = _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1)))
    held = (_full(kind, 0, 0, table) for kind, table in tables.items())
    media_parts = (
        _full(b"mdhd", 0, 0, media),
        _full(b"hdlr", 0, 0, bytes(4), b"vide", bytes(12), b"v\0"),
        _box(
            b"minf", _full(b"vmhd", 0, 1, bytes(8)), where, _box(b"stbl", described, b"".join(held))
        ),
    )
    return _box(
        b"trak",
        _full(b"tkhd", 0, 7, head, struct.pack(">II", side, side)),
        more,
        _box(b"mdia", *media_parts),
    )


def _movie(length: int, *tracks: bytes, more: bytes = b"") -> bytes:
    """A movie of tracks. What among them is no track becomes its data, beside 4 kB of zeros."""
    data = b"".join(track for track in tracks if track[4:8] != b"trak")
    tracks = tuple(track for track in tracks if track[4:8] == b"trak")
    head = struct.pack(">IIIIIH", 0, 0, 1000, length, 0x10000, 0x100) + bytes(10) + MATRIX
    head += bytes(24) + struct.pack(">I", len(tracks) + 1)
    kind = _box(b"ftyp", b"isom", struct.pack(">I", 512), b"isomiso2mp41")
    return (
        kind
        + _box(b"mdat", bytes(4096), data)
        + _box(b"moov", _full(b"mvhd", 0, 0, head), *tracks, more)
    )


def _element(kind: bytes, content: bytes) -> bytes:
    """An element of Matroska."""
    return kind + b"\x01" + len(content).to_bytes(7, "big") + content


def _transport(program: int, content: bytes) -> bytes:
    """A packet of an MPEG transport stream, whose content begins here."""
    return (struct.pack(">BHB", 0x47, 0x4000 | program, 0x10) + content).ljust(188, b"\xff")


def _crc(content: bytes) -> int:
    """CRC-32 as MPEG counts it."""
    value = 0xFFFFFFFF
    for byte in content:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value


def _stream(container, codec: str, width: int, height: int, pix_fmt: str = "yuv420p"):
    in_band = "repeat-headers=1:ref=16:bframes=0:scenecut=0"
    options = {"libx264": {"preset": "ultrafast", "x264-params": in_band}}
    if codec.startswith("libvpx"):
        options[codec] = {"deadline": "realtime", "cpu-used": "8"}
    stream = container.add_stream(codec, rate=25, options=options.get(codec, {}))
    stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
    stream.codec_context.thread_count = 1
    return stream


def _frame(width: int, height: int, pix_fmt: str = "yuv420p") -> av.VideoFrame:
    planes = np.full((height * 3 // 2, width), 128, np.uint8)
    return av.VideoFrame.from_ndarray(planes, format="yuv420p").reformat(format=pix_fmt)


def _encoded(
    codec: str, width: int, height: int, num_frames: int, pix_fmt: str = "yuv420p"
) -> list[bytes]:
    """Packets of frames of one colour, each of which says its own size."""
    with av.open(io.BytesIO(), "w", format="nut") as container:
        stream = _stream(container, codec, width, height, pix_fmt)
        packets, frame = [], _frame(width, height, pix_fmt)
        for number in range(num_frames):
            frame.pts, frame.time_base = number, Fraction(1, 25)
            packets += stream.encode(frame)
        return [bytes(packet) for packet in packets + stream.encode()]


HOSTILE_VIDEOS: dict[str, Callable[[], bytes]] = {
    "MP4 of 20 M claimed frames": partial(mp4_of_claims, 20_000_000),
    "MP4 of 20 M claimed frames in 8 tracks": partial(mp4_of_claims, 20_000_000, 8),
    "MP4 of 80 M claimed frames": partial(mp4_of_claims, 80_000_000),
    "MP4 of 80 M claimed times": partial(mp4_of_claims, 80_000_000, 1, "times"),
    "MP4 of 80 M claimed offsets": partial(mp4_of_claims, 80_000_000, 1, "offsets"),
    "MP4 of 300,000 claimed frames in 100 tracks": partial(mp4_of_claims, 300_000, 100),
    "MP4 of 5,000 tracks": partial(mp4_of_tracks, 5_000),
    "MP4 of 80 M frames in a fragment": partial(mp4_of_fragments, 80_000_000, 1),
    "MP4 of 4,000 fragments of 50,000 frames": partial(mp4_of_fragments, 50_000, 4_000),
    "MP4 of 20,000 edits": partial(mp4_of_edits, 20_000),
    "MP4 of boxes in boxes": partial(mp4_of_boxes, 3_000),
    "MOV of 2 M frames of a byte": partial(mov_of_tiny_samples, 2_000_000),
    "MOV of 50 M frames of a byte": partial(mov_of_tiny_samples, 50_000_000),
    "VP8 that grows": partial(growing_frames, "libvpx", "webm", 6_000, 6_000),
    "VP9 that grows": partial(growing_frames, "libvpx-vp9", "webm", 5_000, 5_000),
    "H.264 that grows": partial(growing_frames, "libx264", "mpegts", 8_192, 8_192),
    "H.264 that grows, MKV": partial(growing_frames, "libx264", "matroska", 8_192, 8_192),
    "H.264 that grows at frame 40": partial(
        growing_frames, "libx264", "matroska", 3840, 2160, 24, 40, "yuv420p10le"
    ),
    "H.264 of full colours that grows at frame 40": partial(
        growing_frames, "libx264", "matroska", 3840, 2160, 24, 40, "yuv444p10le"
    ),
    "VP9 that grows at frame 40": partial(growing_frames, "libvpx-vp9", "webm", 3840, 2160, 24, 40),
    "H.264 of 8192 x 4608": partial(large_frames, 8_192, 4_608, 24),
    "MKV that claims a terabyte": partial(mkv_of_claims, 2**40),
    "MKV of 2 M cues": partial(mkv_of_cues, 2_000_000),
    "AVI of 3 M entries": partial(avi_of_index, 3_000_000),
    "Broadcast of 30,000 streams": partial(stream_of_programs, 1_000),
    "GIF of 500 frames of 37 megapixels": partial(gif_of_frames, 8_192, 4_608, 500),
    "GIF of 5,000 frames of 8 megapixels": partial(gif_of_frames, 3_840, 2_160, 5_000),
    "GIF of 500,000 frames": partial(gif_of_frames, 640, 480, 500_000),
}
