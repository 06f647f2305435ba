"""A folder of pictures as the frames of a video: swapped one by one into another folder."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing

import numpy as np

from simswap.media.frames import FrameFolder
from simswap.media.photos import Photo, read_photo, write_photo
from simswap.swap.stream import StreamOptions, workers_for
from simswap.swap.threads import made_ahead
from simswap.types import Source, SwapOptions
from simswap.video.job import QUEUE_DEPTH, Swapper
from simswap.video.options import OnProgress, VideoOptions, VideoReport
from simswap.video.progress import Meter


def swap_folder(
    swapper: Swapper,
    folder: FrameFolder,
    source: Source,
    options: SwapOptions,
    video: VideoOptions,
    on_progress: OnProgress | None = None,
    resume: bool = False,
) -> VideoReport:
    """Swap the pictures of a folder like a video's frames; each is written as soon as it is done.

    resume: go on behind the results that are there already, which are taken to be of one run.
    Raises MediaError naming the picture that cannot be read or written.
    """
    every = video.detect_every
    first = folder.num_done() // every * every if resume else 0
    context = min(every if video.steady else 0, first)
    stream = StreamOptions(every, video.steady, workers_for(swapper.device), num_before=context)
    photos: deque[Photo] = deque()  # what a picture's file holds besides its pixels
    total = len(folder.inputs)
    meter, swapped, without_face = Meter(on_progress, first, total), 0, 0
    notices: dict[str, None] = {}  # each once, in order

    def read() -> Iterator[np.ndarray]:
        for number in range(first - context, total):
            photo = read_photo(folder.inputs[number])
            if number >= first:
                photos.append(photo)
            yield photo.image

    with (
        made_ahead(read(), QUEUE_DEPTH) as frames,
        closing(swapper.swap_frames(frames, source, options, stream=stream)) as results,
    ):
        for output, result in zip(folder.outputs[first:], results, strict=True):
            like = photos.popleft()
            model = swapper.name if result.swapped else None
            notices |= dict.fromkeys(write_photo(output, result.image, like=like, model=model))
            swapped += len(result.swapped)
            without_face += not result.faces
            meter.count(result)
    meter.tell()
    speed = meter.seconds, meter.frames_per_second
    return VideoReport(total, swapped, without_face, *speed, tuple(notices), first)
