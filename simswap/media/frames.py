"""Folders of pictures that stand for a video's frames: what is in them, and where each goes."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from simswap.errors import MediaError
from simswap.files import printable
from simswap.media.photos import OUTPUT_SUFFIXES, check_writable

_READ_SUFFIXES = {*OUTPUT_SUFFIXES, ".heic", ".heif", ".bmp", ".tif", ".tiff", ".gif"}


@dataclass(frozen=True)
class FrameFolder:
    """Pictures to swap, in order, and where each goes."""

    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]

    @classmethod
    def plan(cls, target: str | os.PathLike[str], output: str | os.PathLike[str]) -> FrameFolder:
        """List the pictures of a folder, `frame_2` before `frame_10`; writes nothing.

        A result keeps its picture's name; kinds that are not written here become .png. Hidden files
        are left alone, such as the `._` files that a Mac puts beside each of its own.
        Raises MediaError if there are none, or the output folder is missing or the same.
        """
        target, output = Path(target), Path(output)
        name = printable(target.name)
        if not target.is_dir():
            raise MediaError(f"{name} is not a folder. Give a folder of pictures after --frames.")
        files = [
            path
            for path in target.iterdir()
            if path.suffix.lower() in _READ_SUFFIXES and not path.name.startswith(".")
        ]
        if not files:
            raise MediaError(f"The folder {name} holds no pictures. Give PNG, JPEG or WebP files.")
        if output.exists() and output.samefile(target):
            raise MediaError("The output folder is the target itself. Choose another one.")
        files.sort(key=lambda path: _in_counting_order(path.name))
        outputs = [output / _written_name(path) for path in files]
        doubles = sorted({path.name for path in outputs if outputs.count(path) > 1})
        if doubles:
            raise MediaError(f"Two pictures would both become {printable(doubles[0])}. Rename one.")
        if not output.is_dir():
            check_writable(output)
            output.mkdir()
        check_writable(outputs[0])
        return cls(tuple(files), tuple(outputs))

    def num_done(self) -> int:
        """How many pictures, from the first on, have their result."""
        missing = (i for i, path in enumerate(self.outputs) if not path.exists())
        return next(missing, len(self.outputs))


def _in_counting_order(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _written_name(path: Path) -> str:
    return path.name if path.suffix.lower() in OUTPUT_SUFFIXES else f"{path.stem}.png"
