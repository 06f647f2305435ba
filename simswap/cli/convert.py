"""`python -m simswap convert`: make a model folder of official SimSwap weights."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from simswap.cli.messages import give_path, say_notes

SIZES = {"auto": None, "224": 224, "512": 512}  # px


def add_options(parser: ArgumentParser) -> None:
    """The options of `convert`."""
    add = parser.add_argument
    add(
        "--generator",
        required=True,
        type=Path,
        metavar="FILE",
        help="such as latest_net_G.pth; .pth, .safetensors or .onnx",
    )
    add(
        "--identity",
        required=True,
        type=Path,
        metavar="FILE",
        help="such as arcface_checkpoint.tar; or the .onnx that the generator was trained with",
    )
    add("--output", required=True, type=Path, metavar="FOLDER", help="the model folder to write")
    add("--size", choices=[*SIZES], default="auto", help="of the generator's crops (default auto)")
    add(
        "--maker",
        choices=["auto", "published", "trainer"],
        default="auto",
        help="trainer: saved by the official train.py, whose 224 network has the same keys as the "
        "published one, for which auto takes it (default auto)",
    )
    add("--name", metavar="NAME", help="of the model (default: the folder's)")
    add("--licence", metavar="TEXT", help="of the weights, for the model card")


def run(arguments: Namespace) -> int:
    """Convert, and give the folder written."""
    from simswap.weights.convert import UNKNOWN_LICENCE, convert

    done = convert(
        arguments.generator,
        arguments.identity,
        arguments.output,
        size=SIZES[arguments.size],
        maker=None if arguments.maker == "auto" else arguments.maker,
        name=arguments.name,
        licence=arguments.licence or UNKNOWN_LICENCE,
    )
    say_notes([*done.notices, f"The generator is {done.called}."])
    give_path(done.folder)
    return 0
