"""Packets in the middle of a video that make its decoder take much memory or time."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import av

from tests.support.media.video_files import make_video

_HEAD = 33  # bytes of a PNG up to the end of its first chunk


def with_packet(source: Path, output: Path, number: int, change: Callable[[bytes], bytes]) -> Path:
    """A copy of a video's pictures, one packet of which is changed."""
    with av.open(str(source)) as read, av.open(str(output), "w") as written:
        (stream,) = read.streams.video
        copy = written.add_stream_from_template(stream)
        for place, packet in enumerate(read.demux(stream)):
            if packet.size:
                again = av.Packet(change(bytes(packet)) if place == number else bytes(packet))
                again.pts, again.dts, again.time_base = packet.pts, packet.dts, packet.time_base
                again.stream, again.is_keyframe = copy, packet.is_keyframe
                written.mux(again)
    return output


def with_chunk(folder: Path, kind: bytes, data: bytes, number: int = 25) -> Path:
    """A video of PNGs, one of which has one chunk more."""
    plain = make_video(folder / "plain.mov", codec="png", pix_fmt="rgb24", sound=None)
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    name = f"{kind.decode()}.mov"
    return with_packet(plain, folder / name, number, lambda png: png[:_HEAD] + chunk + png[_HEAD:])


def packed_text(num_bytes: int) -> bytes:
    """Text of a PNG that is so long once it is unpacked."""
    return b"Comment\0\0" + zlib.compress(bytes(num_bytes), 9)


def entries(count: int) -> bytes:
    """EXIF of so many entries, each of which claims all the bytes."""
    size = 8 + 2 + 12 * count + 4
    each = b"".join(struct.pack("<HHII", 1 + i, 7, size - 8, 8) for i in range(count))
    return struct.pack("<2sHIH", b"II", 42, 8, count) + each + bytes(4)
