"""`python -m simswap verify`: what a photo or video says of how it was made."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from simswap.cli import options
from simswap.cli.messages import NOT_TOLD, give


def add_options(parser: ArgumentParser) -> None:
    """The options of `verify`."""
    parser.add_argument(
        "file", metavar="FILE", help="exit code 0: marked as synthetic, 1: not, 3: unknown"
    )
    options.add_json(parser)
    parser.add_argument(
        "--metadata-only",
        action="store_true",
        help="do not look for the watermark, which needs the model: faster",
    )
    options.add_model(parser)


def run(arguments: Namespace) -> int:
    """Report; 0 if something says that the file is synthetic, 1 if nothing does, 3 if it may."""
    from simswap.verify.report import details, headline, look_for_watermark, verify

    report = verify(arguments.file)
    if not arguments.metadata_only:
        report = look_for_watermark(
            report, arguments.file, options.load_swapper(arguments, for_one_photo=True)
        )
    if arguments.json:
        give(json.dumps(report.as_json()))
    else:
        give("\n".join([headline(report), *details(report)]))
    if report.is_marked:
        return 0
    return NOT_TOLD if report.is_unread or report.holds_more else 1
