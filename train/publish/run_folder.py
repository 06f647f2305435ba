"""What a run's folder holds when training has come to an end, or to a checkpoint.

The trainer leaves a whole bundle in `bundle/`. Older runs left weights only, with a config.json
that describes their generator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from torch import nn

from simswap.files import read_record
from simswap.models.detector import DetectorConfig, FaceDetector
from simswap.models.generator import Generator, GeneratorConfig
from simswap.models.identity import IdentityConfig, build_identity_network
from simswap.weights.bundle import (
    CARD_FILE,
    CONFIG_FILE,
    DEFAULT_BUNDLE,
    WEIGHT_FILES,
    Alignment,
    Bundle,
    BundleConfig,
    load_bundle,
    read_config,
)
from simswap.weights.weight_files import load_tensors
from train.errors import TrainingError
from train.publish.model_card import SAMPLES_FILE

BUNDLE_FOLDER = "bundle"  # of a run's folder
CHECKPOINT_FILES = "checkpoints/step_*/model.safetensors"  # Accelerate's, of the generator
GENERATOR_FILE, PLAIN_FILE = "generator.safetensors", "generator_plain.safetensors"  # older runs
# What a run that has only weights used; it did not record a licence itself.
LICENCE = (
    "Research use only: trained on photos without a data licence (LFW, Glint360K, All-Age-Faces)."
)
# What any run's config tells a reader of the bundle; the rest concerns its machine.
FACTS = (
    "num_steps",
    "batch_size",
    "learning_rate",
    "final_learning_rate",
    "ema_decay",
    "same_every",
    "swapped_back",
    "swapped_back_length",
    "pasted",
    "augmentation",
    "data_weights",
    "source_weights",
    "discriminator",
    "feature_matching_layers",
    "generator_from",
    "discriminator_from",
    "discriminator_rate",
    "freeze_batch_norms_from",
    "glasses_emphasis",
    "identity_exponent",
    "low_frequency_cell",
    "weights",
    "seed",
)

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Result:
    """What a run has come to: the arguments of `write_bundle`."""

    name: str
    generator: Generator
    base: Bundle
    alignment: Alignment
    training: Mapping[str, object]
    licence: str
    card: str | None = None  # Markdown, where the run wrote one
    samples: bytes | None = None  # PNG


def read_run(run: Path, *, plain: bool = False, networks: Path | None = None) -> Result:
    """What a run's folder holds: the trainer's bundle, or else a config and a generator's weights.

    Args:
        run: output folder of train/train.py.
        plain: take the last checkpoint's weights themselves instead of their moving average.
        networks: folder with the identity network and the detector; None takes the run's own, or
            the bundled model's for a run that has none.

    Raises:
        TrainingError: something is missing or damaged.
        ModelError: the run's bundle is.
    """
    if not (run / BUNDLE_FOLDER / CONFIG_FILE).is_file():
        return _read_weights(run, PLAIN_FILE if plain else GENERATOR_FILE, networks)
    folder = run / BUNDLE_FOLDER
    bundle, samples = load_bundle(folder), folder / SAMPLES_FILE
    config, base, generator = bundle.config, bundle, bundle.generator
    if networks is not None:
        base = load_base(networks, generator, config.alignment)
    if plain:
        generator = load_weights(Generator(config.generator), _last_checkpoint(run))
    return Result(
        config.name,
        generator,
        base,
        config.alignment,
        config.training,
        config.licence,
        card=(folder / CARD_FILE).read_text(encoding="utf-8"),
        samples=samples.read_bytes() if samples.is_file() else None,
    )


def load_weights(network: Network, path: Path) -> Network:
    """The network in eval mode with a safetensors file's weights, widened to float32.

    Raises TrainingError if the file is missing, damaged, or of another network.
    """
    try:
        state = {
            name: value.float() if value.is_floating_point() else value
            for name, value in load_tensors(path).items()
        }
        network.load_state_dict(state)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path} cannot be read: {error}. Train again, or fetch it.") from error
    except RuntimeError as error:  # torch lists missing and unexpected keys and odd shapes
        raise TrainingError(
            f"{path} holds the weights of another network: {' '.join(str(error).split())[:300]}"
        ) from error
    return network.eval()


def load_base(folder: Path, generator: Generator, alignment: Alignment) -> Bundle:
    """A bundle of a generator and the networks in a folder, which need not be a whole bundle.

    Checksums are not compared: a network distilled a moment ago lies beside an older config.json.
    """
    config = BundleConfig(
        folder.name, generator.config, IdentityConfig(), DetectorConfig(), alignment
    )
    if (folder / CONFIG_FILE).is_file():
        stored = read_config(folder)
        config = replace(config, identity=stored.identity, detector=stored.detector)
    return Bundle(
        config,
        generator,
        load_weights(build_identity_network(config.identity), folder / WEIGHT_FILES["identity"]),
        load_weights(FaceDetector(config.detector), folder / WEIGHT_FILES["detector"]),
    )


def _last_checkpoint(run: Path) -> Path:
    files = sorted(run.glob(CHECKPOINT_FILES))  # the numbers are padded
    if not files:
        raise TrainingError(
            f"{run} has no checkpoint ({CHECKPOINT_FILES}) to take the plain weights from. "
            "Leave --plain out for their moving average."
        )
    return files[-1]


def _read_weights(run: Path, weights: str, networks: Path | None) -> Result:
    path = run / CONFIG_FILE
    try:
        stored = read_record(path)
        known = {item.name for item in fields(GeneratorConfig)}
        settings = {key: value for key, value in stored["generator"].items() if key in known}
        settings["channels"] = tuple(settings["channels"])
        generator = Generator(GeneratorConfig(**settings))
        alignment = Alignment(
            stored["crop_template"],
            stored["crop_size"],
            stored.get("identity_template", "arcface"),
        )
        training = {fact: stored[fact] for fact in FACTS if fact in stored}
        training["teachers"] = [Path(teacher).stem for teacher in stored["teachers"]]
    except FileNotFoundError as error:
        raise TrainingError(
            f"{run} is no run: it has neither {BUNDLE_FOLDER}/{CONFIG_FILE} nor {CONFIG_FILE}. "
            "Name the output folder of train/train.py."
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError(f"{path} does not describe a run ({error!r}). Train again.") from error
    generator = load_weights(generator, run / weights)
    base = load_base(networks or DEFAULT_BUNDLE, generator, alignment)
    return Result(run.name, generator, base, alignment, training, LICENCE)
