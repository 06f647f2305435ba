"""`--config PRESET-OR-FILE --any.field VALUE ...` -> TrainConfig.

The flags come from the dataclass itself: `--batch-size 8`, `--weights.identity.start 10`,
`--generator.channels 24,48,96`, `--push-to-hub`, `--no-channels-last`.
"""

from __future__ import annotations

import argparse
import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from train.config import Ramp, TrainConfig
from train.errors import TrainingError

PRESETS = Path(__file__).parent / "presets"


def parse_config(arguments: Sequence[str] | None = None) -> TrainConfig:
    """The run that a command line asks for; `--help` lists every field with its default.

    Raises TrainingError for a field that does not exist or a value that does not fit.
    """
    parser = argparse.ArgumentParser(
        prog="train/train.py",
        description="Train a SimSwap generator.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    presets = ", ".join(sorted(path.stem for path in PRESETS.glob("*.toml")))
    parser.add_argument("--config", help=f"a TOML file, or a preset: {presets}")
    leaves = dict(_leaves(TrainConfig, asdict(TrainConfig())))
    for name, (kind, default) in leaves.items():
        _add_flag(parser, name, kind, default)
    chosen, unknown = parser.parse_known_args(arguments)
    if unknown:
        flags = [_flag(name) for name in leaves] + ["--config"]
        raise TrainingError(f"Unknown argument {unknown[0]}.{_nearest(unknown[0], flags)}")
    overrides = vars(chosen)
    stored = read_file(overrides.pop("config")) if "config" in overrides else {}
    for name, value in overrides.items():
        _put(stored, name, value)
    return build_config(stored)


def read_file(name: str) -> dict[str, object]:
    """The settings in a preset or TOML file. Raises TrainingError if there is none, or no TOML."""
    path = PRESETS / f"{name}.toml"
    path = path if path.is_file() else Path(name)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = [preset.stem for preset in PRESETS.glob("*.toml")]
        raise TrainingError(
            f"No preset and no file is called {name!r}.{_nearest(name, known)}"
        ) from error
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read as TOML: {error}.") from error


def build_config(stored: Mapping[str, object]) -> TrainConfig:
    """Settings (nested, as TOML gives them) -> the config; what is not given is the default.

    Raises TrainingError, naming the nearest key, for a key that does not exist.
    """
    return _build(TrainConfig, stored, TrainConfig(), "")


def _build(kind: type, stored: object, default: object, path: str) -> object:
    if kind is Ramp and isinstance(stored, int | float) and not isinstance(stored, bool):
        return Ramp(float(stored), float(stored), 0, 0)
    if not isinstance(stored, Mapping):
        raise TrainingError(f"{path.rstrip('.')}={stored!r} must be a table of settings.")
    hints = get_type_hints(kind)
    names = [item.name for item in fields(kind)]
    values = {name: getattr(default, name) for name in names}
    for key, value in stored.items():
        name = key.replace("-", "_")
        if name not in names:
            raise TrainingError(f"There is no setting {path}{key}.{_nearest(name, names)}")
        if is_dataclass(hints[name]):
            values[name] = _build(hints[name], value, values[name], f"{path}{name}.")
        else:
            values[name] = _converted(hints[name], value, f"{path}{name}")
    try:
        return kind(**values)
    except ValueError as error:  # of the networks' own configs
        raise TrainingError(f"{path.rstrip('.') or 'config'}: {error}") from error


def _converted(kind: object, value: object, name: str) -> object:
    """`value` as the field's type; from TOML it has a type, from the command line it is text."""
    try:
        if get_origin(kind) is Literal:
            if value not in get_args(kind):
                raise ValueError(f"use one of {', '.join(map(repr, get_args(kind)))}")
            return value
        if get_origin(kind) is tuple:
            items = value.split(",") if isinstance(value, str) else value
            return tuple(get_args(kind)[0](item) for item in items if item != "")
        if kind is bool and not isinstance(value, bool):
            raise ValueError("use true or false")
        if kind is int and isinstance(value, bool | float):
            raise ValueError("a whole number is needed")
        return kind(value)
    except (TypeError, ValueError) as error:
        raise TrainingError(f"{name}={value!r} does not fit: {error}.") from error


def _leaves(
    kind: type, defaults: Mapping[str, object], path: str = ""
) -> Iterator[tuple[str, tuple[object, object]]]:
    """Dotted name -> (type, default) of every field that is no table itself."""
    for name, hint in get_type_hints(kind).items():
        if is_dataclass(hint):
            yield from _leaves(hint, defaults[name], f"{path}{name}.")
        else:
            yield path + name, (hint, defaults[name])


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _add_flag(parser: argparse.ArgumentParser, name: str, kind: object, default: object) -> None:
    text = ",".join(map(str, default)) if isinstance(default, tuple) else default
    options = {"dest": name, "help": f"default: {text}" if text != "" else "default: none"}
    if kind is bool:
        parser.add_argument(_flag(name), action=argparse.BooleanOptionalAction, **options)
    elif name == "resume":  # alone it means the newest checkpoint
        parser.add_argument(_flag(name), nargs="?", const="latest", **options)
    else:
        parser.add_argument(_flag(name), metavar="VALUE", **options)


def _put(stored: dict[str, object], name: str, value: object) -> None:
    """Set a dotted name in nested tables."""
    *tables, last = name.split(".")
    for table in tables:
        inner = stored.setdefault(table, {})
        if not isinstance(inner, dict):  # a ramp given as one number
            inner = {"start": inner, "end": inner, "from_step": 0, "to_step": 0}
            stored[table] = inner
        stored = inner
    stored[last] = value


def _nearest(name: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f" Did you mean {found[0]}?" if found else ""
