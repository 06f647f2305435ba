"""What config.json says of a model. It may come from anybody: all of it is bounded here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from simswap.errors import ModelError
from simswap.files import printable, read_record
from simswap.geometry import template_names
from simswap.models.bounds import check_whole
from simswap.models.detector import DetectorConfig
from simswap.models.facial_hair import FacialHairConfig
from simswap.models.generator import GeneratorConfig
from simswap.models.identity import IdentityConfig
from simswap.models.parser import TEMPLATE, ParserConfig

FORMAT = "simswap-bundle-1"
CONFIG_FILE = "config.json"
MAX_BYTES = 2_000_000  # of config.json; a graph of 350 layers takes 180,000
MAX_DEPTH = 16  # of values within values; ours have 4
MAX_TEXT = 10_000  # characters of a name or a licence
MAX_VALUES = 2**24  # that a layer of the generator gives; the published 512 one's give 2**23
CROP_SIZES = (16, 1024)  # px, the least and the most

Config = TypeVar("Config")


@dataclass(frozen=True)
class Alignment:
    """How faces are cut out for the networks; templates are named as in geometry.py."""

    crop_template: str = "simswap_frontal"  # of the generator's crops
    crop_size: int = 128  # px, side of the generator's crops
    identity_template: str = "arcface"  # of the identity network's crops

    def __post_init__(self) -> None:
        for name in (self.crop_template, self.identity_template):
            if name not in template_names():
                raise ValueError(f"alignment template {name!r} is not one of {template_names()}")
        check_whole("crop_size", self.crop_size, *CROP_SIZES)


@dataclass(frozen=True)
class BundleConfig:
    """What config.json says, less `format` and `sha256`, which concern the files themselves."""

    name: str
    generator: GeneratorConfig
    identity: IdentityConfig
    detector: DetectorConfig
    alignment: Alignment
    training: Mapping[str, object] = field(default_factory=dict)  # facts for the reader only
    licence: str = ""
    parser: ParserConfig | None = None  # None: masks are geometry alone
    facial_hair: FacialHairConfig | None = None  # None: it is the source's

    def __post_init__(self) -> None:
        if self.parser is not None and self.alignment.crop_template != TEMPLATE:
            raise ValueError(
                f"its parser knows crops aligned to {TEMPLATE!r}, not to "
                f"{self.alignment.crop_template!r}"
            )
        for halvings, width in enumerate(self.generator.channels):
            if width * (self.alignment.crop_size >> halvings) ** 2 > MAX_VALUES:
                raise ValueError(
                    f"{width} channels of crops of {self.alignment.crop_size} px are too much"
                )
        multiple = 2**self.generator.num_halvings
        if self.alignment.crop_size % multiple:
            raise ValueError(
                f"crop_size={self.alignment.crop_size} is not a multiple of {multiple}, "
                "as the generator needs"
            )
        size = self.identity.embedding_size
        if self.facial_hair and self.facial_hair.embedding_size != size:
            raise ValueError(
                f"facial hair is told from {self.facial_hair.embedding_size} numbers, the identity "
                f"network gives {size}"
            )
        if self.identity.embedding_size != self.generator.embedding_size:
            raise ValueError(
                f"the identity network gives {self.identity.embedding_size} numbers, the generator "
                f"takes {self.generator.embedding_size}"
            )


def read_config(folder: Path) -> BundleConfig:
    """The config.json of a bundle. Raises ModelError if it is missing, damaged or unknown."""
    stored = read_json(folder)
    path = folder / CONFIG_FILE
    hair = stored.get("facial_hair")
    try:
        return BundleConfig(
            name=printable(_text(stored["name"])),
            generator=_from_json(GeneratorConfig, stored["generator"]),
            identity=_from_json(IdentityConfig, stored["identity"]),
            detector=_from_json(DetectorConfig, stored["detector"]),
            alignment=_from_json(Alignment, stored["alignment"]),
            training={**stored.get("training", {})},
            licence=_text(stored.get("licence", "")),
            parser=_from_json(ParserConfig, stored["parser"]) if stored.get("parser") else None,
            facial_hair=_from_json(FacialHairConfig, hair) if hair else None,
        )
    except KeyError as error:
        raise ModelError(f"{path} lacks {error}. Fetch the model again.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path} describes a model that this version does not know: {error}. "
            "Update SimSwap, or fetch the model again."
        ) from error


def read_json(folder: Path) -> dict[str, object]:
    """What a bundle's config.json holds. Raises ModelError if it is not of the format."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise ModelError(f"{folder} is no model bundle: it has no {CONFIG_FILE}.")
    try:
        stored = read_record(path, MAX_BYTES)
        if _is_deeper(stored, MAX_DEPTH):
            raise ValueError(f"it nests values more than {MAX_DEPTH} deep")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}). Fetch the model again.") from error
    found = stored.get("format") if isinstance(stored, dict) else None
    if found != FORMAT:
        raise ModelError(
            f"{path} has format {found!r:.40}; this version reads {FORMAT!r}. "
            "Update SimSwap, or fetch a model made for it."
        )
    return stored


def _from_json(config_class: type[Config], stored: Mapping[str, object]) -> Config:
    """A frozen config from a JSON object; JSON's lists become the tuples such configs hold."""
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    return config_class(**values)


def _is_deeper(value: object, depth: int) -> bool:
    """Whether lists and objects lie in each other more than `depth` deep."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(depth + 1):
        held = [item.values() if isinstance(item, dict) else item for item in level]
        level = [inner for values in held for inner in values if isinstance(inner, dict | list)]
    return bool(level)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise ValueError(f"{value!r:.40} is no text of at most {MAX_TEXT} characters")
    return value
