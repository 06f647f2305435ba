"""How many packets may be decoded for one frame that is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from av.packet import Packet

from simswap.errors import MediaError
from simswap.files import printable

if TYPE_CHECKING:
    from simswap.video.source.info import VideoInfo

_LEAST = 50_000  # pixels of a frame; smaller ones take as long
_DELAY = 32  # frames that a decoder may take in before it gives the first
PATIENCE = 10.0  # seconds on the clock for the frames before a wanted one; mostly it is below one


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
