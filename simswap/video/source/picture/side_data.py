"""What lies beside a decoded frame: how it was mastered, which way up it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame

_DISPLAY_NUMBERS = 22  # ten fractions of two whole numbers each, and two flags
_CONTENT_NUMBERS = 2
_PRIMARIES, _LUMINANCE = 50_000, 10_000  # units of x265: a so-manieth, and of a cd/m2
_OF_SCENES = {
    Type.DYNAMIC_HDR_PLUS,
    Type.DYNAMIC_HDR_VIVID,
    Type.DOVI_METADATA,
    Type.DOVI_RPU_BUFFER,
}


@dataclass(frozen=True)
class Mastering:
    """For which display an HDR video was made (SMPTE ST 2086), and how bright it is (CTA-861.3).

    display: x and y of red, green, blue and white, in 50000ths, then the least and greatest light
    in 10000ths of a cd/m2; content: light of the brightest pixel and frame, in cd/m2. None where
    the file does not say. has_scenes: whether it tells for each scene how to show it (HDR10+,
    Dolby Vision).
    """

    display: tuple[int, ...] | None = None
    content: tuple[int, int] | None = None
    has_scenes: bool = False


def side_data_of(frame: VideoFrame) -> Mapping[Type, SideData] | None:
    """By kind; None where the library has no name for some of it."""
    try:
        return {data.type: data for data in frame.side_data}
    except ValueError:
        return None


def mastering_of(frame: VideoFrame) -> Mastering:
    """What a frame tells of its mastering; numbers that cannot be are left out."""
    found = side_data_of(frame) or {}
    display = _display(_numbers(found, Type.MASTERING_DISPLAY_METADATA, _DISPLAY_NUMBERS))
    content = _numbers(found, Type.CONTENT_LIGHT_LEVEL, _CONTENT_NUMBERS)
    if any(not 0 <= value < 1 << 16 for value in content):
        content = ()
    return Mastering(display, tuple(content) or None, not _OF_SCENES.isdisjoint(found))


def _numbers(found: Mapping[Type, SideData], kind: Type, count: int) -> list[int]:
    """The first numbers of some side data; empty where there are not so many."""
    data = found.get(kind)
    if data is None or data.buffer_size < 4 * count:
        return []
    return np.frombuffer(data, np.int32, count).tolist()


def _display(numbers: list[int]) -> tuple[int, ...] | None:
    *fractions, has_primaries, has_luminance = numbers or [0, 0]
    parts, wholes = fractions[::2], fractions[1::2]
    if not (has_primaries and has_luminance) or 0 in wholes:
        return None
    units = [_PRIMARIES] * 8 + [_LUMINANCE] * 2
    values = [
        round(unit * part / whole) for unit, part, whole in zip(units, parts, wholes, strict=True)
    ]
    is_sound = all(0 <= value <= _PRIMARIES for value in values[:8])
    return tuple(values) if is_sound and 0 <= values[8] < values[9] < 1 << 32 else None
