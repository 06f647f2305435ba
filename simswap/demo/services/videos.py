"""What the demo does with a visitor's video; the tab and the endpoint share these functions.

All that a job writes lies in one folder among the uploads, which is removed unless the job ends
well. A GPU is asked for once to look at the faces, then once per segment of about four seconds.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import gradio as gr
import numpy as np
import spaces  # before torch, which it prepares for a GPU that is lent call by call

from simswap import (
    Face,
    OptionError,
    SwapOptions,
    SwapResult,
    VideoProgress,
    VideoReport,
)
from simswap.demo import models
from simswap.demo.calls.failures import readable_errors, thrifty
from simswap.demo.choices import VideoChoices
from simswap.demo.services import nsfw, video_limits
from simswap.demo.services import photos as service
from simswap.demo.services.cancelling import stop_if_cancelled
from simswap.demo.services.photos import Person, Roles
from simswap.demo.services.uploads import new_folder, result_name, uploaded_file, write_shown
from simswap.media import allowance
from simswap.types import Source
from simswap.video import progress
from simswap.video.job import VideoJob
from simswap.video.people import PeopleSoFar
from simswap.video.source.info import VideoInfo, probe_video, trim
from simswap.video.source.reading import read_frames

NUM_SAMPLES = 3  # frames in which faces are counted, to guess how long a segment takes
CHECK_SECONDS = 1.0  # of a video, after which it is looked at again whether it is one to refuse
GPU_ERROR = "ZeroGPU worker error"  # title of what a call that ran out of its time raises
MOST_TOLD_APART = 12  # faces of a previewed frame
MAX_TRIES = 3  # of a segment; each asks for twice the time


@dataclass(frozen=True)
class Outcome:
    """A swapped video: where it lies, and what came of it."""

    path: str
    report: VideoReport


@dataclass(frozen=True, eq=False)
class Preview:
    """One frame before and after, as paths of pictures (`after`: None without a source photo).

    seconds: when it is shown. num_faces, num_swapped: in it. frame: [H, W, 3] uint8 RGB, with the
    largest faces in it, and the embedding ([512] unit norm) of each of these.
    """

    before: str
    after: str | None
    seconds: float
    num_faces: int = 0
    num_swapped: int = 0
    frame: np.ndarray | None = None
    faces: Sequence[Face] = ()
    embeddings: Sequence[np.ndarray] = ()


def look_at(target: str | None) -> VideoInfo:
    """What an uploaded video holds; limits are checked."""
    if target is None:
        raise OptionError("There is no target video yet. Add the one to put the face into.")
    return probe_video(uploaded_file(target), video_limits.LIMITS)


@thrifty()
def preview(
    people: Sequence[Person],
    target: str | None,
    number: int,
    choices: VideoChoices,
    roles: Roles = None,
) -> Preview:
    """Frame `number` of an uploaded video, as the whole would be; as it is if nobody is put in.

    But for numbers and "largest": they mean people of the whole there, faces of this frame here.
    """
    info = look_at(target)
    options, model = choices.swap_options(), models.by_name(choices.model).name
    number = min(max(int(number), 0), info.num_frames - 1)
    frame = _frame(info, number)
    nsfw.check(frame, "This frame")
    photos = service.read_people(people, model)
    seconds, folder = info.seconds(number), new_folder()
    before = write_shown(folder / "before.jpg", frame)
    if not photos:
        return Preview(before, None, seconds)
    result, embeddings = _swap_frame(service.images_of(photos), frame, options, model, roles)
    after = write_shown(folder / "after.jpg", result.image, model if result.swapped else None)
    counts = len(result.faces), len(result.swapped)
    shown = result.faces[: len(embeddings)]
    return Preview(before, after, seconds, *counts, frame, shown, embeddings)


def swap_uploads(
    people: Sequence[Person], target: str | None, choices: VideoChoices, roles: Roles = None
) -> Generator[VideoProgress | Outcome, None, None]:
    """Swap an uploaded video: yields how far it has come, some times a second, then the outcome.

    Closing it, as Gradio does when a visitor cancels or leaves, ends the work and removes all of
    it. Raises SimSwapError, or what a lent GPU raises.
    """
    with thrifty():
        yield from _swap_uploads(people, target, choices, roles)


def _swap_uploads(
    people: Sequence[Person], target: str | None, choices: VideoChoices, roles: Roles
) -> Generator[VideoProgress | Outcome, None, None]:
    options, video = choices.swap_options(), choices.video_options()
    swapper = models.by_name(choices.model)
    photos = service.read_people(people, swapper.name)
    allowance.end_turn()  # they are smaller now, and a video may take hours
    info = look_at(target)
    video_limits.check_length(info, video.start, video.end)
    video_limits.check_held(info, video.detect_every)
    video_limits.check_format(info, choices.format)
    first, end = trim(info, video.start, video.end)
    samples = [_frame(info, number) for number in _sample(first, end)]
    for sample in samples:
        nsfw.check(sample, "The video")
    images = service.images_of(photos)
    look = _look_at_faces(images, samples, options, swapper.name, roles)
    source, faces_per_frame, told = look
    del samples
    read_notices = [notice for of_one in photos for photo in of_one for notice in photo.notices]
    with _job_folder() as folder:
        output = folder / result_name(info.path, f".{choices.format}")
        job = VideoJob.plan(swapper, info.path, output, source, options, video)

        def make_segment(number: int) -> Iterator[tuple[int, np.ndarray]]:
            with closing(_segment_steps(job, number, faces_per_frame)) as steps:
                for step in steps:
                    yield step
                    video_limits.check_written(folder)
            video_limits.check_written(folder)
            _keep_alive(folder, info.path)

        def look(number: int, people: PeopleSoFar) -> Generator[int, None, PeopleSoFar]:
            people = yield from _look_at_segment(job, number, people, faces_per_frame)
            _keep_alive(folder, info.path)
            return people

        with closing(progress.run(job, make_segment, look)) as steps:
            report = yield from _checked(video_limits.in_time(steps), info, first)
    notices = (*read_notices, *told, *report.notices)
    yield Outcome(str(output), replace(report, notices=notices))


def _checked(
    steps: Generator[VideoProgress, None, VideoReport], info: VideoInfo, first: int
) -> Generator[VideoProgress, None, VideoReport]:
    """Pass on how far a video has come, unless a swapped frame is one to refuse.

    first: number of the part's first frame. It is looked at again every second that is shown.
    """
    checked = -math.inf
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        shown = info.seconds(first + step.frames_done)
        if step.thumbnail is not None and shown - checked >= CHECK_SECONDS:
            checked = shown
            nsfw.check(step.thumbnail, "The video")
        yield step


def _segment_steps(
    job: VideoJob, number: int, faces_per_frame: float
) -> Iterator[tuple[int, np.ndarray]]:
    """A segment on a lent GPU; where the time it was lent for did not do, once more with longer."""
    for attempt in range(MAX_TRIES):
        try:
            with closing(_swap_segment(job, number, faces_per_frame, 2**attempt)) as steps:
                yield from steps
            return
        except gr.Error as error:
            if getattr(error, "title", None) != GPU_ERROR or attempt == MAX_TRIES - 1:
                raise


def _gpu_seconds(job: VideoJob, number: int, faces_per_frame: float, generosity: int) -> float:
    return job.estimated_seconds(number, faces_per_frame) * generosity


@spaces.GPU(duration=_gpu_seconds)
def _swap_segment(
    job: VideoJob, number: int, faces_per_frame: float, generosity: int
) -> Generator[tuple[int, np.ndarray], None, None]:
    """Make a segment: yields how many of its frames are done, with the newest as a thumbnail."""
    with readable_errors():
        yield from progress.segment_steps(job, models.by_name(job.model), number)


def _look_at_segment(
    job: VideoJob, number: int, people: PeopleSoFar, faces_per_frame: float
) -> Generator[int, None, PeopleSoFar]:
    """Look for people in a segment, on a lent GPU: yields how many frames are done."""
    with closing(_find_people(job, number, people, faces_per_frame)) as steps:
        for found in steps:
            if isinstance(found, int):
                yield found
            else:
                people = found
    return people


def _look_seconds(job: VideoJob, number: int, people: PeopleSoFar, faces_per_frame: float) -> float:
    return job.estimated_seconds(number, faces_per_frame)


@spaces.GPU(duration=_look_seconds)
def _find_people(
    job: VideoJob, number: int, people: PeopleSoFar, faces_per_frame: float
) -> Generator[int | PeopleSoFar, None, None]:
    """See FirstPass.look. What is known of people comes last: this may run in another process."""
    with readable_errors():
        yield (yield from job.first_pass.look(models.by_name(job.model), number, people))


@spaces.GPU(duration=20)
@readable_errors()
def _look_at_faces(
    people: list[list[np.ndarray]],
    samples: list[np.ndarray],
    options: SwapOptions,
    model: str,
    roles: Roles,
) -> tuple[Source, float, list[str]]:
    """Who gets whom, how many faces a frame has, notices; all images [H, W, 3] uint8 RGB."""
    swapper = models.by_name(model)
    source, notices = service.source_of(swapper, people, roles)
    found = [swapper.detect(frame, options.min_score) for frame in samples]
    return source, float(np.mean([len(faces) for faces in found])), notices


@spaces.GPU(duration=15)
@readable_errors()
def _swap_frame(
    people: list[list[np.ndarray]],
    frame: np.ndarray,
    options: SwapOptions,
    model: str,
    roles: Roles,
) -> tuple[SwapResult, list[np.ndarray]]:
    """A swapped frame, and the embeddings of its largest faces, each [512] unit norm."""
    swapper = models.by_name(model)
    source, _ = service.source_of(swapper, people, roles)
    result = next(swapper.swap_frames([frame], source, options))
    largest = result.faces[:MOST_TOLD_APART]
    return result, list(swapper.embed(frame, largest)) if largest else []


def _sample(first: int, end: int) -> list[int]:
    """Some frames' numbers, spread over a part of a video."""
    return sorted({int(number) for number in np.linspace(first, end - 1, NUM_SAMPLES)})


def _frame(info: VideoInfo, number: int) -> np.ndarray:
    stop_if_cancelled()
    with closing(read_frames(info, number, number + 1)) as frames:
        return next(frames)


@contextmanager
def _job_folder() -> Iterator[Path]:
    """A folder for one job and its result; removed if the block is left by anything but its end."""
    folder = new_folder()
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _keep_alive(folder: Path, target: Path) -> None:
    """Let what a long job still needs look new to what deletes old files."""
    for path in (target, *folder.rglob("*")):
        os.utime(path)
