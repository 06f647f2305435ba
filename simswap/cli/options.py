"""What can be typed after `python -m simswap`, and what is said when it is mistyped."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

from simswap import __version__
from simswap.cli import convert as convert_command
from simswap.cli import deploy, download, video
from simswap.errors import OptionError
from simswap.files import printable
from simswap.media.decoding import MAX_PIXELS, MIN_SIDE
from simswap.types import FaceChoice, SwapOptions, parse_faces

PROGRAM = "python -m simswap"


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence and a hint, without the usage lines."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong on stderr and leave with exit code 2."""
        end = "" if message.endswith((".", "?")) else "."
        message = printable(message, limit=500)
        self.exit(2, f"{self.prog}: {message}{end} See {self.prog} --help.\n")


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line's values, with `command` and (for its errors) `parser`.

    Raises SystemExit: 2 for a wrong command line, which has been told on stderr; 0 after --help.
    """
    parser = Parser(
        prog=PROGRAM, description="Swap faces in photos and videos.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"SimSwap {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    parsers = {}
    for name, summary, add_options in (
        ("image", "swap faces in a photo", _add_image),
        ("video", video.SUMMARY, _add_video),
        ("faces", "list the faces of a photo, largest first", _add_faces),
        ("verify", "tell what a photo's or video's signature and marks say", _add_verify),
        ("convert", convert_command.SUMMARY, convert_command.add_options),
        ("download", download.SUMMARY, download.add_options),
        ("deploy", deploy.SUMMARY, deploy.add_options),
        ("benchmark", "time the stages of a swap on this machine", _add_benchmark),
    ):
        description = f"{summary.capitalize()}."
        parsers[name] = commands.add_parser(
            name, help=summary, description=description, allow_abbrev=False
        )
        parsers[name].set_defaults(parser=parsers[name])
        add_options(parsers[name])
    _check_words(arguments, parser, parsers)
    return parser.parse_args(arguments)


def swap_options(arguments: argparse.Namespace) -> SwapOptions:
    """SwapOptions as typed; a value outside its range is a wrong command line."""
    try:
        return SwapOptions(
            faces=getattr(arguments, "faces", "all"),
            min_score=arguments.min_score,
            match_colour=not getattr(arguments, "no_colour_match", False),
            label=getattr(arguments, "label", False),
        )
    except OptionError as error:
        arguments.parser.error(str(error))


def _check_words(arguments: Sequence[str], parser: Parser, parsers: dict[str, Parser]) -> None:
    """Tell a mistyped command or option before argparse tells what is missing because of it."""
    words = list(arguments)
    words = words[: words.index("--")] if "--" in words else words
    command = next((word for word in words if not word.startswith("-")), None)
    if command is not None and command not in parsers:
        parser.error(f"unknown command {command!r}{_nearest(command, parsers)}")
    chosen = parsers.get(command, parser)
    known = re.findall(r"--[a-z-]+", chosen.format_help())
    for word in words:
        option = word.split("=")[0]
        if option.startswith("--") and option not in known:
            chosen.error(f"unknown option {option}{_nearest(option, known)}")


def _nearest(word: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {matches[0]}?" if matches else ""


def _add_image(parser: Parser) -> None:
    _add_files(parser, "PHOTO", ".png, .jpg or .webp")
    parser.add_argument(
        "--quality",
        type=_whole_number(1, 100),
        default=95,
        metavar="N",
        help="of .jpg and .webp, 1 to 100 (default 95)",
    )
    _add_swap(parser)


def _add_video(parser: Parser) -> None:
    _add_files(parser, "VIDEO", ".mp4 or .webm")
    video.add_options(parser, _whole_number)
    _add_swap(parser)


def _add_files(parser: Parser, kind: str, endings: str) -> None:
    parser.add_argument(
        "--source",
        required=True,
        action="append",
        metavar="PHOTO",
        help="who gives the face; repeat it for several photos of the same person",
    )
    parser.add_argument("--target", required=True, metavar=kind, help="whose faces are replaced")
    parser.add_argument("--output", required=True, metavar="FILE", help=endings)


def _add_swap(parser: Parser) -> None:
    parser.add_argument(
        "--faces",
        type=_face_choice,
        default=SwapOptions.faces,
        metavar="WHICH",
        help="all (default), largest, or numbers as `faces` lists them, such as 0,2",
    )
    parser.add_argument(
        "--label", action="store_true", help="write a small visible label into a corner"
    )
    parser.add_argument(
        "--no-colour-match",
        action="store_true",
        help="leave the colours of the swapped face as the model made them",
    )
    _add_min_score(parser)
    _add_model(parser)


def _add_faces(parser: Parser) -> None:
    parser.add_argument("photo", metavar="PHOTO")
    parser.add_argument("--json", action="store_true", help="for other programs to read")
    _add_min_score(parser)
    _add_model(parser)


def _add_verify(parser: Parser) -> None:
    parser.add_argument("file", metavar="FILE", help="exit code 0: marked as synthetic, 1: not")
    parser.add_argument("--json", action="store_true", help="for other programs to read")
    parser.add_argument(
        "--metadata-only",
        action="store_true",
        help="do not look for the invisible mark, which needs the model: faster",
    )
    _add_model(parser)


def _add_benchmark(parser: Parser) -> None:
    parser.add_argument("--target", metavar="PHOTO", help="default: a made-up one, with one face")
    parser.add_argument("--video", metavar="VIDEO", help="time the swap of a video file instead")
    parser.add_argument(
        "--size", type=_size, metavar="WxH", help="of the made-up photo (default 1280x720)"
    )
    parser.add_argument(
        "--repeat", type=_whole_number(1, 10_000), default=20, metavar="N", help="default 20"
    )
    parser.add_argument("--json", action="store_true", help="for other programs to read")
    _add_model(parser)


def _add_min_score(parser: Parser) -> None:
    parser.add_argument(
        "--min-score",
        type=float,
        default=SwapOptions.min_score,
        metavar="X",
        help=f"ignore target faces found with less confidence (default {SwapOptions.min_score})",
    )


def _add_model(parser: Parser) -> None:
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a model folder or a Hub repo id (default: the bundled model)",
    )
    download.add_choice(parser)


def _face_choice(text: str) -> FaceChoice:
    try:
        return parse_faces(text)
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error


def _whole_number(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")

    return convert


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 1280x720")
    width, height = int(match[1]), int(match[2])
    if min(width, height) < MIN_SIDE or width * height > MAX_PIXELS:
        raise argparse.ArgumentTypeError(
            f"{text} is not between {MIN_SIDE} px a side and {MAX_PIXELS // 1_000_000} million px"
        )
    return width, height
