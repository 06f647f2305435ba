"""How much a packet may hold, and how many may be decoded for one frame.

The library decodes a whole packet at once: nothing can stop it meanwhile, and it gives all that
came of it in one list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from av.error import InvalidDataError
from av.packet import Packet
from av.stream import Stream

from simswap.errors import MediaError
from simswap.files import printable
from simswap.media.photo_files import MAX_SCANS

if TYPE_CHECKING:
    from simswap.video.source.info import VideoInfo

# Of AV1, in one packet: the picture to be shown, and those that only others refer to.
MAX_PICTURES = 32
_AV1_PICTURES = (3, 6)  # types of its units: a frame's header, a frame
MAX_SLICES = (
    1200  # parts of a picture, each of which may cover all of it: one a line of blocks does
)
_NEW_HEADER = "new_extradata"  # beside a packet: a codec's header from there on
_JPEG_SCAN = b"\xff\xda"  # begins one; in a picture's own bytes no 0xda comes behind 0xff
MAX_SOUND_FRAMES = 64  # of FLAC, whose frames of silence take 34 bytes and two megabytes decoded
_FLAC_BEGINNINGS = (b"\xff\xf8", b"\xff\xf9")
_BY_CHANCE = 16_384  # bytes of sound, of which one may look like a beginning
MAX_SOUND_BYTES = 65_536  # of other sound, which takes up to 3,000 times that decoded
_PLAIN_SOUND = ("pcm_", "adpcm_", "alac")  # which takes a few times that
MAX_PLAIN_BYTES = 4_000_000

_LEAST = 50_000  # pixels of a frame; smaller ones take as long
_DELAY = 32  # frames that a decoder may take in before it gives the first
PATIENCE = 10.0  # seconds on the clock for the frames before a wanted one; mostly it is below one


def bounded(packets: Iterator[Packet], stream: Stream) -> Iterator[Packet]:
    """A stream's packets, up to the first that holds more than an encoder puts into one.

    Raises InvalidDataError there, as where a file is damaged beyond reading on.
    """
    context = stream.codec_context
    codec = "" if context is None else context.codec.canonical_name
    header = b"" if context is None else context.extradata or b""
    for packet in packets:
        if packet.has_sidedata(_NEW_HEADER):
            header = bytes(packet.get_sidedata(_NEW_HEADER))
        if packet.size and holds_too_much(memoryview(packet), stream.type, codec, header):
            raise InvalidDataError(0, "a packet holds too many pictures or too much sound")
        yield packet


def holds_too_much(data: memoryview, kind: str, codec: str, header: bytes) -> bool:
    """Whether a packet would take too long, or too much memory, at once.

    kind: of its stream, "video" or "audio"; header: its codec's extradata.
    """
    if kind == "audio":
        if codec == "flac":
            most = MAX_SOUND_FRAMES + len(data) // _BY_CHANCE
            return sum(bytes(data).count(one) for one in _FLAC_BEGINNINGS) > most
        return len(data) > (MAX_PLAIN_BYTES if codec.startswith(_PLAIN_SOUND) else MAX_SOUND_BYTES)
    if kind != "video":
        return False
    if codec == "av1":
        return sum(unit in _AV1_PICTURES for unit in _av1_units(data)) > MAX_PICTURES
    if codec == "mjpeg":
        return bytes(data).count(_JPEG_SCAN) > MAX_SCANS
    size = _length_size(codec, header)
    if size and (_num_parts(data, size) > MAX_SLICES or _is_header(data, codec)):
        return True
    # Where there should be lengths, the library takes marks as well, if a packet begins with one.
    return bytes(data).count(b"\0\0\1") > MAX_SLICES


def _length_size(codec: str, header: bytes) -> int:
    """Bytes of the length before each part of a packet; 0 where marks stand between them."""
    if codec == "h264" and header[:1] == b"\1" and len(header) > 4:
        return (header[4] & 3) + 1
    if codec == "hevc" and len(header) > 21 and header[:3] > b"\0\0\1":
        return (header[21] & 3) + 1
    return 0


def _is_header(data: memoryview, codec: str) -> bool:
    """Whether a packet is a header of H.264, which may change the lengths of those behind it.

    As a length, its beginning would be one of 16 MB.
    """
    return codec == "h264" and len(data) > 8 and data[0] == 1 and not data[2] and data[4] >= 0xFC


def _av1_units(data: memoryview) -> Iterator[int]:
    """The types of a packet's units (AV1 specification, 5.3)."""
    position = 0
    while position < len(data):
        first = data[position]
        position += 2 if first & 4 else 1
        size = shift = 0
        more = bool(first & 2)
        if not more:  # the last unit has no size
            size = len(data) - position
        while more and position < len(data) and shift < 56:
            size |= (data[position] & 127) << shift
            more, shift, position = bool(data[position] & 128), shift + 7, position + 1
        yield first >> 3 & 15
        position += size


def _num_parts(data: memoryview, size: int) -> int:
    """How many parts a packet has, before each of which stands its length in `size` bytes."""
    position = count = 0
    while position + size <= len(data) and count <= MAX_SLICES:
        position += size + int.from_bytes(data[position : position + size], "big")
        count += 1
    return count


def in_reach(
    packets: Iterator[Packet],
    info: VideoInfo,
    first: int,
    end: int,
    has_begun: Callable[[], bool],
) -> Iterator[Packet]:
    """The packets of frames `first` to `end` - 1, and of no more before them than may be decoded.

    has_begun: whether a wanted frame has come; from then on the caller's own time would count too.
    Raises MediaError where a key frame lies too far back, or a seek does not get there.
    """
    if info.max_reach is None:
        yield from packets
        return
    cost = max(info.width * info.height, _LEAST)
    left = info.max_reach + (end - first + _DELAY) * cost
    left *= 1 + info.is_interlaced  # each field may have a packet of its own
    deadline = time.monotonic() + PATIENCE
    for packet in packets:
        context = packet.stream.codec_context  # frames may have grown since the first
        left -= max(context.width * context.height, cost)
        if left < 0 or (time.monotonic() > deadline and not has_begun()):
            raise MediaError(
                f"{printable(info.path.name)} at {info.seconds(first):.2f} s: too many frames lie "
                f"behind the last key frame; {info.max_reach // cost} may, or what takes "
                f"{PATIENCE:.0f} s. Choose an earlier part, or write the video with more key "
                "frames first."
            )
        yield packet
