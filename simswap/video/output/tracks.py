"""What a track of sound or text says of itself that the result's says too."""

from __future__ import annotations

import re

from av.stream import Disposition, Stream

_LANGUAGE = re.compile(r"[a-z]{3}")  # of ISO 639-2
_KEPT = Disposition.default | Disposition.forced | Disposition.hearing_impaired
_KEPT |= Disposition.visual_impaired | Disposition.comment


def take_over(source: Stream, output: Stream) -> None:
    """Tell of a track what the source's tells: its language, and whom it is for."""
    language = source.metadata.get("language", "")
    if _LANGUAGE.fullmatch(language) and language != "und":
        output.metadata["language"] = language
    output.disposition = source.disposition & _KEPT
