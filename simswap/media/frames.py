"""Folders of pictures that stand for a video's frames: what is in them, and where each goes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from simswap.errors import MediaError
from simswap.files import printable
from simswap.media.photos import OUTPUT_SUFFIXES, check_writable

READ_SUFFIXES = {*OUTPUT_SUFFIXES, ".heic", ".heif", ".bmp", ".tif", ".tiff", ".gif"}


@dataclass(frozen=True)
class FrameFolder:
    """Pictures to swap, in order, and where each goes.

    num_done: how many of the first have their result from an earlier run; the others have none.
    """

    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    num_done: int = 0

    @classmethod
    def plan(
        cls,
        target: str | os.PathLike[str],
        output: str | os.PathLike[str],
        resume: bool = False,
    ) -> FrameFolder:
        """List the pictures of a folder, `frame_2` before `frame_10`; makes the output folder.

        A result keeps its picture's name; kinds that are not written here become .png. Hidden files
        are left alone, such as the `._` files that a Mac puts beside each of its own.
        resume: take the results of the first pictures that are there already as they are.
        Raises MediaError if there are no pictures, the output folder is the same or cannot be
        made, or it holds files under names that results would get.
        """
        target, output = Path(target), Path(output)
        name = printable(target.name)
        if not target.is_dir():
            raise MediaError(f"{name} is not a folder. Give a folder of pictures after --frames.")
        files = [
            path
            for path in target.iterdir()
            if path.suffix.lower() in READ_SUFFIXES and not path.name.startswith(".")
        ]
        if not files:
            raise MediaError(f"The folder {name} holds no pictures. Give PNG, JPEG or WebP files.")
        if output.exists() and output.samefile(target):
            raise MediaError("The output folder is the target itself. Choose another one.")
        files.sort(key=lambda path: in_counting_order(path.name))
        outputs = [output / written_name(path) for path in files]
        doubles = sorted({path.name for path in outputs if outputs.count(path) > 1})
        if doubles:
            raise MediaError(f"Two pictures would both become {printable(doubles[0])}. Rename one.")
        num_there = _num_there(outputs)
        done = num_there if resume else 0
        for path in outputs[done:]:
            check_is_free(path, can_resume=num_there > done)
        if not output.is_dir():
            check_writable(output)
            output.mkdir()
        check_writable(outputs[-1])
        return cls(tuple(files), tuple(outputs), done)


def check_is_free(path: Path, can_resume: bool = False) -> None:
    """Raise MediaError if there is a file, or a link to nothing, where a result is to be written.

    can_resume: whether it may be the result of an earlier run.
    """
    if os.path.lexists(path):
        remedy = "Give another output folder, or an empty one"
        remedy += ", or --resume if an earlier run made it." if can_resume else "."
        folder, name = printable(path.parent.name), printable(path.name)
        raise MediaError(f"The output folder {folder} already holds {name}. {remedy}")


def _num_there(outputs: list[Path]) -> int:
    """How many results there are, from the first on."""
    missing = (number for number, path in enumerate(outputs) if not path.is_file())
    return next(missing, len(outputs))


def in_counting_order(name: str) -> list[tuple[int, str]]:
    """What to sort names by, so that `frame_2` comes before `frame_10`."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def written_name(path: Path) -> str:
    """A picture's own name, or as .png where its kind is not written here."""
    return path.name if path.suffix.lower() in OUTPUT_SUFFIXES else f"{path.stem}.png"
