"""The metadata label of a video: a sentence in the container's comment that programs can read too.

As with photos, it is metadata: anyone can strip or write it, and it proves nothing.
"""

from __future__ import annotations

import os
import re

from simswap import __version__
from simswap.files import printable
from simswap.provenance.metadata import (
    COMPOSITE_WITH_MODEL,
    SOURCE_TYPES,
    SYNTHETIC_TERMS,
    MetadataLabel,
    synthetic_xmp,
)
from simswap.provenance.search import first_text
from simswap.video.source.info import look_at
from simswap.video.source.limits import VERIFY_LIMITS, VideoLimits

_BEGINS = "Faces in this video were changed by a trained model. "
_COMMENT = _BEGINS + (
    "Digital source type: {source_type}; software: SimSwap {version}; model: {model}"
)
_TOLD = re.compile(
    re.escape(_COMMENT.partition("{")[0] + SOURCE_TYPES).encode()
    + f"(?:{'|'.join(SYNTHETIC_TERMS)});".encode()
)
_TERM = re.compile(r"https?://cv\.iptc\.org/newscodes/digitalsourcetype/(\w+)")


def video_metadata(model: str, format: str = "mp4") -> dict[str, str]:
    """Tags that mark a video as synthetic, naming the model bundle; for `join_segments`.

    A WebP's is the XMP of a photo, that of all other formats a comment.

    Nothing else goes in: no date, no file name, nothing of who made the video or from what.
    """
    if format == "webp":
        return {"xmp": synthetic_xmp(model).decode()}
    comment = _COMMENT.format(
        source_type=COMPOSITE_WITH_MODEL, version=__version__, model=printable(model)
    )
    return {"comment": comment}


def read_video_label(
    path: str | os.PathLike[str], limits: VideoLimits = VERIFY_LIMITS
) -> MetadataLabel | None:
    """The metadata label in a video's tags, ours or another program's; None if there is none.

    Raises MediaError if the file cannot be opened, is no video, or costs too much to be opened.
    """
    texts = list(look_at(path, limits).tags)
    with open(path, "rb") as stream:  # of several of one name, the library knows the last
        texts += filter(None, [first_text(stream, _TOLD)])
    for text in texts:
        for found in _TERM.finditer(text):
            if found[1] in SYNTHETIC_TERMS:
                return MetadataLabel(_field(text, "software"), _field(text, "model"), found[0])
    return None


def _field(text: str, name: str) -> str | None:
    found = re.search(rf"\b{name}: ([^;]+)", text)
    return printable(found[1].strip()) if found else None
