"""`python -m simswap benchmark`: how fast this machine swaps a photo, or a video."""

from __future__ import annotations

import argparse
import re
from argparse import ArgumentParser, Namespace

from simswap.cli import options
from simswap.cli.messages import give, say


def add_options(parser: ArgumentParser) -> None:
    """The options of `benchmark`."""
    add = parser.add_argument
    add("--target", metavar="PHOTO", help="default: a made-up one, with one face")
    add("--video", metavar="VIDEO", help="time the swap of a video file instead")
    add("--size", type=_size, metavar="WxH", help="of the made-up photo (default 1280x720)")
    add(
        "--repeat",
        type=options.whole_number(1, 10_000),
        default=20,
        metavar="N",
        help="default 20",
    )
    options.add_json(parser)
    options.add_model(parser)


def run(arguments: Namespace) -> int:
    """Measure, and give the report."""
    if arguments.target and arguments.size:
        arguments.parser.error("--size is for the made-up photo and cannot go with --target")
    if arguments.video and (arguments.target or arguments.size):
        arguments.parser.error("--target and --size are for photos and cannot go with --video")
    (_run_video if arguments.video else _run_photo)(arguments)
    return 0


def _run_photo(arguments: Namespace) -> None:
    target = options.read_photo(arguments.target).image if arguments.target else None
    from simswap.cli.benchmark import photo

    if target is None:
        target = photo.make_photo(*(arguments.size or photo.DEFAULT_SIZE))
    report = photo.run(
        target,
        arguments.model,
        arguments.repeat,
        on_progress=say,
        detector=arguments.detector,
        runtime=arguments.runtime,
    )
    give(photo.to_json(report) if arguments.json else photo.to_markdown(report))


def _run_video(arguments: Namespace) -> None:
    from simswap.cli.benchmark import video

    report = video.run(arguments.video, arguments.model, on_progress=say, runtime=arguments.runtime)
    give(video.to_json(report) if arguments.json else video.to_markdown(report))


def _size(text: str) -> tuple[int, int]:
    from simswap.media.decoding import MAX_PIXELS, MIN_SIDE

    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 1280x720")
    width, height = int(match[1]), int(match[2])
    if min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
        raise argparse.ArgumentTypeError(
            f"{text} is not between {MIN_SIDE} px a side and {MAX_PIXELS // 1_000_000} million px"
        )
    return width, height
