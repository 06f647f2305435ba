"""Joins encoded segments and the source's sound to one file, bit by bit the same every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from simswap.errors import MediaError
from simswap.files import JOB, replaced
from simswap.video.output.animation import write_animation
from simswap.video.output.losses import picture_losses
from simswap.video.output.muxing import MuxRequest, mux, ranks_of
from simswap.video.output.writing import Encoding
from simswap.video.source.container import naming_failures, opened
from simswap.video.source.info import VideoInfo

Seal = Callable[[Path], tuple[str, ...]]


def join_segments(
    segments: Sequence[Path],
    info: VideoInfo,
    first: int,
    end: int,
    encoding: Encoding,
    output: Path,
    *,
    metadata: Mapping[str, str],
    seal: Seal = lambda part: (),
    room: Path | None = None,
) -> tuple[str, ...]:
    """Write `output` from the encoded frames `first` to `end` - 1 and the source's sound.

    segments: in order, together exactly these frames. metadata: the container's tags, see
    label.video_metadata; nothing of the source's own tags (place, camera, date) is taken over. The
    same segments give the same bytes, up to what `seal` does: it gets the whole file before that
    stands under the output's name, may change it, and returns notices.
    room: a folder that nobody else can enter, where the file is written first: a job's, which is
    cleared when the job goes on after it was killed. None: beside the output.
    Returns notices in plain words. Raises MediaError if the segments do not fit or the output
    cannot be written.
    """
    delay = _check(segments, end - first)
    notices = tuple(picture_losses(info, encoding))
    whole = replaced(output, durable=True, follow=True, owner=JOB, within=room)
    with naming_failures(output), whole as part:
        if encoding.is_animation:
            write = partial(write_animation, segments, info, (first, end), encoding.format)
            return notices + write(part, metadata) + seal(part)
        paths = [path.absolute() for path in segments]  # another process has another folder
        request = MuxRequest(
            *(paths, info, (first, end), encoding, delay, metadata, part.absolute(), output)
        )
        return notices + mux(request) + seal(part)


def _check(segments: Sequence[Path], num_frames: int) -> int:
    """The greatest delay, in frames, between a frame's place in the file and on the screen."""
    delay, count, headers = 0, 0, set()
    for segment in segments:
        with opened(segment) as container:
            headers.add(container.streams.video[0].codec_context.extradata)
        ranks = ranks_of(segment)
        count += len(ranks)
        delay = max(delay, int((np.arange(len(ranks)) - ranks).max(initial=0)))
    if count != num_frames:
        raise MediaError(
            f"The job's segments hold {count} frames instead of {num_frames}. Start the job anew."
        )
    if len(headers) > 1:
        raise MediaError("The job's segments were written with different settings. Start it anew.")
    return delay
