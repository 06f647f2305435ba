"""What the child process of a trial run does: `python -m simswap.video.source.trial PATH LIMITS`.

Its exit code tells whether it stayed within bounds (0), whatever it thinks of the file, or ran out
of memory (OUT_OF_MEMORY), or that the file has TOO_MANY_TAGS.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from simswap.errors import MediaError
from simswap.trial_run import MAX_TAGS, OUT_OF_MEMORY, TOO_MANY_TAGS, limit_work
from simswap.video.source.container import opened
from simswap.video.source.info import look_through
from simswap.video.source.limits import OPENING_SECONDS, VideoLimits
from simswap.video.source.reading import read_frames
from simswap.video.source.structure import check_structure, is_animation

DECODED_FRAMES = 20  # a decoder holds up to 16 that later ones refer to


def main(arguments: list[str]) -> int:
    """Look through a file. arguments: its path, and the limits as JSON."""
    path, limits = Path(arguments[0]), VideoLimits(**json.loads(arguments[1]))
    limit_work(limits.max_work)
    try:
        check_structure(path, limits.max_decoded)
        if not is_animation(path) and _num_tags(path, limits) > MAX_TAGS:
            return TOO_MANY_TAGS
        info = look_through(path, limits)
        for _ in read_frames(info, 0, min(DECODED_FRAMES, info.num_frames)):
            pass
    except MediaError as error:
        return OUT_OF_MEMORY if isinstance(error.__cause__, MemoryError) else 0
    return 0


def _num_tags(path: Path, limits: VideoLimits) -> int:
    """Tags and chapters of a file. Opening it ends this process if that takes too long."""
    has_timer = hasattr(signal, "setitimer")  # not on Windows
    if has_timer:
        signal.setitimer(signal.ITIMER_PROF, OPENING_SECONDS)
    with opened(path, limits.max_pixels) as container:
        if has_timer:
            signal.setitimer(signal.ITIMER_PROF, 0)
        chapters = container.chapters()
        holders = [container.metadata, *(stream.metadata for stream in container.streams)]
        holders += [chapter["metadata"] for chapter in chapters]
        return sum(map(len, holders)) + len(chapters)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
