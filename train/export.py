"""Write bundles, which the demo, the shell and the Python API load.

    python -m train.export --run runs/lite-128 --output my-model

The trainer calls `write_bundle` at its checkpoints. The command puts the bundle of a run elsewhere,
under another name or with another card; of a run that has only weights it makes one.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path

from simswap.errors import SimSwapError
from simswap.files import lasting_beside
from simswap.models.generator import Generator
from simswap.weights.bundle import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHT_FILES,
    Alignment,
    Bundle,
    save_bundle,
)
from train.errors import TrainingError
from train.publish.model_card import SAMPLES_FILE, CardFacts, describe_networks, model_card
from train.publish.run_folder import BUNDLE_FOLDER, Result, read_run

BUNDLE_FILES = (CONFIG_FILE, CARD_FILE, *WEIGHT_FILES.values(), SAMPLES_FILE)  # the last if any


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
        base: the bundle whose identity network and detector are taken.
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
    config = replace(
        base.config,
        name=name or folder.name,
        generator=generator.config,
        alignment=alignment,
        training=training,
        licence=licence,
    )
    bundle = Bundle(config, generator, base.identity_network, base.detector)
    _replace_whole(folder, bundle, card, samples)


def main(arguments: Sequence[str] | None = None) -> int:
    """Export and say what was written; the process's exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m train.export", description="Put a run's result into a bundle."
    )
    parser.add_argument("--run", type=Path, required=True, help="output folder of train/train.py")
    parser.add_argument("--output", type=Path, required=True, help="the bundle to write")
    parser.add_argument(
        "--networks",
        type=Path,
        help="folder with identity.safetensors and detector.safetensors (default: the run's own; "
        "for a run without, those already in --output, or else the bundled model's)",
    )
    parser.add_argument("--name", help="bundle id (default: the output folder's name)")
    parser.add_argument(
        "--card", type=Path, help="model card (default: the run's, else the one already there)"
    )
    parser.add_argument(
        "--plain",
        action="store_true",
        help="the last checkpoint's weights; after a short run their average still lags behind",
    )
    chosen = parser.parse_args(arguments)
    try:
        _export(chosen)
    except SimSwapError as error:
        print(f"train.export: {error}", file=sys.stderr)
        return 1
    return 0


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


def _export(chosen: argparse.Namespace) -> None:
    output, networks = chosen.output, chosen.networks
    own = chosen.run / BUNDLE_FOLDER / CONFIG_FILE
    if networks is None and not own.is_file() and (output / WEIGHT_FILES["identity"]).is_file():
        networks = output
    result = read_run(chosen.run, plain=chosen.plain, networks=networks)
    result = replace(result, name=chosen.name or output.resolve().name)
    card = _read_card(chosen.card) if chosen.card else result.card
    if card is None and (output / CARD_FILE).is_file():
        card = _read_card(output / CARD_FILE)
    parts = {item.name: getattr(result, item.name) for item in fields(Result)}
    write_bundle(output, **{**parts, "card": card or _card_of(result)})
    size = sum((output / name).stat().st_size for name in BUNDLE_FILES if (output / name).is_file())
    print(f"Wrote {output} ({size / 1e6:.1f} MB)")


def _card_of(result: Result) -> str:
    facts = CardFacts(
        name=result.name,
        licence=result.licence,
        networks=describe_networks(result.generator, result.base, result.alignment.crop_size),
        crop_size=result.alignment.crop_size,
        num_steps=result.training.get("num_steps"),
        losses=result.training.get("weights", {}),
        teachers=tuple(result.training.get("teachers", ())),
        has_samples=result.samples is not None,
    )
    return model_card(facts)


def _read_card(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"The model card {path} cannot be read: {error}.") from error


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


if __name__ == "__main__":
    sys.exit(main())
