"""The state dict of an official generator out of its ONNX export.

Exporters rename, transpose and fold weights, so names tell nothing: convolutions and linear layers
are matched in the order in which the graph runs them, by shape. Whether that was right is found out
by running both networks on the same input.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from torch import Tensor

from simswap.errors import ModelError
from simswap.models.generator import Generator, GeneratorConfig
from simswap.weights.official import VARIANTS, Variant
from simswap.weights.onnx.files import attribute_of, constants_of, damaged, open_graph
from simswap.weights.onnx.running import run_onnx

if TYPE_CHECKING:
    from onnx import GraphProto

TOLERANCE = 1e-3  # of the output's range; rounding alone stays below 1e-4
BATCH_NORM_EPSILON = 1e-5  # torch's
NORM_VALUES = ("weight", "bias", "running_mean", "running_var")  # in ONNX's order


@dataclass
class _Layers:
    """Weights in the order in which the graph runs them; weight first, then bias."""

    convolutions: list[list[np.ndarray]] = field(default_factory=list)
    norms: dict[int, list[np.ndarray]] = field(default_factory=dict)  # by convolution's number
    linears: list[list[np.ndarray]] = field(default_factory=list)


def read_onnx_generator(path: Path) -> tuple[dict[str, Tensor], Literal["unit", "imagenet"]]:
    """State dict under the official keys, and the pixels that the network was found to take.

    Batch norms that the exporter folded into convolutions come back as ones that change nothing.
    Raises ModelError: it is no official generator, or onnx is not installed.
    """
    graph = open_graph(path)
    try:
        layers = _collect(graph)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise damaged(path, error) from error
    for variant in VARIANTS:
        state = _state_of(layers, variant.generator)
        if state is not None:
            return state, _check_by_running(path, state, variant)
    raise ModelError(
        f"{path} is an ONNX model, but not of an official SimSwap generator: none has its "
        f"{len(layers.convolutions)} convolutions and {len(layers.linears)} linear layers of "
        "these shapes in this order."
    )


def _collect(graph: GraphProto) -> _Layers:
    constants = constants_of(graph)
    biases = _biases(graph, constants)
    layers, made_by = _Layers(), {}
    for node in graph.node:
        inputs = [constants.get(name) for name in node.input]
        if node.op_type == "Conv" and inputs[1] is not None:
            none = np.broadcast_to(np.float32(0), len(inputs[1]))  # of any length without memory
            bias = inputs[2] if len(inputs) > 2 else none
            made_by[node.output[0]] = len(layers.convolutions)
            layers.convolutions.append([inputs[1], bias])
        elif node.op_type == "BatchNormalization" and node.input[0] in made_by:
            layers.norms[made_by[node.input[0]]] = inputs[1:5]
        elif node.op_type == "Gemm" and inputs[1] is not None:
            is_transposed = attribute_of(node, "transB", 0)
            layers.linears.append([inputs[1] if is_transposed else inputs[1].T, inputs[2]])
        elif node.op_type == "MatMul" and inputs[1] is not None:
            layers.linears.append([inputs[1].T, biases.get(node.output[0])])
    return layers


def _biases(graph: GraphProto, constants: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The constants that are added to values, by the values' names; the first for each."""
    biases: dict[str, np.ndarray] = {}
    for node in graph.node:
        held = next((constants[name] for name in node.input if name in constants), None)
        if node.op_type == "Add" and held is not None:
            for name in node.input:
                biases.setdefault(name, held)
    return biases


def _state_of(layers: _Layers, config: GeneratorConfig) -> dict[str, Tensor] | None:
    """The state dict, or None where the layers are not those of this generator."""
    with torch.device("meta"):
        generator = Generator(config)
    convolutions, linears, norms = _names_in_order(generator)
    if len(convolutions) != len(layers.convolutions) or len(linears) != len(layers.linears):
        return None
    found: dict[str, np.ndarray | None] = {}
    for name, values in zip(convolutions, layers.convolutions, strict=True):
        found |= {f"{name}.weight": values[0], f"{name}.bias": values[1]}
    for name, values in zip(linears, layers.linears, strict=True):
        found |= {f"{name}.weight": values[0], f"{name}.bias": values[1]}
    shapes = {key: tuple(value.shape) for key, value in generator.state_dict().items()}
    for number, convolution in enumerate(convolutions):
        if convolution in norms:
            width = shapes[f"{norms[convolution]}.weight"][0]
            values = layers.norms.get(number) or _idle_norm(width)
            found |= {
                f"{norms[convolution]}.{key}": value
                for key, value in zip(NORM_VALUES, values, strict=True)
            }
    if any(value is None or shapes[key] != value.shape for key, value in found.items()):
        return None
    state = {key: torch.tensor(value.astype(np.float32)) for key, value in found.items()}
    counters = {key: torch.zeros((), dtype=torch.int64) for key in shapes if key not in state}
    return {key: {**state, **counters}[key] for key in shapes}


def _names_in_order(generator: Generator) -> tuple[list[str], list[str], dict[str, str]]:
    """Convolutions and linear layers as they run, and each convolution's batch norm if any."""
    convolutions, linears, norms = [], [], {}
    for name, module in generator.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            convolutions.append(name)
        elif isinstance(module, torch.nn.Linear):
            linears.append(name)
        elif isinstance(module, torch.nn.BatchNorm2d):
            norms[convolutions[-1]] = name
    return convolutions, linears, norms


def _idle_norm(width: int) -> list[np.ndarray]:
    ones, zeros = np.ones(width, np.float32), np.zeros(width, np.float32)
    return [ones, zeros, zeros, ones - np.float32(BATCH_NORM_EPSILON)]


def _check_by_running(
    path: Path, state: dict[str, Tensor], variant: Variant
) -> Literal["unit", "imagenet"]:
    generator = Generator(variant.generator).eval()
    generator.load_state_dict(state)
    random = np.random.RandomState(0)
    images = random.rand(1, 3, variant.crop_size, variant.crop_size).astype(np.float32)
    embeddings = random.standard_normal((1, 512)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings)
    expected = run_onnx(path, images, embeddings)
    arguments = torch.from_numpy(images), torch.from_numpy(embeddings)
    with torch.inference_mode():
        body = generator.body(*arguments).numpy()
    # One pass serves both: what the published network makes of its body's output is a formula.
    unit = (np.tanh(body) + 1) / 2
    differences = {
        "unit": np.abs(unit - expected).max() if expected.shape == unit.shape else np.inf,
        "imagenet": np.abs(body - expected).max() / np.abs(body).max()
        if expected.shape == body.shape
        else np.inf,
    }
    nearest = min(differences, key=differences.__getitem__)
    if not differences[nearest] <= TOLERANCE:
        raise ModelError(
            f"{path} has the layers of {variant.called}, but gives other pictures (by "
            f"{differences[nearest]:.3g}; {TOLERANCE:g} is allowed): it is not the same network."
        )
    return nearest
