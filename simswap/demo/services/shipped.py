"""The example photos that this demo ships, whose people need not be asked for again."""

from __future__ import annotations

import hashlib
import shutil
from functools import cache
from pathlib import Path

from simswap import OptionError
from simswap.demo.services.uploads import new_folder, uploaded_file

FOLDER = Path(__file__).parents[3] / "assets" / "examples"
# Names of the source and the target: pairs on which the bundled model does well (a target with
# glasses is not among them).
PAIRS = (("grace_hopper.jpg", "astronaut.jpg"), ("grace_hopper.jpg", "two_portraits.jpg"))


def copies(number: object) -> tuple[list[str], str]:
    """The source photos and the target photo of an example, copied to where uploads are.

    Raises OptionError if there is no such example.
    """
    if type(number) is not int or not 0 <= number < len(PAIRS):
        raise OptionError(f"There is no such example; they are numbered 0 to {len(PAIRS) - 1}.")
    folder = new_folder()
    source, target = PAIRS[number]
    for name in (source, target):
        shutil.copyfile(FOLDER / name, folder / name)
    return [str(folder / source)], str(folder / target)


def are_shipped(paths: list[str]) -> bool:
    """Whether uploads are the shipped photos, byte for byte; their names tell nothing.

    Raises MediaError as `uploaded_file` does.
    """
    return bool(paths) and all(_is_shipped(uploaded_file(path)) for path in paths)


def _is_shipped(path: Path) -> bool:
    digest = _digests().get(path.stat().st_size)  # a large upload is not read
    return digest is not None and _digest(path) == digest


@cache
def _digests() -> dict[int, str]:
    """Of the shipped photos by their size in bytes, which differ."""
    names = {name for pair in PAIRS for name in pair}
    return {(FOLDER / name).stat().st_size: _digest(FOLDER / name) for name in names}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
