"""The networks of a bundle: built as its config says and filled from its safetensors files.

Nothing is unpickled. Before anything is allocated, a network is built without memory, and has to
fit the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from simswap.errors import ModelError
from simswap.files import sha256_of
from simswap.models.detector import FaceDetector
from simswap.models.facial_hair import FacialHair
from simswap.models.generator import Generator
from simswap.models.graph import GraphNetwork
from simswap.models.identity import INPUT_SIZE, build_identity_network
from simswap.models.parser import INPUT_SIZE as PARSED_SIZE
from simswap.models.parser import FaceParser
from simswap.weights.bundle_config import CONFIG_FILE, BundleConfig, read_json
from simswap.weights.weight_files import MAX_HEADER, load_tensors

WEIGHT_FILES = {part: f"{part}.safetensors" for part in ("generator", "identity", "detector")}
OPTIONAL_FILES = {part: f"{part}.safetensors" for part in ("parser", "facial_hair")}
MAX_VALUES = (
    2**28
)  # numbers that a graph's layers take and give; a ResNet of 100 layers' some 2**26
# Multiplications for one crop or frame. The published 512 generator takes 0.2e12, a ResNet of 100
# layers 0.024e12; ten times as much is minutes on a CPU.
MAX_WORK = {"generator": 2e12, "identity": 2e11, "detector": 2e11, "parser": 2e11}
SLOW_POOL = 20  # multiplications that a comparison of a pooling layer takes as long as
DETECTOR_SIDE = 640  # px of the frame that a detector's work is counted for
SMALL_SIDE = 64  # px of the picture that it is counted on
# What torch and its modules raise for settings that make no sense.
CANNOT_BE_BUILT = (
    *(RuntimeError, TypeError, ValueError, LookupError, AttributeError, ArithmeticError),
)
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


def load_network(folder: Path, config: BundleConfig, part: str) -> nn.Module:
    """One network of a bundle, float32, in eval mode; `part` is a key of one of the tables above.

    Raises ModelError if the file is missing, damaged, holds numbers that are not finite, or does
    not fit the config; or if the config describes more than can be run.
    """
    path = folder / (WEIGHT_FILES | OPTIONAL_FILES)[part]
    settings = getattr(config, part)
    try:
        expected = _sketch(part, settings)
    except CANNOT_BE_BUILT as error:
        raise ModelError(
            f"{folder / CONFIG_FILE} describes a {part} that does not run: {_brief(error)}. "
            "Fetch the model again."
        ) from error
    # No type has more than 8 bytes a number.
    most = 8 * sum(map(torch.numel, expected.values())) + MAX_HEADER
    _verify(path, read_json(folder).get("sha256"), most)
    try:
        state = load_tensors(path)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is not a safetensors file ({error}). Fetch it again.") from error
    _check_fit(path, part, state, expected)
    _check_numbers(path, state)
    network = _BUILDERS[part](settings)
    network.load_state_dict(state)  # whatever type of float they are stored in
    network.eval()
    # Graphs of identity networks have been looked at, the others have one size.
    if part in MAX_WORK and part != "identity":
        try:
            _check_work(network, part, config)
        except CANNOT_BE_BUILT as error:
            raise ModelError(
                f"{folder / CONFIG_FILE} describes a {part} that cannot be used: {_brief(error)}. "
                "Use another model."
            ) from error
    return network


_BUILDERS: dict[str, Callable[..., nn.Module]] = {
    "generator": Generator,
    "identity": build_identity_network,
    "detector": FaceDetector,
    "parser": FaceParser,
    "facial_hair": FacialHair,
}


@torch.inference_mode()
def _sketch(part: str, config: object) -> dict[str, Tensor]:
    """The state dict of a network that was built without memory.

    Raises ValueError, or what torch raises, if it cannot be built.
    """
    with torch.device("meta"):
        network = _BUILDERS[part](config).eval()
        if isinstance(network, GraphNetwork):
            found = check_graph(network)
            if found != (1, config.embedding_size):
                raise ValueError(f"it gives {list(found)}, not [1, {config.embedding_size}]")
    return network.state_dict()


@torch.inference_mode()
def _check_work(network: nn.Module, part: str, config: BundleConfig) -> None:
    """Raise ValueError if a generator, detector or parser takes too long for one picture.

    It is run on a small one, and what that takes is scaled up: work grows with the area.
    """
    inputs = [torch.zeros(1, 3, SMALL_SIDE, SMALL_SIDE)]
    side = DETECTOR_SIDE
    if part == "parser":
        side = PARSED_SIZE
    if part == "generator":
        inputs.append(torch.zeros(1, config.generator.embedding_size))
        side = config.alignment.crop_size
    limit = MAX_WORK[part] * (SMALL_SIDE / side) ** 2
    with _counted(network.modules(), _work_per_value, limit, "multiplications for a picture"):
        network(*inputs)


@contextmanager
def _counted(
    layers: Iterable[nn.Module], cost: Callable[[nn.Module], int], limit: float, what: str
) -> Iterator[None]:
    """While networks run here, raise ValueError as soon as layers have cost more than `limit`.

    cost: of each number that a layer gives; each that it takes costs 1.
    """
    spent = 0

    def size(values: object) -> int:
        return values.numel() if isinstance(values, Tensor) else 0

    def count(layer: nn.Module, taken: tuple[object, ...], given: object) -> None:
        nonlocal spent
        spent += cost(layer) * size(given) + sum(map(size, taken))
        if spent > limit:
            raise ValueError(f"its layers take too many {what}")

    hooks = [layer.register_forward_hook(count) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _work_per_value(layer: nn.Module) -> int:
    if isinstance(layer, nn.Conv2d):
        return math.prod(layer.kernel_size) * layer.in_channels // layer.groups
    if isinstance(layer, nn.Linear):
        return layer.in_features
    if isinstance(layer, nn.MaxPool2d | nn.AvgPool2d):
        sides = layer.kernel_size
        return SLOW_POOL * (math.prod(sides) if isinstance(sides, tuple) else sides**2)
    return 1


def check_graph(network: GraphNetwork) -> tuple[int, ...]:
    """The shape that a graph on the device "meta" gives for one crop, without arithmetic.

    Raises ValueError, or what torch raises, if it does not run, or gives more numbers on the way
    than a computer can take.
    """
    values = _counted(network.layers, lambda layer: 1, MAX_VALUES, "numbers")
    work = _counted(network.layers, _work_per_value, MAX_WORK["identity"], "multiplications")
    with values, work:
        given = network(torch.empty(1, 3, INPUT_SIZE, INPUT_SIZE, device="meta"))
    return tuple(given.shape)


def _check_fit(
    path: Path, part: str, state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> None:
    """Raise ModelError unless names, shapes and kinds of number are those that are expected."""
    for name in {**expected, **state}:
        wanted, found = _form_of(expected.get(name)), _form_of(state.get(name))
        if wanted != found:
            raise ModelError(
                f"{path} does not fit the {part} that {CONFIG_FILE} describes. Fetch both again. "
                f"{name[:80]!a} is {found}, not {wanted}."
            )


def _form_of(tensor: Tensor | None) -> str:
    if tensor is None:
        return "missing"
    kind = "floats" if tensor.dtype in _FLOATS else "counters"
    kind = kind if tensor.dtype in (*_FLOATS, torch.int64) else str(tensor.dtype)
    return f"{list(tensor.shape)} {kind}"


def _check_numbers(path: Path, state: Mapping[str, Tensor]) -> None:
    """Raise ModelError if a weight is NaN or infinite, or a variance below 0, whose root is NaN."""
    for name, value in state.items():
        if value.dtype not in _FLOATS or not value.numel():
            continue
        low, high = (float(end) for end in torch.aminmax(value))  # NaN if one is, and fast
        is_root = name.endswith("running_var")
        if not (math.isfinite(low) and math.isfinite(high)) or (is_root and low < 0):
            raise ModelError(f"{path} is damaged: {name[:80]!a} is not finite. Fetch it again.")


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:200].rstrip(".")


def _verify(path: Path, checksums: object, most: int) -> None:
    expected = checksums.get(path.name) if isinstance(checksums, dict) else None
    if not isinstance(expected, str):
        raise ModelError(f"{CONFIG_FILE} beside {path} has no sha256 for it. Fetch both again.")
    if not path.is_file():
        raise ModelError(f"{path} is missing. Fetch the model again.")
    if path.stat().st_size > most:
        raise ModelError(
            f"{path} has {path.stat().st_size} bytes, more than the network that {CONFIG_FILE} "
            "describes. Fetch both again."
        )
    found = sha256_of(path)
    if found != expected:
        raise ModelError(
            f"{path} is damaged: its sha256 is {found[:12]}..., {CONFIG_FILE} says "
            f"{expected[:12]}... ({path.stat().st_size} bytes). Fetch it again."
        )
