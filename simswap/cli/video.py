"""`python -m simswap video`: swap faces in a video, or in a folder of pictures."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from simswap.cli import cluster, options
from simswap.cli.messages import give_path, say, say_notes
from simswap.errors import OptionError, SimSwapError
from simswap.types import Source, SwapOptions

if TYPE_CHECKING:
    from tqdm import tqdm

    from simswap.cluster import Run
    from simswap.swapper import FaceSwapper
    from simswap.video.on_cluster import Cluster
    from simswap.video.options import OnProgress, VideoOptions, VideoProgress, VideoReport

    Swap = Callable[[FaceSwapper, Source, SwapOptions, OnProgress, Cluster | None], VideoReport]

LINE_SECONDS = 10.0  # between two lines of progress where there is no terminal


def add_options(parser: ArgumentParser) -> None:
    """The options of `video`."""
    options.add_files(parser, "VIDEO", ".mp4, .mov, .mkv, .webm, .gif or .webp")
    add = parser.add_argument
    add(
        "--frames",
        action="store_true",
        help="target and output are folders of pictures, taken in the order of their names",
    )
    options.add_part(parser)
    add(
        "--crf",
        type=options.whole_number(0, 63),
        metavar="N",
        help="quality, lower is better and larger (default 18, 28 for .webm)",
    )
    add(
        "--preset",
        metavar="NAME",
        help="of the encoder, speed against size: ultrafast to veryslow (default veryfast)",
    )
    add(
        "--sdr",
        action="store_true",
        help="write an HDR video in standard range; without it .mp4, .mov and .mkv stay HDR (HEVC)",
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
        help="go on where the same command was interrupted (for a video the default)",
    )
    again.add_argument("--restart", action="store_true", help="begin the video anew instead")
    cluster.add_cluster(parser)
    options.add_swap(parser)


def run(
    arguments: Namespace, load: options.Load = options.load_swapper, tasks: Run | None = None
) -> int:
    """Swap, and show how far it is; the model is loaded once all files have been found sound.

    tasks: what runs tasks on a cluster that is open already.
    """
    from simswap.video import words

    how, video = options.swap_options(arguments), video_options(arguments)
    swap = (_plan_pictures if arguments.frames else _plan_video)(arguments, video)
    sources = options.read_sources(arguments)
    swapper = load(arguments)
    source = options.identify(swapper, arguments, sources)
    bar = ProgressBar()
    try:
        with cluster.opened_cluster(arguments, tasks) as where:
            report = swap(swapper, source, how, bar.show, where)
    except KeyboardInterrupt:
        bar.end()
        say(how_to_go_on(arguments, bar.newest))
        return 130
    except SimSwapError:
        bar.end()
        raise
    bar.end()
    say_notes(report.notices)
    say(words.told(report))
    give_path(arguments.output)
    return 0


def video_options(arguments: Namespace) -> VideoOptions:
    """VideoOptions as typed; a value outside its range is a wrong command line."""
    from simswap.video.options import VideoOptions

    if arguments.frames:
        for name in ("start", "end", "crf", "job_folder", "cluster"):
            if getattr(arguments, name) is not None:
                flag = f"--{name.replace('_', '-')}"
                arguments.parser.error(f"{flag} is for videos and cannot go with --frames")
        if arguments.restart:
            arguments.parser.error(
                "--restart cannot go with --frames, which overwrites nothing; "
                "give another output folder"
            )
    given = options.given(arguments, "start", "end", "crf", "preset", "detect_every")
    try:
        steady, keep_hdr = not arguments.no_steady, not arguments.sdr
        return VideoOptions(**given, steady=steady, keep_hdr=keep_hdr)
    except OptionError as error:
        arguments.parser.error(str(error))


def _plan_pictures(arguments: Namespace, video: VideoOptions) -> Swap:
    """Check the folders, and return what does the work once the model is loaded."""
    from simswap.media.frames import FrameFolder

    folder = FrameFolder.plan(arguments.target, arguments.output, arguments.resume)

    def swap(
        swapper: FaceSwapper,
        source: Source,
        how: SwapOptions,
        on_progress: OnProgress,
        _: Cluster | None,
    ) -> VideoReport:
        from simswap.video.frame_folder import swap_folder

        return swap_folder(swapper, folder, source, how, video, on_progress)

    return swap


def _plan_video(arguments: Namespace, video: VideoOptions) -> Swap:
    """Check the files, and return what does the work once the model is loaded."""
    from simswap.media.photos import check_writable
    from simswap.video.output.animation import check_result
    from simswap.video.source.info import probe_video, trim

    output = Path(arguments.output)
    encoding = video.encoding(output)
    info = probe_video(arguments.target, video.limits)
    check_result(info, *trim(info, video.start, video.end), encoding)
    check_writable(output)

    def swap(
        swapper: FaceSwapper,
        source: Source,
        how: SwapOptions,
        on_progress: OnProgress,
        where: Cluster | None,
    ) -> VideoReport:
        return swapper.swap_video(
            arguments.target,
            output,
            source,
            how,
            video=video,
            on_progress=on_progress,
            job_folder=arguments.job_folder,
            resume=not arguments.restart,
            cluster=where,
        )

    return swap


def how_to_go_on(arguments: Namespace, progress: VideoProgress | None) -> str:
    """The message after an interruption."""
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
            self._bar = frames_bar(progress.frames_total, progress.frames_done)
        self.newest = progress
        looked_at = progress.frames_looked_at
        told = None if looked_at is None else f"Telling people apart, {looked_at} frames"
        self._bar.set_description(told, refresh=sys.stderr.isatty())
        self._bar.update(progress.frames_done - self._bar.n)

    def end(self) -> None:
        """Leave the line, so that what is said next gets its own."""
        if self._bar is not None:
            self._bar.close()


def frames_bar(total: int, done: int = 0) -> tqdm:
    """A bar of frames on stderr; where that is no terminal, a line now and then."""
    from tqdm import tqdm

    return tqdm(
        total=total,
        initial=done,
        unit=" frames",
        mininterval=0.1 if sys.stderr.isatty() else LINE_SECONDS,
        dynamic_ncols=True,
    )
