"""A folder of pictures as the frames of a video: swapped one by one into another folder."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing

import numpy as np

from simswap.media.frames import FrameFolder, check_is_free
from simswap.media.photos import Photo, read_photo, write_photo
from simswap.swap.pipeline import Pipeline
from simswap.swap.stream import StreamOptions, workers_for
from simswap.swap.threads import made_ahead
from simswap.types import Source, SwapOptions, SwapResult
from simswap.video.job import QUEUE_DEPTH
from simswap.video.options import OnProgress, VideoOptions, VideoReport
from simswap.video.progress import Meter, now_and_then


def swap_folder(
    pipeline: Pipeline,
    folder: FrameFolder,
    source: Source,
    options: SwapOptions,
    video: VideoOptions,
    on_progress: OnProgress | None = None,
) -> VideoReport:
    """Swap the pictures of a folder like a video's frames; each is written as soon as it is done.

    It goes on behind the results that are there already, which are taken to be of one run. No file
    is overwritten: what has come to lie in a result's place is an error, too.
    Raises MediaError naming the picture that cannot be read or written.
    """
    every = video.detect_every
    first = folder.num_done // every * every  # where faces are looked for; the rest is not written
    context = min(every if video.steady else 0, first)
    stream = StreamOptions(every, video.steady, workers_for(pipeline.device), num_before=context)
    photos: deque[Photo] = deque()  # what a picture's file holds besides its pixels
    total = len(folder.inputs)
    meter, swapped, without_face = Meter(first, total), 0, 0
    notices: dict[str, None] = {}  # each once, in order

    def written(results: Iterator[SwapResult]) -> Iterator[SwapResult]:
        nonlocal swapped, without_face
        outputs = enumerate(folder.outputs[first:], start=first)
        for (number, output), result in zip(outputs, results, strict=True):
            like = photos.popleft()
            if number >= folder.num_done:
                check_is_free(output)
                model = pipeline.name if result.swapped else None
                told = write_photo(output, result.image, like=like, model=model)
                notices.update(dict.fromkeys(told))
            swapped += len(result.swapped)
            without_face += not result.faces
            yield result

    with (
        made_ahead(_read(folder, first, context, photos), QUEUE_DEPTH) as frames,
        closing(pipeline.swap_frames(frames, source, options, stream=stream)) as results,
    ):
        for progress in meter.followed(now_and_then(written(results)), total - first):
            if on_progress is not None:
                on_progress(progress)
    if on_progress is not None:
        on_progress(meter.progress())
    speed = meter.seconds, meter.frames_per_second
    return VideoReport(total, swapped, without_face, *speed, tuple(notices), first)


def _read(
    folder: FrameFolder, first: int, context: int, photos: deque[Photo]
) -> Iterator[np.ndarray]:
    """The pixels of pictures, from `context` before the first on.

    photos: takes what the files hold besides, from the first on.
    """
    for number in range(first - context, len(folder.inputs)):
        photo = read_photo(folder.inputs[number])
        if number >= first:
            photos.append(photo)
        yield photo.image
