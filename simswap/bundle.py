"""Model bundles: a folder with config.json and one safetensors file per network, or a Hub repo.

Every weight file is checked against config.json's sha256 before it is read; nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from simswap.errors import ModelError
from simswap.files import write_whole
from simswap.geometry import template_names
from simswap.models.detector import DetectorConfig, FaceDetector
from simswap.models.generator import Generator, GeneratorConfig
from simswap.models.identity import IdentityConfig, build_identity_network

logger = logging.getLogger(__name__)

FORMAT = "simswap-bundle-1"
DEFAULT_BUNDLE = Path(__file__).parents[1] / "assets" / "models" / "simswap-lite-128"
CONFIG_FILE, CARD_FILE = "config.json", "README.md"
WEIGHT_FILES = {part: f"{part}.safetensors" for part in ("generator", "identity", "detector")}
HUB_REPO_PATTERN = re.compile(r"[\w.-]+/[\w.-]+")

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
        if self.crop_size < 1:
            raise ValueError(f"crop_size={self.crop_size} must be positive")


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

    def __post_init__(self) -> None:
        multiple = 2**self.generator.num_halvings
        if self.alignment.crop_size % multiple:
            raise ValueError(
                f"crop_size={self.alignment.crop_size} is not a multiple of {multiple}, "
                "as the generator needs"
            )
        if self.identity.embedding_size != self.generator.embedding_size:
            raise ValueError(
                f"the identity network gives {self.identity.embedding_size} numbers, the generator "
                f"takes {self.generator.embedding_size}"
            )


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model in memory: the three networks in eval mode, with the config they were built from."""

    config: BundleConfig
    generator: Generator
    identity_network: nn.Module
    detector: FaceDetector

    @property
    def name(self) -> str:
        """The bundle's id, as results are marked with it."""
        return self.config.name


def load_bundle(source: str | Path | None = None, revision: str | None = None) -> Bundle:
    """Load and verify a bundle onto the CPU: a folder, a Hub repo id, or None for the bundled one.

    Raises ModelError, naming the file and the remedy, if anything is missing, damaged or unknown.
    """
    started = time.perf_counter()
    folder = find_bundle(source, revision)
    config = read_config(folder)
    generator = load_network(folder, config, "generator")
    bundle = Bundle(
        config=config,
        generator=generator,
        identity_network=load_network(folder, config, "identity"),
        detector=load_network(folder, config, "detector"),
    )
    logger.info(
        "Loaded %s (generator: %.1f M parameters) in %.1f s",
        bundle.name,
        sum(weights.numel() for weights in generator.parameters()) / 1e6,
        time.perf_counter() - started,
    )
    return bundle


def find_bundle(source: str | Path | None, revision: str | None = None) -> Path:
    """The folder of a bundle, downloaded first where `source` is a Hub repo id."""
    if source is None:
        if not DEFAULT_BUNDLE.is_dir():
            raise ModelError(
                f"The bundled model is not at {DEFAULT_BUNDLE}. Run from a clone of the "
                "repository, or name a model folder or Hub repo."
            )
        return DEFAULT_BUNDLE
    if Path(source).is_dir():
        if revision is not None:
            raise ModelError(f"revision={revision!r} applies to Hub repos, but {source} is here.")
        return Path(source)
    if isinstance(source, str) and HUB_REPO_PATTERN.fullmatch(source):
        return _download(source, revision)
    raise ModelError(f"{source} is neither a model folder nor a Hub repo id such as 'user/name'.")


def read_config(folder: Path) -> BundleConfig:
    """The config.json of a bundle. Raises ModelError if it is missing, damaged or unknown."""
    stored = _read_json(folder)
    path = folder / CONFIG_FILE
    try:
        return BundleConfig(
            name=str(stored["name"]),
            generator=_from_json(GeneratorConfig, stored["generator"]),
            identity=_from_json(IdentityConfig, stored["identity"]),
            detector=_from_json(DetectorConfig, stored["detector"]),
            alignment=_from_json(Alignment, stored["alignment"]),
            training=stored.get("training", {}),
            licence=str(stored.get("licence", "")),
        )
    except KeyError as error:
        raise ModelError(f"{path} lacks {error}. Fetch the model again.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"{path} describes a model that this version does not know: {error}. "
            "Update SimSwap, or fetch the model again."
        ) from error


def load_network(folder: Path, config: BundleConfig, part: str) -> nn.Module:
    """One network of a bundle, float32, in eval mode; `part` is a key of WEIGHT_FILES."""
    path = folder / WEIGHT_FILES[part]
    _verify(path, _read_json(folder).get("sha256"))
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise ModelError(f"{path} is not a safetensors file ({error}). Fetch it again.") from error
    state = {
        name: value.float() if value.is_floating_point() else value for name, value in state.items()
    }
    try:
        network = _build(part, getattr(config, part), sum(map(torch.numel, state.values())))
        network.load_state_dict(state)
    except (RuntimeError, TypeError, ValueError) as error:  # torch lists odd keys and shapes
        raise ModelError(
            f"{path} does not fit the {part} that {CONFIG_FILE} describes. Fetch both again. "
            f"{' '.join(str(error).split())[:400]}"
        ) from error
    return network.eval()


def save_bundle(bundle: Bundle, folder: Path, card: str, *, half: bool = True) -> None:
    """Write a bundle that `load_bundle` reads; config.json comes last, so it vouches for the rest.

    card: text of the model card (README.md); half: store float16, loaded back as float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    networks = {
        "generator": bundle.generator,
        "identity": bundle.identity_network,
        "detector": bundle.detector,
    }
    checksums = {}
    for part, network in networks.items():
        path = folder / WEIGHT_FILES[part]
        state = {name: _stored(value, half) for name, value in network.state_dict().items()}
        write_whole(path, save(state))
        checksums[path.name] = _sha256(path)
    config = {"format": FORMAT, **asdict(bundle.config), "sha256": checksums}
    write_whole(folder / CARD_FILE, card.encode())
    write_whole(folder / CONFIG_FILE, (json.dumps(config, indent=2) + "\n").encode())


_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "generator": Generator,
    "identity": build_identity_network,
    "detector": FaceDetector,
}


def _build(part: str, config: object, num_values: int) -> nn.Module:
    """The network that a config describes, unless that is far larger than the weights in hand."""
    with torch.device("meta"):  # takes no memory
        expected = sum(map(torch.numel, _BUILDERS[part](config).state_dict().values()))
    if expected > 2 * num_values + 1_000_000:
        raise ValueError(f"{expected} numbers are described, {num_values} are there")
    return _BUILDERS[part](config)


def _download(repo: str, revision: str | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    files = [CONFIG_FILE, CARD_FILE, *WEIGHT_FILES.values()]
    try:
        return Path(snapshot_download(repo, revision=revision, allow_patterns=files))
    except (HfHubHTTPError, HFValidationError, HTTPError, OSError) as error:
        # Such messages are long, begin with empty lines, or are empty.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"{repo} is no model folder here, and the Hub did not give it "
            f"(revision {revision or 'main'}): {reason}. Check the name and the network, run "
            "`hf auth login` if the repo is private, or use a local folder."
        ) from error


def _read_json(folder: Path) -> dict[str, object]:
    path = folder / CONFIG_FILE
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{folder} is no model bundle: it has no {CONFIG_FILE}.") from error
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}). Fetch the model again.") from error
    found = stored.get("format") if isinstance(stored, dict) else None
    if found != FORMAT:
        raise ModelError(
            f"{path} has format {found!r}; this version reads {FORMAT!r}. "
            "Update SimSwap, or fetch a model made for it."
        )
    return stored


def _from_json(config_class: type[Config], stored: Mapping[str, object]) -> Config:
    """A frozen config from a JSON object; JSON's lists become the tuples such configs hold."""
    values = {
        name: tuple(value) if isinstance(value, list) else value for name, value in stored.items()
    }
    return config_class(**values)


def _verify(path: Path, checksums: object) -> None:
    expected = checksums.get(path.name) if isinstance(checksums, dict) else None
    if not isinstance(expected, str):
        raise ModelError(f"{CONFIG_FILE} beside {path} has no sha256 for it. Fetch both again.")
    if not path.is_file():
        raise ModelError(f"{path} is missing. Fetch the model again.")
    found = _sha256(path)
    if found != expected:
        raise ModelError(
            f"{path} is damaged: its sha256 is {found[:12]}..., {CONFIG_FILE} says "
            f"{expected[:12]}... ({path.stat().st_size} bytes). Fetch it again."
        )


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _stored(value: torch.Tensor, half: bool) -> torch.Tensor:
    value = value.detach().cpu().contiguous()
    if not half or not value.is_floating_point():
        return value
    halved = value.half()
    return halved if torch.isfinite(halved).all() else value  # beyond 65504 float16 overflows
