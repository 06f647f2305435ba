"""Decoded photos on their way from the child process that decoded them: see heif_files.

Each is a line of JSON, and after it the bytes of its colour profile, pixels and transparency.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from simswap.errors import MediaError
from simswap.media.pixels import Photo

NAME = "\0"  # what the child calls the file, whose name it is not told
_MAX_LINE = 10_000  # bytes


def hand_over(stream: BinaryIO, photo: Photo, count: int) -> None:
    """Write a photo. count: how many pictures its file has."""
    _tell(
        stream,
        shape=photo.image.shape,
        has_alpha=photo.alpha is not None,
        profile=len(photo.icc_profile or b""),
        notices=photo.notices,
        count=count,
    )
    stream.write(photo.icc_profile or b"")
    stream.write(np.ascontiguousarray(photo.image))
    if photo.alpha is not None:
        stream.write(np.ascontiguousarray(photo.alpha))


def end(stream: BinaryIO, refusal: str | None) -> None:
    """Write how it ended, and in a last line the processor time that this process has taken."""
    _tell(stream, refusal=refusal)
    stream.write(b"%f\n" % time.process_time())


def seconds_in(stream: BinaryIO) -> float | None:
    """Processor time that the child has taken, by the last line; None if it came to no end."""
    stream.seek(0, 2)
    stream.seek(max(stream.tell() - _MAX_LINE, 0))
    try:
        return float(stream.read().splitlines()[-1])
    except (ValueError, LookupError):
        return None


def handed_over(stream: BinaryIO, name: str) -> Iterator[tuple[Photo, int]]:
    """The photos of a stream that came to its end, and how many pictures their file has.

    name: of the file. Raises MediaError where the child refused it.
    """
    stream.seek(0)
    while "refusal" not in (told := json.loads(stream.readline(_MAX_LINE))):
        profile = stream.read(told["profile"]) or None
        image = np.empty(told["shape"], np.uint8)
        stream.readinto(image)
        alpha = None
        if told["has_alpha"]:
            alpha = np.empty(image.shape[:2], np.uint8)
            stream.readinto(alpha)
        notices = tuple(notice.replace(NAME, name) for notice in told["notices"])
        yield Photo(image, alpha, profile, notices), told["count"]
    if told["refusal"]:
        raise MediaError(told["refusal"].replace(NAME, name))


def _tell(stream: BinaryIO, **told: object) -> None:
    stream.write(json.dumps(told).encode() + b"\n")
