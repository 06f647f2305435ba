"""Options that several commands share, and what they stand for.

A command's file is imported for its `--help`, so numpy, PyAV and torch are imported where they are
used: in `run`, and in the functions here.
"""

from __future__ import annotations

import argparse
import os
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from simswap.cli.messages import say, say_notes
from simswap.errors import MediaError, OptionError
from simswap.runtime.choice import RUNTIMES
from simswap.runtime.choice import SETTING as RUNTIME_SETTING
from simswap.types import FaceChoice, Identity, SwapOptions, parse_faces

if TYPE_CHECKING:
    from simswap.media.photos import Photo
    from simswap.swapper import FaceSwapper


def add_files(parser: ArgumentParser, kind: str, endings: str) -> None:
    """Source photos, a target and an output; kind: of the target, endings: of the output."""
    parser.add_argument(
        "--source",
        required=True,
        action="append",
        metavar="PHOTO",
        help="who gives the face; repeat it for several photos of the same person",
    )
    parser.add_argument("--target", required=True, metavar=kind, help="whose faces are replaced")
    parser.add_argument("--output", required=True, metavar="FILE", help=endings)


def add_swap(parser: ArgumentParser) -> None:
    """How to swap, and with which model."""
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
    add_min_score(parser)
    add_model(parser)


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
        help="what computes the networks (default: SIMSWAP_RUNTIME, else what is fastest here)",
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
        match_colour=not arguments.no_colour_match,
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
    from simswap.media import photos

    photo = photos.read_photo(path)
    say_notes(photo.notices)
    return photo


def read_sources(arguments: Namespace) -> list[Photo]:
    """The source photos. Raises MediaError, also if the output would overwrite an input."""
    sources = [read_photo(path) for path in arguments.source]
    output = Path(arguments.output)
    for path in (arguments.target, *arguments.source):
        if output.exists() and output.samefile(path):
            raise MediaError(f"The output {output} would overwrite an input. Choose another name.")
    return sources


def identify(swapper: FaceSwapper, sources: Sequence[Photo]) -> Identity:
    """Whom the source photos show. Raises NoFaceFoundError, RefusedFaceError."""
    identity = swapper.identity_of([photo.image for photo in sources])
    say_notes(identity.notices)
    return identity


def _min_score(text: str) -> float:
    try:
        return SwapOptions(min_score=float(text)).min_score
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error


def _face_choice(text: str) -> FaceChoice:
    try:
        return parse_faces(text)
    except OptionError as error:
        raise argparse.ArgumentTypeError(str(error).rstrip(".")) from error
