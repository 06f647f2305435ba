"""Writes bundles, which the demo, the shell and the Python API load."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from simswap.files import lasting_beside
from simswap.models.generator import Generator
from simswap.models.parser import TEMPLATE
from simswap.weights.bundle import (
    CARD_FILE,
    CONFIG_FILE,
    OPTIONAL_FILES,
    WEIGHT_FILES,
    Alignment,
    Bundle,
    save_bundle,
)
from train.errors import TrainingError
from train.publish.model_card import SAMPLES_FILE

BUNDLE_FILES = (CONFIG_FILE, CARD_FILE, *WEIGHT_FILES.values(), *OPTIONAL_FILES.values())
BUNDLE_FILES += (SAMPLES_FILE,)  # if any, as with the optional ones


def write_bundle(
    folder: Path,
    *,
    generator: Generator,
    base: Bundle,
    alignment: Alignment,
    training: Mapping[str, object],
    licence: str,
    card: str,
    name: str | None = None,
    samples: bytes | None = None,
) -> None:
    """Write a bundle, or replace one as a whole: whatever interrupts it, no half is left behind.

    Args:
        folder: the bundle; files in it that belong to no bundle stay.
        generator: on any device; its moving average where there is one.
        base: the bundle whose other networks are taken.
        alignment: how the generator's and the identity network's crops are cut out.
        training: facts for the reader of config.json; JSON values.
        licence: of the weights, a sentence.
        card: the model card (README.md), Markdown.
        name: results are marked with it; None is the folder's name.
        samples: a PNG for the card to show (samples.png).

    Raises:
        TrainingError: the folder cannot be written; the bundle that was there is untouched.
    """
    folder = folder.resolve()  # through a link: the folder is replaced, not the link
    if Path.cwd().is_relative_to(folder):
        raise TrainingError(f"{folder} will be replaced: run this from outside of it.")
    # A parser knows crops of one alignment.
    parser = base.parser if alignment.crop_template == TEMPLATE else None
    config = replace(
        base.config,
        name=name or folder.name,
        generator=generator.config,
        alignment=alignment,
        training=training,
        licence=licence,
        parser=parser.config if parser else None,
    )
    bundle = Bundle(
        config, generator, base.identity_network, base.detector, parser, base.facial_hair
    )
    _replace_whole(folder, bundle, card, samples)


def _replace_whole(folder: Path, bundle: Bundle, card: str, samples: bytes | None) -> None:
    fresh = lasting_beside(folder, "simswap-new")
    try:
        _finish_replacing(folder)
        shutil.rmtree(fresh, ignore_errors=True)  # of a process that was killed
        save_bundle(bundle, fresh, card)
        if samples is not None:
            (fresh / SAMPLES_FILE).write_bytes(samples)
        _replace(folder, fresh)
    except OSError as error:
        raise TrainingError(
            f"The bundle {folder} could not be written: {error.strerror or error}. Free some disk "
            "space, or name a folder that you may write to. A bundle already there is as it was."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _replace(folder: Path, fresh: Path) -> None:
    """Put `fresh` where `folder` is. A kill between the two renames is mended by the next call."""
    previous = _previous(folder)
    if folder.exists():
        folder.rename(previous)
    try:
        fresh.rename(folder)
    except OSError:
        if previous.exists():
            previous.rename(folder)
        raise
    _finish_replacing(folder)


def _finish_replacing(folder: Path) -> None:
    """Restore the previous bundle if the new one never came; else keep its other files."""
    previous = _previous(folder)
    if not previous.exists():
        return
    if not folder.exists():
        previous.rename(folder)
        return
    for name in BUNDLE_FILES:
        (previous / name).unlink(missing_ok=True)
    for path in previous.iterdir():
        path.rename(folder / path.name)
    previous.rmdir()


def _previous(folder: Path) -> Path:
    return lasting_beside(folder, "simswap-previous")
