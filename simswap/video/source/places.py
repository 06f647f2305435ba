"""Where in its file what a video shows and plays is read from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from simswap.video.source.container import naming_damage, opened
from simswap.video.source.decoding.child import Piece
from simswap.video.source.decoding.process import answers_of
from simswap.video.source.info import FileRequest
from simswap.video.source.limits import VideoLimits

Span = tuple[int, int]  # bytes of a file, the last exclusive


@dataclass(frozen=True)
class PlacesRequest(FileRequest):
    """Whether pictures, sound or texts lie in any of the spans: one byte, 0 or 1."""

    spans: tuple[Span, ...]

    num_pieces = 1

    def pieces(self) -> Iterator[Piece]:
        """The byte."""
        yield 0, bytes([self._meet()])

    def _meet(self) -> bool:
        with naming_damage(self.path), opened(self.path, self.limits.max_pixels) as container:
            for packet in container.demux():
                if not packet.size:
                    continue
                if packet.pos is None or packet.pos < 0:  # it does not say
                    return True
                end = packet.pos + packet.size
                if any(start < end and packet.pos < last for start, last in self.spans):
                    return True
        return False

    def room(self, size: int) -> bytearray | None:
        """The byte's."""
        return bytearray(size) if size == 1 else None


def is_read_from(path: Path, spans: Sequence[Span], limits: VideoLimits) -> bool:
    """Whether anything that a video shows or plays lies in these bytes, or that cannot be told.

    It is found by reading the video to its end, whatever its tables look like to others. Raises
    MediaError if it cannot be opened, CostlyVideoError if that takes too much.
    """
    with closing(answers_of(PlacesRequest(path.absolute(), limits, tuple(spans)))) as answers:
        return any(bytes(piece) != b"\0" for _, piece in answers)
