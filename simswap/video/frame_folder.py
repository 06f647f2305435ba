"""A folder of pictures as the frames of a video: swapped one by one into another folder."""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from simswap.media.frames import FrameFolder, check_is_free
from simswap.media.photos import Photo, read_photo, write_photo
from simswap.swap.pipeline import Pipeline
from simswap.swap.selection import needs_tracks
from simswap.swap.stream import StreamOptions, frames_around, workers_for
from simswap.swap.threads import made_ahead
from simswap.types import Source, SwapOptions, SwapResult
from simswap.video.job_folder import JobFolder
from simswap.video.options import OnProgress, VideoOptions, VideoReport
from simswap.video.people import QUEUE_DEPTH, FirstPass, looks, swap_known
from simswap.video.progress import Meter, now_and_then
from simswap.video.segments import cut

SEGMENT_GROUPS = 32  # groups of `detect_every` pictures whose faces are held at once


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
    context = min(frames_around(every, video.steady), first)
    begin = first - context
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
                told = _write_new(output, result, like, pipeline.name)
                notices.update(dict.fromkeys(told))
            swapped += len(result.swapped)
            without_face += not result.faces
            yield result

    with (
        _told_apart(pipeline, folder, source, options, every, meter, on_progress) as known,
        made_ahead(_read(folder, first, context, photos), QUEUE_DEPTH) as frames,
        closing(swap_known(pipeline, frames, begin, source, options, stream, known)) as results,
    ):
        if known is not None:
            notices.update(dict.fromkeys(known.notices()))
        for progress in meter.followed(now_and_then(written(results)), total - first):
            if on_progress is not None:
                on_progress(progress)
    if on_progress is not None:
        on_progress(meter.progress())
    done = total, swapped, without_face, meter.seconds, meter.frames_per_second(meter.seconds)
    return VideoReport(*done, tuple(notices), first, meter.first_pass_seconds)


def _write_new(output: Path, result: SwapResult, like: Photo, model: str) -> tuple[str, ...]:
    """Write a result where no file is; gives its notices."""
    check_is_free(output)
    return write_photo(output, result.image, like=like, model=model if result.swapped else None)


@contextmanager
def _told_apart(
    pipeline: Pipeline,
    folder: FrameFolder,
    source: Source,
    options: SwapOptions,
    detect_every: int,
    meter: Meter,
    on_progress: OnProgress | None,
) -> Iterator[FirstPass | None]:
    """A first pass over all pictures, carried out; None where it is of no matter who is who."""
    if not needs_tracks(source, options):
        yield None
        return

    def read(first: int, end: int) -> Iterator[np.ndarray]:
        return (read_photo(path).image for path in folder.inputs[first:end])

    segments = cut(0, len(folder.inputs), SEGMENT_GROUPS * detect_every)
    with tempfile.TemporaryDirectory() as kept:
        job = JobFolder(Path(kept))
        first_pass = FirstPass(read, segments, job, source, options, detect_every)
        for progress in meter.looked_at(looks(first_pass, partial(first_pass.look, pipeline))):
            if on_progress is not None:
                on_progress(progress)
        yield first_pass


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
