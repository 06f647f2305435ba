"""`--config PRESET-OR-FILE --any.field VALUE ...` -> TrainConfig.

The flags, their types and their texts come from the dataclass itself (by tyro): `--batch-size 8`,
`--weights.identity 10`, `--generator.channels 24,48,96`, `--push-to-hub`,
`--no-channels-last`. A TOML file stands for flags too, which those behind it override.
"""

from __future__ import annotations

import argparse
import difflib
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import get_args, get_origin, get_type_hints

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from simswap.files import read_record
from train.config import TrainConfig
from train.errors import TrainingError
from train.loss_weights import LossWeights, Ramp

PRESETS = Path(__file__).parent / "presets"
RAMPS = {f"weights.{name}" for name, kind in get_type_hints(LossWeights).items() if kind is Ramp}

registry = ConstructorRegistry()


def parse_config(arguments: Sequence[str] | None = None) -> TrainConfig:
    """The run that a command line asks for; `--help` lists every setting.

    Raises TrainingError for values that do not go together, and SystemExit(2), with the reason on
    stderr, for a setting that does not exist, is missing, or has a value of the wrong kind.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--config")
    chosen, flags = own.parse_known_args(words)
    stored = list(_as_flags(read_file(chosen.config))) if chosen.config is not None else []
    presets = ", ".join(sorted(path.stem for path in PRESETS.glob("*.toml")))
    return tyro.cli(
        TrainConfig,
        prog="train/train.py",
        description="Train a SimSwap generator. --config takes a TOML file of settings, the "
        f"config.json of a run, or a preset ({presets}); flags override it.",
        args=list(_spelt_for_tyro(list(_ramps_spelt_out([*stored, *flags])))),
        registry=registry,
    )


def read_file(name: str) -> dict[str, object]:
    """The settings in a preset, a TOML file, or the config.json of a run.

    Raises TrainingError if there is none, or it cannot be read.
    """
    path = PRESETS / f"{name}.toml"
    path = path if path.is_file() else Path(name)
    try:
        if path.suffix != ".json":
            return read_record(path, parse=tomllib.loads)
        found = read_record(path)
        if not isinstance(found, dict):
            raise ValueError("it holds no settings")
        return {name: value for name, value in found.items() if name != "resume"}
    except FileNotFoundError as error:
        known = [preset.stem for preset in PRESETS.glob("*.toml")]
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f" Did you mean {nearest[0]}?" if nearest else ""
        raise TrainingError(f"No preset and no file is called {name!r}.{hint}") from error
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}.") from error


@registry.primitive_rule
def _at_commas(info: PrimitiveTypeInfo) -> PrimitiveConstructorSpec | None:
    """Tuples of any length are one word, `24,48,96`."""
    if get_origin(info.type) is not tuple:
        return None
    item, _ = get_args(info.type)
    return PrimitiveConstructorSpec(
        nargs=1,
        metavar="A,B,...",
        instance_from_str=lambda words: tuple(item(part) for part in words[0].split(",") if part),
        is_instance=lambda value: isinstance(value, tuple),
        str_from_instance=lambda value: [",".join(map(str, value))],
    )


def _as_flags(settings: Mapping[str, object], path: str = "") -> Iterator[str]:
    """Settings as TOML has them, nested, in the words of a command line."""
    for key, value in settings.items():
        name = f"{path}{key}"
        if isinstance(value, Mapping):
            yield from _as_flags(value, f"{name}.")
        elif isinstance(value, bool):
            yield f"--{name}" if value else f"--no-{name}"
        elif isinstance(value, list):
            yield f"--{name}={','.join(map(str, value))}"
        else:
            yield f"--{name}={value}"


def _ramps_spelt_out(words: Sequence[str]) -> Iterator[str]:
    """One number for a ramp, `--weights.identity 15`, is a weight that stays."""
    rest = iter(words)
    for word in rest:
        name, equals, value = word.removeprefix("--").partition("=")
        if word.startswith("--") and name.replace("-", "_") in RAMPS:
            value = value if equals else next(rest, "")
            ramp = {"start": value, "end": value, "from_step": 0, "to_step": 0}
            yield from _as_flags(ramp, f"{name}.")
        else:
            yield word


def _spelt_for_tyro(words: Sequence[str]) -> Iterator[str]:
    """A bare `--resume` gets its value, and `--no-table.field` its no where tyro has it."""
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word == "--resume" and following.startswith("--"):
            yield "--resume=latest"
        else:
            yield re.sub(r"^--no-([\w.-]+\.)", r"--\1no-", word)
