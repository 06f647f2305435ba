"""Official weights into a bundle, which the demo, the shell and the trainer use like any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from simswap.errors import ModelError, OptionError
from simswap.files import sha256_of
from simswap.models.generator import Generator
from simswap.models.identity import IdentityConfig, build_identity_network
from simswap.weights.bundle import (
    CARD_FILE,
    CONFIG_FILE,
    DEFAULT_BUNDLE,
    OPTIONAL_FILES,
    WEIGHT_FILES,
    Alignment,
    Bundle,
    BundleConfig,
    find_bundle,
    load_network,
    read_config,
    save_bundle,
)
from simswap.weights.bundle_config import read_json
from simswap.weights.official import (
    Maker,
    Recognised,
    load_official,
    recognise_generator,
    recognise_identity,
)
from simswap.weights.onnx.files import is_onnx
from simswap.weights.onnx.generator import read_onnx_generator
from simswap.weights.onnx.identity import read_onnx_identity
from simswap.weights.weight_files import read_weights

Found = TypeVar("Found")

UNKNOWN_LICENCE = (
    "Not known to this program: what the maker of the weights says holds. The published SimSwap "
    "weights are for non-commercial research only."
)
OTHER_IDENTITY = (
    "The identity network is not the published one: swaps look like the source only if the "
    "generator was trained with this very network."
)


@dataclass(frozen=True)
class Conversion:
    """What was made of the files."""

    folder: Path
    called: str  # the variant that the generator was found to be
    notices: tuple[str, ...]


def convert(
    generator: Path,
    identity: Path,
    output: Path,
    *,
    size: int | None = None,
    maker: Maker | None = None,
    name: str | None = None,
    licence: str = UNKNOWN_LICENCE,
) -> Conversion:
    """Write a bundle of an official generator and its ArcFace network; the detector is ours.

    Weights are stored in float32, as they are: the bundle gives back every bit.

    generator: .pth, .safetensors or .onnx; identity: .tar, .pth, .safetensors, or the .onnx of
    another ArcFace network that the generator was trained with; all told by keys and shapes.
    output: the folder to write; a bundle that is there is replaced.
    size: px, side of the crops; None is the variant's own. maker: None is what the keys tell, else
    "published". name: results are marked with it; None is the folder's. licence: a sentence.
    Raises ModelError if a file is missing, damaged, or not what it should be; OptionError if size
    or maker contradict the file, or the folder cannot be written.
    """
    _check_output(output)
    state, maker = _read_generator(generator, maker)
    found = _naming(generator, lambda: recognise_generator(state, maker, size))
    identity_config, identity_state, identity_template = _read_identity(identity, found)
    base = find_bundle(DEFAULT_BUNDLE)
    base_config = read_config(base)
    config = BundleConfig(
        name=name or output.resolve().name,
        generator=found.generator,
        identity=identity_config,
        detector=base_config.detector,
        alignment=Alignment(found.template, found.crop_size, identity_template),
        training={"converted_from": _facts(generator, identity, found)},
        licence=licence,
    )
    bundle = Bundle(
        config,
        _filled(Generator(config.generator), state, generator),
        _filled(build_identity_network(identity_config), identity_state, identity),
        load_network(base, base_config, "detector"),
    )
    _save(bundle, output, _card(config, found))
    notices = [found.notice] if found.notice else []
    if identity_config.architecture == "graph":
        notices.append(OTHER_IDENTITY)
    return Conversion(output, found.called, tuple(notices))


def _save(bundle: Bundle, output: Path, card: str) -> None:
    try:
        save_bundle(bundle, output, card, half=False)
    except OSError as error:
        raise OptionError(f"{output} cannot be written: {error.strerror or error}.") from error


def _read_generator(path: Path, maker: Maker | None) -> tuple[dict[str, Tensor], Maker | None]:
    if not is_onnx(path):
        return read_weights(path), maker
    state, pixel_range = read_onnx_generator(path)
    told: Maker = "published" if pixel_range == "unit" else "trainer"
    if maker not in (None, told):
        raise OptionError(f"Run, {path} behaves as a {told} network, but --maker says {maker}.")
    return state, told


def _read_identity(path: Path, found: Recognised) -> tuple[IdentityConfig, dict[str, Tensor], str]:
    """Config and state dict of the identity network, and the template of its crops."""
    if is_onnx(path):
        return *read_onnx_identity(path), "arcface"
    state = read_weights(path)
    # The official code cuts source faces as it cuts target faces, then shrinks them to 112 px.
    return _naming(path, lambda: recognise_identity(state)), state, found.template


def _naming(path: Path, recognise: Callable[[], Found]) -> Found:
    """What `recognise` gives; the file's name goes before what it refuses."""
    try:
        return recognise()
    except ModelError as error:
        raise ModelError(f"{path} {error}") from error


def _check_output(output: Path) -> None:
    """Refuse a folder of something else, before minutes are spent."""
    try:
        if output.exists() and not output.is_dir():
            raise OptionError(f"{output} is a file. Name a folder for the model.")
        if output.is_dir() and not _may_be_replaced(output):
            raise OptionError(f"{output} holds other files. Name a new or empty folder.")
        if output.is_symlink() and not output.exists():
            raise OptionError(f"{output} is a link that leads nowhere. Name a folder.")
    except OSError as error:  # such as a name that is too long
        raise OptionError(f"{output} cannot be written: {error.strerror}.") from error
    if output.resolve() == DEFAULT_BUNDLE.resolve():
        raise OptionError(f"{output} is the bundled model. Name another folder.")


def _may_be_replaced(folder: Path) -> bool:
    """Whether a folder is empty, or holds a model in our format and nothing else."""
    names = {path.name for path in folder.iterdir()}
    if names:
        try:
            read_json(folder)
        except ModelError:
            return False
    return names <= {CONFIG_FILE, CARD_FILE, *WEIGHT_FILES.values(), *OPTIONAL_FILES.values()}


def _filled(network: nn.Module, state: Mapping[str, Tensor], path: Path) -> nn.Module:
    for name, value in state.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise ModelError(f"{path} is damaged: {name} is not finite. Fetch it again.")
    load_official(network, state)
    return network.eval()


def _facts(generator: Path, identity: Path, found: Recognised) -> dict[str, object]:
    facts: dict[str, object] = {"variant": found.called}
    for part, path in (("generator", generator), ("identity", identity)):
        facts[f"{part}_sha256"] = sha256_of(path)
    return facts


def _card(config: BundleConfig, found: Recognised) -> str:
    return (
        "---\nlicense: other\ntags: [face-swapping, simswap]\n---\n"
        f"# {config.name}\n\n"
        f"Converted from official SimSwap weights: {found.called}, {found.crop_size} px crops "
        f"aligned to `{found.template}`, {_describe(config.identity)}; the face "
        "detector is the one that comes with SimSwap.\n\n"
        f"Licence of the weights: {config.licence}\n\n"
        "Swap only faces of people who agreed. Files written by SimSwap say that they are "
        "synthetic.\n"
    )


def _describe(identity: IdentityConfig) -> str:
    if identity.architecture == "graph":
        return f"an ArcFace network of {len(identity.layers)} layers, read from ONNX"
    return f"ArcFace IR-SE with blocks {list(identity.blocks)}"
