"""Options that several commands share, and what they stand for.

A command's file is imported for its `--help`, so numpy, PyAV and torch are imported where they are
used: in `run`, and in the functions here.
"""

from __future__ import annotations

import argparse
import os
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from simswap.cli.messages import say, say_notes
from simswap.errors import MediaError, NoFaceFoundError, OptionError
from simswap.runtime.choice import RUNTIMES
from simswap.runtime.choice import SETTING as RUNTIME_SETTING
from simswap.types import Assignment, Identity, Source, SwapOptions, parse_faces, parse_keep

if TYPE_CHECKING:
    from simswap.media.photos import Photo
    from simswap.swapper import FaceSwapper

    Load = Callable[..., FaceSwapper]


def add_files(parser: ArgumentParser, kind: str, endings: str) -> None:
    """Source photos, a target and an output; kind: of the target, endings: of the output."""
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument(
        "--source",
        action="append",
        metavar="PHOTO",
        help="who gives the face; repeat it for several photos of the same person",
    )
    who.add_argument(
        "--assign",
        action="append",
        type=_assignment,
        metavar="PHOTO=WHO",
        help="who gives the face of one person of the target: a photo of that person "
        "(a.jpg=ref.jpg) or the number (a.jpg=#2, see `faces` and `people`); repeat it for more "
        "people, all others stay",
    )
    parser.add_argument("--target", required=True, metavar=kind, help="whose faces are replaced")
    parser.add_argument("--output", required=True, metavar="FILE", help=endings)


def add_swap(parser: ArgumentParser) -> None:
    """How to swap, and with which model."""
    parser.add_argument(
        "--faces",
        type=as_typed(parse_faces),
        default=SwapOptions.faces,
        metavar="WHICH",
        help="all (default), largest, or numbers such as 0,2: of a photo's faces as `faces` lists "
        "them, of a video's people as `people` does",
    )
    parser.add_argument(
        "--label", action="store_true", help="write a small visible label into a corner"
    )
    parser.add_argument(
        "--likeness",
        type=_likeness,
        default=SwapOptions.likeness,
        metavar="X",
        help="to the source: 0 keeps the target's own identity; up to 1.5, more of the source "
        "comes and less of the target's expression stays (default 1)",
    )
    parser.add_argument(
        "--no-colour-match",
        action="store_true",
        help="leave the colours of the swapped face as the model made them",
    )
    parser.add_argument(
        "--keep",
        type=as_typed(parse_keep),
        default=SwapOptions.keep,
        metavar="PARTS",
        help="more that stays the target's: glasses, mouth, or glasses,mouth",
    )
    parser.add_argument(
        "--no-occlusion-mask",
        action="store_true",
        help="paint over hair, hands and things before the face, too",
    )
    add_min_score(parser)
    add_model(parser)


def add_part(parser: ArgumentParser) -> None:
    """Which part of a video, and how faces are found in it."""
    add = parser.add_argument
    add("--start", type=_seconds, metavar="TIME", help="seconds or h:mm:ss.fff (default: start)")
    add("--end", type=_seconds, metavar="TIME", help="the first moment left out (default: end)")
    add(
        "--detect-every",
        type=whole_number(1, 100),
        metavar="N",
        help="look for faces in every n-th frame and follow them between: faster (default 3)",
    )


def given(arguments: Namespace, *names: str) -> dict[str, object]:
    """Those of some arguments that were typed, by name."""
    values = {name: getattr(arguments, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def add_min_score(parser: ArgumentParser) -> None:
    """How sure the detector must be of a face."""
    parser.add_argument(
        "--min-score",
        type=_min_score,
        default=SwapOptions.min_score,
        metavar="X",
        help=f"ignore target faces found with less confidence (default {SwapOptions.min_score})",
    )


def add_model(parser: ArgumentParser) -> None:
    """Which model swaps, and which detector finds the faces."""
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a model folder or a Hub repo id (default: the bundled model)",
    )
    parser.add_argument(
        "--detector",
        choices=["bundled", "insightface", "auto"],
        default="bundled",
        help="bundled (default); insightface: an SCRFD pack from SIMSWAP_INSIGHTFACE or "
        "~/.insightface/models; auto: such a pack where there is one",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        help="what computes the networks (default: SIMSWAP_RUNTIME, else what is fastest here; "
        "for one photo, torch)",
    )


def add_json(parser: ArgumentParser) -> None:
    """Whether the result is for a program to read."""
    parser.add_argument("--json", action="store_true", help="for other programs to read")


def whole_number(low: int, high: int) -> Callable[[str], int]:
    """The type of an option that takes a whole number from `low` to `high`."""

    def convert(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,9}", text) and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {low} to {high}")

    return convert


def swap_options(arguments: Namespace) -> SwapOptions:
    """SwapOptions as typed."""
    return SwapOptions(
        faces=arguments.faces,
        min_score=arguments.min_score,
        likeness=arguments.likeness,
        match_colour=not arguments.no_colour_match,
        occlusion_mask=not arguments.no_occlusion_mask,
        keep=arguments.keep,
        label=arguments.label,
    )


def load_swapper(arguments: Namespace, *, for_one_photo: bool = False) -> FaceSwapper:
    """The model, detector and runtime as typed. Raises ModelError, OptionError.

    for_one_photo: torch unless another runtime is chosen: to load one takes longer than it saves.
    """
    say("Loading the model...")
    from simswap.swapper import FaceSwapper

    runtime = arguments.runtime
    if for_one_photo and not os.environ.get(RUNTIME_SETTING):
        runtime = runtime or "torch"
    return FaceSwapper.from_pretrained(
        arguments.model, detector=arguments.detector, runtime=runtime
    )


def read_photo(path: str) -> Photo:
    """A photo, with what there is to say of it said. Raises MediaError."""
    from simswap.media import decoding, photos

    photo = photos.read_photo(path, decoding.MAX_OWN_PIXELS)
    say_notes(photo.notices)
    return photo


def read_sources(arguments: Namespace) -> dict[str, Photo]:
    """The source photos, and those of people of the target, by the paths that were typed.

    Raises MediaError, also if the output would overwrite an input.
    """
    named = [name for pair in arguments.assign or () for name in pair if isinstance(name, str)]
    sources = {
        path: read_photo(path) for path in dict.fromkeys((*(arguments.source or ()), *named))
    }
    output = Path(arguments.output)
    for path in (arguments.target, *sources):
        if output.exists() and output.samefile(path):
            raise MediaError(f"The output {output} would overwrite an input. Choose another name.")
    return sources


def identify(swapper: FaceSwapper, arguments: Namespace, sources: Mapping[str, Photo]) -> Source:
    """Who gives a face, and to whom. Raises NoFaceFoundError, RefusedFaceError.

    sources: what read_sources has read.
    """
    if arguments.source:
        identity = swapper.identity_of([sources[path].image for path in arguments.source])
        say_notes(identity.notices)
        return identity

    @cache
    def person(path: str) -> Identity:
        try:
            identity = swapper.identity_of(sources[path].image)
        except NoFaceFoundError as error:
            raise NoFaceFoundError(f"{path}: {error}") from error
        say_notes(f"{path}: {notice}" for notice in identity.notices)
        return identity

    return [
        Assignment(person(path), number=who)
        if isinstance(who, int)
        else Assignment(person(path), person(who))
        for path, who in arguments.assign
    ]


def _assignment(text: str) -> tuple[str, str | int]:
    """A source photo, and whom it is for: another photo or a number."""
    path, _, who = text.partition("=")
    number = re.fullmatch(r"#([0-9]{1,4})", who)
    if not path or not who or (who.startswith("#") and number is None):
        raise argparse.ArgumentTypeError(
            f"{text!r} does not say who gets the face. Write PHOTO=PHOTO or PHOTO=#NUMBER, such as "
            "a.jpg=ref.jpg or a.jpg=#2"
        )
    return path, int(number[1]) if number else who


def _seconds(text: str) -> float:
    """Seconds of "90", "1:30" or "0:01:30.5"."""
    parts = text.split(":")
    try:
        if len(parts) > 3 or not all(part and part[0].isdigit() for part in parts):
            raise ValueError
        return sum(float(part) * 60**power for power, part in enumerate(reversed(parts)))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 90 or 1:30.5") from error


def _min_score(text: str) -> float:
    return _option("min_score", text)


def _likeness(text: str) -> float:
    return _option("likeness", text)


def _option(name: str, text: str) -> float:
    try:
        return getattr(SwapOptions(**{name: float(text)}), name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error


def as_typed(parse: Callable[[str], tuple | str]) -> Callable[[str], tuple | str]:
    """The type of an option that `parse` checks."""

    def convert(text: str) -> tuple | str:
        try:
            return parse(text)
        except OptionError as error:
            raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error

    return convert
