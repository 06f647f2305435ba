"""`python -m simswap video`: its options, its progress bar, and what it says at the end."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from simswap.errors import OptionError
from simswap.media.frames import FrameFolder
from simswap.media.photos import check_writable
from simswap.types import Identity, SwapOptions
from simswap.video.options import OnProgress, VideoOptions, VideoProgress, VideoReport
from simswap.video.source.info import probe_video, trim
from simswap.video.writing import PRESETS

if TYPE_CHECKING:
    from simswap.swapper import FaceSwapper

SUMMARY = "swap faces in a video, or in a folder of pictures"
LINE_SECONDS = 10.0  # between two lines of progress where there is no terminal
Swap = Callable[["FaceSwapper", Identity, SwapOptions, OnProgress], VideoReport]


def add_options(parser: ArgumentParser, whole_number: Callable[[int, int], type]) -> None:
    """The options that only `video` has. whole_number: makes the type of a number in a range."""
    defaults = VideoOptions()
    add = parser.add_argument
    add(
        "--frames",
        action="store_true",
        help="target and output are folders of pictures, taken in the order of their names",
    )
    add("--start", type=_seconds, metavar="TIME", help="seconds or h:mm:ss.fff (default: start)")
    add("--end", type=_seconds, metavar="TIME", help="the first moment left out (default: end)")
    add(
        "--crf",
        type=whole_number(0, 63),
        metavar="N",
        help="quality, lower is better and larger (default 18 for .mp4, 28 for .webm)",
    )
    add(
        "--preset",
        choices=PRESETS,
        default=defaults.preset,
        help=f"of the encoder, speed against size (default {defaults.preset})",
    )
    add(
        "--detect-every",
        type=whole_number(1, 100),
        default=defaults.detect_every,
        metavar="N",
        help="look for faces in every n-th frame and follow them between: faster (default 3)",
    )
    add(
        "--no-steady",
        action="store_true",
        help="do not hold faces steady against the frames before and after",
    )
    add("--job-folder", metavar="FOLDER", help="keeps finished parts (default: beside the output)")
    again = parser.add_mutually_exclusive_group()
    again.add_argument(
        "--resume",
        action="store_true",
        help="go on where the same command was interrupted (the default)",
    )
    again.add_argument("--restart", action="store_true", help="begin anew instead")


def video_options(arguments: Namespace) -> VideoOptions:
    """VideoOptions as typed; a value outside its range is a wrong command line."""
    if arguments.frames:
        given = [
            f"--{name.replace('_', '-')}"
            for name in ("start", "end", "crf", "job_folder")
            if getattr(arguments, name) is not None
        ]
        if given:
            arguments.parser.error(f"{given[0]} is for videos and cannot go with --frames")
    names = {field.name for field in fields(VideoOptions)} & set(vars(arguments))
    try:
        values = {name: getattr(arguments, name) for name in names}
        return VideoOptions(**values, steady=not arguments.no_steady)
    except OptionError as error:
        arguments.parser.error(str(error))


def planned(arguments: Namespace, video: VideoOptions) -> Swap:
    """Check the files, and return what does the work once the model is loaded."""
    if arguments.frames:
        folder = FrameFolder.plan(arguments.target, arguments.output)

        def swap_pictures(
            swapper: FaceSwapper, source: Identity, options: SwapOptions, on_progress: OnProgress
        ) -> VideoReport:
            from simswap.video.frame_folder import swap_folder

            return swap_folder(
                swapper, folder, source, options, video, on_progress, arguments.resume
            )

        return swap_pictures
    output = Path(arguments.output)
    video.encoding(output)
    trim(probe_video(arguments.target, video.limits), video.start, video.end)
    check_writable(output)

    def swap_video(
        swapper: FaceSwapper, source: Identity, options: SwapOptions, on_progress: OnProgress
    ) -> VideoReport:
        return swapper.swap_video(
            arguments.target,
            output,
            source,
            options,
            video=video,
            on_progress=on_progress,
            job_folder=arguments.job_folder,
            resume=not arguments.restart,
        )

    return swap_video


def how_to_go_on(arguments: Namespace, progress: VideoProgress | None) -> str:
    """What somebody is told who has interrupted the work."""
    done = "" if progress is None else f" at {progress.frames_done} of {progress.frames_total}"
    if arguments.frames:
        return f"Interrupted{done} pictures. The same command with --resume goes on from there."
    return (
        f"Interrupted{done} frames. The same command goes on from the last finished segment "
        "(about four seconds each); with --restart it begins anew."
    )


class ProgressBar:
    """A bar on stderr; where that is no terminal, a line now and then."""

    def __init__(self) -> None:
        self.newest: VideoProgress | None = None
        self._bar: tqdm | None = None

    def show(self, progress: VideoProgress) -> None:
        """Take note of progress."""
        if self._bar is None:
            self._bar = tqdm(
                total=progress.frames_total,
                initial=progress.frames_done,
                unit=" frames",
                mininterval=0.1 if sys.stderr.isatty() else LINE_SECONDS,
                dynamic_ncols=True,
            )
        self.newest = progress
        self._bar.update(progress.frames_done - self._bar.n)

    def end(self) -> None:
        """Leave the line, so that what is said next gets its own."""
        if self._bar is not None:
            self._bar.close()


def _seconds(text: str) -> float:
    """Seconds of "90", "1:30" or "0:01:30.5"; raises ValueError, which argparse tells."""
    parts = text.split(":")
    if len(parts) > 3 or not all(part and part[0].isdigit() for part in parts):
        raise ValueError
    return sum(float(part) * 60**power for power, part in enumerate(reversed(parts)))


_seconds.__name__ = "time"  # what argparse calls it: "invalid time value"
