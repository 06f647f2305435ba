"""Write bundles, which the demo, the shell and the Python API load.

    python -m train.export --run runs/lite-128 --output my-model

The trainer calls `write_bundle` at its checkpoints. The command puts the bundle of a run elsewhere,
under another name or with another card; of a run that has only weights it makes one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from simswap.errors import SimSwapError
from simswap.weights.bundle import (
    CARD_FILE,
    CONFIG_FILE,
    WEIGHT_FILES,
)
from train.errors import TrainingError
from train.publish.bundle import BUNDLE_FILES, write_bundle
from train.publish.model_card import CardFacts, describe_networks, model_card
from train.publish.run_folder import BUNDLE_FOLDER, Result, read_run


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


if __name__ == "__main__":
    sys.exit(main())
