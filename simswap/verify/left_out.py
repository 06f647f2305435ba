"""Whether a signed file shows what its signer's hash does not cover.

Its tables are looked at, too (see provenance.exclusions), but whoever forges a file knows more ways
to write one than a check knows to read. What is shown by those who read it cannot be talked away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from simswap.errors import CrowdedError, MediaError
from simswap.media.decoding import decode_series
from simswap.media.photos import content_of
from simswap.provenance.exclusions import boxes_left_out
from simswap.verify.watermark import MAX_FRAMES
from simswap.video.source.limits import VideoLimits
from simswap.video.source.places import Span, is_read_from


def shows_left_out(path: Path, kind: str, limits: VideoLimits) -> bool:
    """Whether a "photo" or "video" shows anything of what is left out of its hash.

    path: of a file whose tables seem to be in order. Raises MediaError if it cannot be read.
    """
    with path.open("rb") as stream:
        boxes = boxes_left_out(stream)
    if not boxes:
        return False
    if kind == "video":
        return is_read_from(path, [(head, end) for head, _, end in boxes], limits)
    # Without their heads the file would be another. Its tables were seen to point to none.
    return _changes(path, [(start, end) for _, start, end in boxes[1:] if start < end])


def _changes(path: Path, spans: Sequence[Span]) -> bool:
    """Whether a photo is another one when these bytes are zeros."""
    data, name = content_of(path)
    shown = _digest(data, name)
    data = _blanked(data, spans)  # one of them at a time, beside the process that decodes it
    try:
        return _digest(data, name) != shown
    except CrowdedError:
        raise
    except MediaError:
        return True


def _blanked(data: bytes, spans: Sequence[Span]) -> bytes:
    parts, position = [], 0
    for start, end in spans:  # in the order of the file
        parts += [memoryview(data)[position:start], bytes(end - start)]
        position = end
    return b"".join([*parts, memoryview(data)[position:]])


def _digest(data: bytes, name: str) -> bytes:
    """Of the pictures that a file shows, of an animation of some all over it."""
    digest = hashlib.sha256()
    for picture, count in decode_series(data, name, MAX_FRAMES):
        digest.update(repr((picture.shape, count)).encode())
        digest.update(picture)
    return digest.digest()
