"""Where insightface packs lie on this machine, and which detector a user wants. Nothing is fetched.

A pack is a folder of ONNX files, such as ~/.insightface/models/buffalo_l.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from simswap.errors import ModelError, OptionError
from simswap.faces.scrfd import Scrfd

logger = logging.getLogger(__name__)

PACK_VARIABLE = "SIMSWAP_INSIGHTFACE"
PACKS_FOLDER = Path("~/.insightface/models")  # insightface's own place
PREFERRED = ("buffalo_l", "antelopev2", "raccoon")  # then any other, by name
DETECTORS = ("bundled", "insightface", "auto")


def open_detector(choice: str) -> Scrfd | None:
    """The pack's detector, or None where the bundle's own is to be used.

    choice: one of DETECTORS; auto takes a pack where there is one.
    Raises ModelError if a pack is wanted or named but cannot be used, OptionError for other words.
    """
    if choice not in DETECTORS:
        raise OptionError(f"detector={choice!r} is not one of {', '.join(DETECTORS)}.")
    if choice == "bundled":
        return None
    pack = find_pack()
    if pack is None and choice == "auto":
        return None
    if pack is None:
        raise ModelError(
            f"No insightface pack is in {PACKS_FOLDER}. Set {PACK_VARIABLE} to a pack's folder, "
            "fetch one with `python -m simswap download --detector buffalo_l`, or use the bundled "
            "detector."
        )
    detector = open_pack(pack)
    logger.info("Faces are detected by %s", detector.path)
    return detector


def find_pack() -> Path | None:
    """The pack named by SIMSWAP_INSIGHTFACE, or the first in insightface's own place.

    Raises ModelError if the variable names no pack.
    """
    named = os.environ.get(PACK_VARIABLE)
    if named:
        found = _pack_in(Path(os.path.expanduser(named)))
        if found is None:
            raise ModelError(
                f"{PACK_VARIABLE}={named} is no folder with ONNX files. Name a pack's folder, such "
                f"as {PACKS_FOLDER}/buffalo_l, or unset it."
            )
        return found
    return _pack_in(Path(os.path.expanduser(PACKS_FOLDER)))  # as it is for a user without a home


def open_pack(pack: Path) -> Scrfd:
    """The SCRFD network among a pack's files, told by its outputs. Raises ModelError if none is."""
    # By insightface's naming the detector is first tried; others are large, and slow to open.
    files = sorted(pack.glob("*.onnx"), key=lambda path: (not _sounds_like_detector(path), path))
    reasons = []
    for path in files:
        try:
            return Scrfd(path)
        except ModelError as error:
            reasons.append(str(error))
            if isinstance(error.__cause__, ImportError):
                raise
    raise ModelError(f"No file in {pack} is an SCRFD detector with landmarks: {' '.join(reasons)}")


def _pack_in(folder: Path) -> Path | None:
    """The folder itself if it is a pack, else the best pack right below it."""
    if not folder.is_dir():
        return None
    if any(folder.glob("*.onnx")):
        return folder
    below = sorted(path.parent for path in folder.glob("*/*.onnx"))
    preferred = [folder / name for name in PREFERRED if folder / name in below]
    return next(iter([*preferred, *below]), None)


def _sounds_like_detector(path: Path) -> bool:
    return path.name.startswith(("det", "scrfd"))
