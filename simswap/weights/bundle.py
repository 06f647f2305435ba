"""Model bundles: a folder with config.json and one safetensors file per network, or a Hub repo.

Every weight file is checked against config.json's sha256 before it is read; nothing is unpickled.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from simswap.errors import ModelError
from simswap.files import sha256_of, write_whole
from simswap.models.detector import FaceDetector
from simswap.models.facial_hair import FacialHair
from simswap.models.generator import Generator
from simswap.models.parser import FaceParser
from simswap.weights.bundle_config import CONFIG_FILE as CONFIG_FILE
from simswap.weights.bundle_config import FORMAT
from simswap.weights.bundle_config import Alignment as Alignment
from simswap.weights.bundle_config import BundleConfig as BundleConfig
from simswap.weights.bundle_config import read_config as read_config
from simswap.weights.bundle_networks import OPTIONAL_FILES as OPTIONAL_FILES
from simswap.weights.bundle_networks import WEIGHT_FILES as WEIGHT_FILES
from simswap.weights.bundle_networks import load_network as load_network

logger = logging.getLogger(__name__)

DEFAULT_BUNDLE = Path(__file__).parents[2] / "assets" / "models" / "simswap-lite-128"
CARD_FILE = "README.md"
MAX_DOWNLOAD = 4_000_000_000  # bytes of a model on the Hub; published ones have below one billion
HUB_REPO_PATTERN = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model in memory: its networks in eval mode, with the config they were built from.

    parser, facial_hair: None where the model has none.
    """

    config: BundleConfig
    generator: Generator
    identity_network: nn.Module
    detector: FaceDetector
    parser: FaceParser | None = None
    facial_hair: FacialHair | None = None

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
    optional = [part for part in OPTIONAL_FILES if getattr(config, part)]
    bundle = Bundle(
        config=config,
        generator=generator,
        identity_network=load_network(folder, config, "identity"),
        detector=load_network(folder, config, "detector"),
        **{part: load_network(folder, config, part) for part in optional},
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
    if os.path.isdir(source):  # False for what cannot be a path
        if revision is not None:
            raise ModelError(f"revision={revision!r} applies to Hub repos, but {source} is here.")
        return Path(source)
    if isinstance(source, str) and HUB_REPO_PATTERN.fullmatch(source):
        return _download(source, revision)
    raise ModelError(f"{source} is neither a model folder nor a Hub repo id such as 'user/name'.")


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
    files = {WEIGHT_FILES[part]: network for part, network in networks.items()}
    optional = {"parser": bundle.parser, "facial_hair": bundle.facial_hair}
    files |= {OPTIONAL_FILES[part]: network for part, network in optional.items() if network}
    checksums = {}
    for name, network in files.items():
        path = folder / name
        state = {name: _stored(value, half) for name, value in network.state_dict().items()}
        write_whole(path, save(state))
        checksums[path.name] = sha256_of(path)
    config = {"format": FORMAT, **asdict(bundle.config), "sha256": checksums}
    write_whole(folder / CARD_FILE, card.encode())
    write_whole(folder / CONFIG_FILE, (json.dumps(config, indent=2) + "\n").encode())


def _download(repo: str, revision: str | None) -> Path:
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

    files = [CONFIG_FILE, *WEIGHT_FILES.values(), *OPTIONAL_FILES.values()]
    try:
        with suppress(HfHubHTTPError, HTTPError, OSError):  # then what was fetched before is used
            found = HfApi().model_info(repo, revision=revision, files_metadata=True).siblings or ()
            num_bytes = sum(file.size or 0 for file in found if file.rfilename in files)
            if num_bytes > MAX_DOWNLOAD:
                raise ModelError(
                    f"{repo} has {num_bytes} bytes to fetch, more than the {MAX_DOWNLOAD} that a "
                    "model may have. Check its name."
                )
        return Path(snapshot_download(repo, revision=revision, allow_patterns=files))
    except (HfHubHTTPError, HFValidationError, HTTPError, OSError, ValueError) as error:
        # Such messages are long, begin with empty lines, or are empty.
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ModelError(
            f"{repo} is no model folder here, and the Hub did not give it "
            f"(revision {revision or 'main'}): {reason}. Check the name and the network, run "
            "`hf auth login` if the repo is private, or use a local folder."
        ) from error


def _stored(value: torch.Tensor, half: bool) -> torch.Tensor:
    value = value.detach().cpu().contiguous()
    if not half or not value.is_floating_point():
        return value
    halved = value.half()
    return halved if torch.isfinite(halved).all() else value  # beyond 65504 float16 overflows
