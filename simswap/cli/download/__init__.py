"""`python -m simswap download`: fetch what others made, under its own licence."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from simswap.cli.messages import give_path, say, say_notes
from simswap.errors import OptionError

PACKS_FOLDER = Path("~/.insightface/models")
MODELS = ("simswap-224", "simswap-512")
DETECTORS = ("buffalo_l",)


def add_options(parser: ArgumentParser) -> None:
    """The options of `download`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--model", choices=MODELS, help="a published network, made a model folder")
    what.add_argument("--detector", choices=DETECTORS, help="a pack of insightface")
    parser.add_argument(
        "--output", type=Path, metavar="FOLDER", help="the model folder (default: the model's name)"
    )
    parser.add_argument(
        "--folder", type=Path, default=PACKS_FOLDER, help=f"of packs (default {PACKS_FOLDER})"
    )
    parser.add_argument(
        "--accept-licence", action="store_true", help="without it the licence is only shown"
    )


def run(arguments: Namespace) -> int:
    """Show the licence, then fetch. Raises OptionError until the licence is accepted."""
    if arguments.model:
        give_path(_model(arguments))
    else:
        give_path(_pack(arguments))
    return 0


def _model(arguments: Namespace) -> Path:
    from simswap.cli.download.published import LICENCE, fetch_published

    say(f"{arguments.model} and its identity network. {LICENCE}")
    _check_accepted(arguments)
    done = fetch_published(arguments.model, arguments.output or Path(arguments.model))
    say_notes(done.notices)
    return done.folder


def _pack(arguments: Namespace) -> Path:
    from simswap.cli.download.packs import PACKS, fetch_pack

    pack = PACKS[arguments.detector]
    say(f"{pack.name} ({pack.num_bytes / 1e6:.0f} MB). {pack.licence}")
    _check_accepted(arguments)
    try:
        folder = arguments.folder.expanduser()
    except RuntimeError as error:
        raise OptionError("This user has no home folder. Name a folder with --folder.") from error
    return fetch_pack(pack, folder)


def _check_accepted(arguments: Namespace) -> None:
    if not arguments.accept_licence:
        raise OptionError("Nothing was fetched. If you accept that, add --accept-licence.")
