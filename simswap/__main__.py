"""The shell commands of `python -m simswap`; `--help` lists them.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 refused for a reason that
is given in plain words, 2 a command line that is wrong, 130 interrupted. `verify` ends with 0 if
something says that the file is synthetic, 1 if nothing does, and 3 if that cannot be found out.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import ModuleType
from typing import NoReturn

from simswap import __version__
from simswap.cli.messages import NOT_TOLD, drop_output, prepare_streams, say
from simswap.errors import SimSwapError
from simswap.files import printable
from simswap.memory import OUT_OF_MEMORY, is_out_of_memory

PROGRAM = "python -m simswap"
# Each is a module of simswap.cli with add_options(parser) and run(arguments) -> exit code, imported
# when it is the one that was typed.
COMMANDS = {
    "image": "swap faces in a photo",
    "video": "swap faces in a video, or in a folder of pictures",
    "batch": "swap faces in many photos and videos",
    "faces": "list the faces of a photo, largest first",
    "people": "list the people of a video by their numbers, or draw them",
    "verify": "tell what a photo's or video's signature and marks say",
    "convert": "make a model folder of official SimSwap weights",
    "download": "fetch a model or a face detector of others, under its own licence",
    "deploy": "upload the demo as a Hugging Face Space",
    "benchmark": "time the stages of a swap on this machine",
}


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one sentence and a hint, without the usage lines."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong on stderr and leave with exit code 2."""
        end = "" if message.endswith((".", "?")) else "."
        message = printable(message, limit=500)
        self.exit(2, f"{self.prog}: {message}{end} See {self.prog} --help.\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code. Raises SystemExit(2) for a wrong command line."""
    prepare_streams()
    failed = 1
    try:
        arguments = parse(sys.argv[1:] if argv is None else argv)
        failed = NOT_TOLD if arguments.command == "verify" else failed
        code = _module(arguments.command).run(arguments)
        sys.stdout.flush()
        return code
    except SimSwapError as error:
        say(f"Error: {error}")
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        drop_output()
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # memory runs out in many ways, OpenCV's among them
        if is_out_of_memory(error):
            say(f"Error: {OUT_OF_MEMORY}")
        elif isinstance(error, OSError):  # such as a disk that went away
            where = printable(str(error.filename or ""), limit=200)
            what = f"{error.strerror or error} {where}".strip()
            say(f"Error: {what}. Check the path, the disk and its rights.")
            drop_output()
        else:
            raise
    return failed


def parse(words: Sequence[str]) -> argparse.Namespace:
    """The command line's values, with `command` and (for its errors) `parser`.

    Raises SystemExit: 2 for a wrong command line, said on stderr; 0 after --help.
    """
    parser = Parser(
        prog=PROGRAM, description="Swap faces in photos and videos.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"SimSwap {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    parsers = {}
    for name, summary in COMMANDS.items():
        parsers[name] = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[:1].upper()}{summary[1:]}.",
            allow_abbrev=False,
        )
    options = list(words[: words.index("--")] if "--" in words else words)
    command = next((word for word in options if not word.startswith("-")), None)
    if command is None:
        _check_options(options, parser)
    elif command not in COMMANDS:
        parser.error(f"unknown command {command!r}{_nearest(command, COMMANDS)}")
    else:
        parsers[command].set_defaults(parser=parsers[command])
        _module(command).add_options(parsers[command])
        _check_options(options, parsers[command])
    return parser.parse_args(words)


def _module(command: str) -> ModuleType:
    return import_module(f"simswap.cli.{command}")


def _check_options(words: Sequence[str], parser: Parser) -> None:
    """Name a mistyped option before argparse names what is missing because of it."""
    known = re.findall(r"--[a-z-]+", parser.format_help())
    for word in words:
        option = word.split("=")[0]
        if option.startswith("--") and option not in known:
            parser.error(f"unknown option {option}{_nearest(option, known)}")


def _nearest(word: str, known: Iterable[str]) -> str:
    matches = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {matches[0]}?" if matches else ""


if __name__ == "__main__":
    sys.exit(main())
