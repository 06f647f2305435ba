"""What pictures lose by the format that they are written in, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from simswap.video.output.writing import Encoding
from simswap.video.source.info import VideoInfo


def picture_losses(info: VideoInfo, encoding: Encoding) -> Iterator[str]:
    """What becomes of a video's range, depth and size."""
    if encoding.is_high_range:
        yield "HDR is kept, as HEVC with 10-bit colour; choose standard range for old players."
        if info.colour.mastering.has_scenes:
            yield "What Dolby Vision or HDR10+ tell of each scene is left out."
    elif info.colour.is_high_range:
        yield (
            "HDR becomes standard dynamic range: bright parts lose contrast. The shell can keep "
            "it, in .mp4, .mov and .mkv."
        )
    bits = 10 if encoding.is_high_range else 8
    if info.bit_depth > bits:
        yield f"{info.bit_depth}-bit colour becomes {bits}-bit."
    width, height = encoding.size(info.width, info.height)
    if (width, height) != (info.width, info.height):
        name = "HEVC" if encoding.is_high_range else "H.264"
        yield (
            f"{info.width}x{info.height} is written as {width}x{height}, as {name} takes even "
            "sizes only: the last row or column is repeated."
        )
