"""Animated WebP and PNG files, read by Pillow, and how often an animation is played.

When each picture is shown stands in its file before the pictures, so that nothing is decoded to
know what the whole would cost.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from pathlib import Path

import numpy as np

from simswap.errors import MediaError
from simswap.media.decoding import decode_animation, readable_damage
from simswap.media.photo_files import Pictures, pictures_in
from simswap.media.photos import content_of
from simswap.video.source.frame_lists import FrameList, check_count
from simswap.video.source.limits import VideoLimits
from simswap.video.source.losses import TRANSPARENCY

READ_BY_PILLOW = ("webp", "apng")  # as VideoInfo.codec names them
TIME_BASE = Fraction(1, 90_000)  # s; exact for milliseconds and for usual frame rates
# Browsers show what is to last no longer than the first for the second, in seconds.
_NO_TIME, _INSTEAD = Fraction(1, 100), Fraction(1, 10)
_SLOWER = 4  # times: so much longer a picture takes than a film's; and it needs all before it
# A GIF's block of how often it is repeated, which stands at its beginning.
_GIF_REPEATS = re.compile(rb"!\xff\x0b(?:NETSCAPE2\.0|ANIMEXTS1\.0)\x03\x01(..)\0", re.DOTALL)
_GIF_BEGINNING = 100_000  # bytes


@dataclass(frozen=True, eq=False)
class Animation:
    """What an animated WebP or PNG holds.

    codec: one of READ_BY_PILLOW. size: width and height. frames: their times, in TIME_BASE.
    num_plays: how often it is shown, 0 without end. notices: what is dropped.
    """

    codec: str
    size: tuple[int, int]
    frames: FrameList
    num_plays: int
    notices: tuple[str, ...]


def look_at_animation(path: Path, limits: VideoLimits) -> Animation:
    """What an animated WebP or PNG holds; its first picture is decoded, after the limits are held.

    Raises MediaError for a damaged file or one over a limit.
    """
    data, name = content_of(path)
    with readable_damage(name):
        held = pictures_in(data, name, every=True)
        size, delays, num_plays = _webp(held) if held.kind == "WebP" else _apng(held)
        if not delays:
            raise ValueError("The animation has no pictures.")
    check_count(len(delays), limits, name)
    num_pixels = size[0] * size[1]
    whole = num_pixels * len(delays)
    costs = (
        (num_pixels, limits.max_pixels),
        (whole, limits.max_decoded),
        (whole * _SLOWER, limits.max_reach),
    )
    if any(most is not None and pixels > most for pixels, most in costs):
        raise MediaError(
            f"{name} has {len(delays)} pictures of {size[0]}x{size[1]} pixels, which are too many "
            "or too large. Make it smaller, cut it, or convert it to an MP4."
        )
    with closing(decode_animation(data, name)) as pictures:
        first = next(pictures)
    notices = [TRANSPARENCY] if first.alpha is not None and first.alpha.min() < 255 else []
    if first.icc_profile is not None:
        notices.append("The colour profile is left out.")
    ends = [round(end / TIME_BASE) for end in accumulate(map(_shown, delays))]
    times = np.array([0, *ends[:-1]], np.int64)
    frames = FrameList(times, np.empty((0, 2), np.int64), ends[-1], is_cut_short=False)
    codec = "webp" if held.kind == "WebP" else "apng"
    return Animation(codec, size, frames, num_plays, tuple(notices))


def pictures_of(path: Path) -> Iterator[np.ndarray]:
    """The pictures in order, [H, W, 3] uint8 RGB, up to the first that is damaged."""
    try:
        for photo in decode_animation(*content_of(path)):
            yield photo.image
    except MediaError as error:
        if isinstance(error.__cause__, MemoryError):
            raise


def plays_of_gif(path: Path) -> int:
    """How often a GIF is shown, 0 without end."""
    with path.open("rb") as stream:
        found = _GIF_REPEATS.search(stream.read(_GIF_BEGINNING))
    if found is None:
        return 1
    repeats = int.from_bytes(found[1], "little")
    return repeats + 1 if repeats else 0


def _shown(delay: Fraction) -> Fraction:
    return delay if delay > _NO_TIME else _INSTEAD


def _webp(held: Pictures) -> tuple[tuple[int, int], list[Fraction], int]:
    """Width and height, how long each picture is shown in seconds, and how often all of them."""
    data, size, delays, num_plays, position = held.data, (0, 0), [], 0, 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        body = data[position + 8 : position + 24]
        if kind == b"VP8X":
            size = tuple(1 + int.from_bytes(body[at : at + 3], "little") for at in (4, 7))
        elif kind == b"ANIM":
            num_plays = int.from_bytes(body[4:6], "little")
        elif kind == b"ANMF":
            delays.append(Fraction(int.from_bytes(body[12:15], "little"), 1000))
        position += 8 + length + length % 2
    return size, delays, num_plays


def _apng(held: Pictures) -> tuple[tuple[int, int], list[Fraction], int]:
    """As _webp."""
    data, delays, num_plays, position = held.data, [], 0, 8
    size = struct.unpack_from(">II", data, 16)
    while position + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        if kind == b"acTL":
            (num_plays,) = struct.unpack_from(">I", data, position + 12)
        elif kind == b"fcTL":
            part, whole = struct.unpack_from(">HH", data, position + 28)
            delays.append(Fraction(part, whole or 100))
        position += 12 + length
    return size, delays, num_plays
