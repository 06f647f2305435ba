"""`python -m simswap people`: list the people of a video."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace
from dataclasses import asdict
from typing import TYPE_CHECKING

from simswap.cli import options
from simswap.cli.messages import give, give_path, say
from simswap.cli.video import frames_bar
from simswap.errors import OptionError

if TYPE_CHECKING:
    from simswap.types import FaceTrack
    from simswap.video.source.info import VideoInfo

BRIEF_SECONDS = 0.25  # people seen for less than this are counted only, not listed


def add_options(parser: ArgumentParser) -> None:
    """The options of `people`."""
    parser.add_argument("video", metavar="VIDEO")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help=".png, .jpg or .webp: a sheet with a picture of each"
    )
    options.add_part(parser)
    options.add_json(parser)
    options.add_min_score(parser)
    options.add_model(parser)


def run(arguments: Namespace) -> int:
    """List the people: the same numbers as `video` with the same options takes."""
    from simswap.media.photos import check_output, write_photo
    from simswap.types import SwapOptions
    from simswap.video.options import VideoOptions
    from simswap.video.source.info import probe_video, trim

    try:
        video = VideoOptions(**options.given(arguments, "start", "end", "detect_every"))
    except OptionError as error:
        arguments.parser.error(str(error))
    info = probe_video(arguments.video, video.limits)
    first, end = trim(info, video.start, video.end)
    if arguments.output:
        check_output(arguments.output)
    swapper = options.load_swapper(arguments)
    how = SwapOptions(min_score=arguments.min_score)
    with frames_bar(end - first) as bar:
        found = swapper.people_of(
            arguments.video, how, video=video, on_progress=lambda done, _: bar.update(done - bar.n)
        )
    if arguments.output:
        from simswap.cli.people.sheet import draw

        listed = [track for track in found if not _is_brief(track, info)]
        write_photo(arguments.output, draw(info, listed, end - first), model=None)
    if arguments.json:
        people = [_as_json(track, info, end - first) for track in found]
        give(json.dumps({"frames": end - first, "people": people}))
        return 0
    for line in _in_words(found, info, end - first):
        (say if arguments.output else give)(line)
    if arguments.output:
        give_path(arguments.output)
    return 0


def _as_json(track: FaceTrack, info: VideoInfo, num_frames: int) -> dict[str, object]:
    times = {name: round(info.seconds(getattr(track, name)), 3) for name in ("first", "last")}
    share = round(track.num_frames / num_frames, 4)
    return {**asdict(track), "share": share, **{f"{name}_seconds": t for name, t in times.items()}}


def _in_words(found: tuple[FaceTrack, ...], info: VideoInfo, num_frames: int) -> list[str]:
    people = "1 person" if len(found) == 1 else f"{len(found)} people"
    lines = [f"{people} in {num_frames} frames"]
    brief = [track for track in found if _is_brief(track, info)]
    for track in found:
        if track not in brief:
            x0, y0, x1, y1 = track.best_box
            lines.append(
                f"{track.number}: in {100 * track.num_frames / num_frames:.0f} % of the frames, "
                f"from {info.seconds(track.first):.2f} s to {info.seconds(track.last):.2f} s, "
                f"largest {x1 - x0:.0f}x{y1 - y0:.0f} px at {info.seconds(track.best_frame):.2f} s"
            )
    if brief:
        lines.append(f"and {len(brief)} more who are seen for less than {BRIEF_SECONDS} s each")
    return lines


def _is_brief(track: FaceTrack, info: VideoInfo) -> bool:
    return track.num_frames < BRIEF_SECONDS * float(info.frame_rate)
