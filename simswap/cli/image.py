"""`python -m simswap image`: swap faces in a photo."""

from __future__ import annotations

import time
from argparse import ArgumentParser, Namespace
from pathlib import Path

from simswap.cli import options
from simswap.cli.messages import count_faces, give_path, say, say_notes


def add_options(parser: ArgumentParser) -> None:
    """The options of `image`."""
    options.add_files(parser, "PHOTO", ".png, .jpg, .webp or .avif")
    parser.add_argument(
        "--quality",
        type=options.whole_number(1, 100),
        default=95,
        metavar="N",
        help="of .jpg, .webp and .avif, 1 to 100 (default 95)",
    )
    options.add_swap(parser)


def run(arguments: Namespace, load: options.Load = options.load_swapper) -> int:
    """Swap, and write the result; the model is loaded once all files have been found sound."""
    from simswap.media.photos import check_output, write_photo

    how = options.swap_options(arguments)
    target = options.read_photo(arguments.target)
    height, width = target.image.shape[:2]
    check_output(arguments.output, size=(width, height))
    sources = options.read_sources(arguments)
    if target.alpha is not None and Path(arguments.output).suffix.lower() in (".jpg", ".jpeg"):
        say("Note: a JPEG holds no transparency. Write a .png to keep the target's.")
    swapper = load(arguments, for_one_photo=True)
    identity = options.identify(swapper, arguments, sources)
    started = time.perf_counter()
    result = swapper.swap_image(target.image, identity, how)
    seconds = time.perf_counter() - started
    say_notes(result.notices)
    written = write_photo(
        arguments.output, result.image, like=target, model=swapper.name, quality=arguments.quality
    )
    say_notes(written)
    say(f"Swapped {len(result.swapped)} of {count_faces(len(result.faces))} in {seconds:.2f} s.")
    give_path(arguments.output)
    return 0
