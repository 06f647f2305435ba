"""`python -m simswap download`: fetch a face detector of others, under its own licence."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from simswap.cli.downloads import PACKS, fetch_pack
from simswap.cli.messages import give_path, say
from simswap.errors import OptionError

DEFAULT_FOLDER = Path("~/.insightface/models")


def add_options(parser: ArgumentParser) -> None:
    """The options of `download`."""
    parser.add_argument("--detector", required=True, choices=[*PACKS], help="which pack")
    parser.add_argument(
        "--folder", type=Path, default=DEFAULT_FOLDER, help=f"default {DEFAULT_FOLDER}"
    )
    parser.add_argument(
        "--accept-licence", action="store_true", help="without it the licence is only shown"
    )


def run(arguments: Namespace) -> int:
    """Show the licence, then fetch. Raises OptionError until the licence is accepted."""
    pack = PACKS[arguments.detector]
    say(f"{pack.name} ({pack.num_bytes / 1e6:.0f} MB). {pack.licence}")
    if not arguments.accept_licence:
        raise OptionError("Nothing was fetched. If you accept that, add --accept-licence.")
    try:
        folder = arguments.folder.expanduser()
    except RuntimeError as error:
        raise OptionError("This user has no home folder. Name a folder with --folder.") from error
    give_path(fetch_pack(pack, folder))
    return 0
