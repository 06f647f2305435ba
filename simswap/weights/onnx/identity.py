"""An ArcFace network out of its ONNX file, as the packs of insightface hold them: layers as data.

The graph becomes an identity network of the kind `graph`, which torch runs on any device and
through which gradients flow. Whether it computes the same is found out by running both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from simswap.errors import ModelError
from simswap.models.graph import INPUT, Layer
from simswap.models.identity import INPUT_SIZE, IdentityConfig, build_identity_network
from simswap.weights.bundle_networks import CANNOT_BE_BUILT, check_graph
from simswap.weights.onnx.files import attribute_of, constants_of, damaged, open_graph
from simswap.weights.onnx.running import run_onnx

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

TOLERANCE = 1e-3  # of the largest number in the embedding; rounding alone stays below 1e-4
# As insightface feeds them: pixels from 0 to 255 less 127.5, over 127.5; unless the graph itself
# begins with such a step, which then takes 0 to 255.
MEAN, STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
RAW_MEAN, RAW_STD = (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255)
SHAPE_STEPS = ("Shape", "Gather", "Unsqueeze", "Concat", "Slice", "Cast")
PAIRS = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}


def read_onnx_identity(path: Path) -> tuple[IdentityConfig, dict[str, Tensor]]:
    """Config and state dict of an ArcFace network: 112 px crops, aligned to `arcface`.

    Raises ModelError: it is damaged, no such network, or has a layer that is not known here.
    """
    graph = open_graph(path)
    try:
        translation = _translate(graph)
        config, state = _config_of(graph, translation)
    except _UnknownLayerError as error:
        raise ModelError(f"{path} is no ArcFace network that is known here: {error}.") from error
    except CANNOT_BE_BUILT as error:
        raise damaged(path, error) from error
    _check_by_running(path, config, state)
    return config, state


class _UnknownLayerError(Exception):
    """A node for which there is no layer; the message names it."""


@dataclass
class _Translation:
    """Layers so far, and what nodes' outputs are: values, constants, or shapes of values."""

    constants: dict[str, np.ndarray]
    names: dict[str, str]  # by the file's names; ours are short
    room: int  # numbers that layers may still hold: any number of them can name one constant
    layers: list[Layer] = field(default_factory=list)
    state: dict[str, Tensor] = field(default_factory=dict)
    shapes: set[str] = field(default_factory=set)

    def add(
        self,
        node: NodeProto,
        kind: str,
        weights: Mapping[str, np.ndarray] | None = None,
        **settings: object,
    ) -> None:
        """One more layer, which gives the node's first output."""
        takes = tuple(self.value(name) for name in node.input if self.is_value(name))
        self._append(Layer(kind, takes, f"x{len(self.layers)}", settings), weights or {})
        self.names[node.output[0]] = self.layers[-1].gives

    def is_value(self, name: str) -> bool:
        """Whether it depends on the crops."""
        return name in self.names

    def value(self, name: str) -> str:
        """Our name of a value; constants become layers of their own."""
        if name not in self.names and name in self.constants:
            constant = self.constants[name]
            layer = Layer("constant", (), f"x{len(self.layers)}", {"shape": constant.shape})
            self._append(layer, {"value": constant})
            self.names[name] = layer.gives
        return self.names[name]

    def _append(self, layer: Layer, weights: Mapping[str, np.ndarray]) -> None:
        self.room -= sum(value.size for value in weights.values())
        if self.room < 0:
            raise _UnknownLayerError("its layers hold more numbers than the file has bytes")
        for name, value in weights.items():
            tensor = torch.from_numpy(np.array(value, np.float32))
            self.state[f"layers.{len(self.layers)}.{name}"] = tensor
        self.layers.append(layer)


def _translate(graph: GraphProto) -> _Translation:
    constants = constants_of(graph)
    inputs = [item.name for item in graph.input if item.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise _UnknownLayerError(f"it has {len(inputs)} inputs and {len(graph.output)} outputs")
    done = _Translation(constants, {inputs[0]: INPUT}, room=graph.ByteSize())
    for node in graph.node:
        if node.output[0] not in constants:
            _translate_node(done, node)
    last = done.names.get(graph.output[0].name)
    if not done.layers or last != done.layers[-1].gives:
        raise _UnknownLayerError("its last layer does not give its output")
    return done


def _translate_node(done: _Translation, node: NodeProto) -> None:
    first = node.input[0]
    if node.op_type in SHAPE_STEPS and (node.op_type == "Shape" or done.shapes & {*node.input}):
        done.shapes.add(node.output[0])
    elif node.op_type in ("Identity", "Dropout"):
        done.names[node.output[0]] = done.names[first]
    elif node.op_type in PAIRS:
        for name in node.input:
            done.value(name)
        done.add(node, PAIRS[node.op_type])
    elif node.op_type in _LAYERS:
        _LAYERS[node.op_type](done, node)
    else:
        raise _UnknownLayerError(f"it has a layer {node.op_type!a}")


def _convolution(done: _Translation, node: NodeProto) -> None:
    weight, *bias = (done.constants[name] for name in node.input[1:])
    pads = attribute_of(node, "pads", [0, 0, 0, 0])
    if weight.ndim != 4 or pads[:2] != pads[2:] or attribute_of(node, "auto_pad", b"") not in PLAIN:
        raise _UnknownLayerError("it has a convolution that pads unevenly")
    groups = attribute_of(node, "group", 1)
    done.add(
        node,
        "convolution",
        {"weight": weight} | ({"bias": bias[0]} if bias else {}),
        in_channels=weight.shape[1] * groups,
        out_channels=weight.shape[0],
        kernel_size=weight.shape[2:],
        stride=tuple(attribute_of(node, "strides", [1, 1])),
        padding=tuple(pads[:2]),
        dilation=tuple(attribute_of(node, "dilations", [1, 1])),
        groups=groups,
        bias=bool(bias),
    )


def _norm(done: _Translation, node: NodeProto) -> None:
    names = ("weight", "bias", "running_mean", "running_var")
    weights = {
        name: done.constants[given] for name, given in zip(names, node.input[1:], strict=True)
    }
    counter = {"num_batches_tracked": np.zeros(())}
    done.add(
        node,
        "norm",
        weights | counter,
        num_features=len(weights["weight"]),
        eps=attribute_of(node, "epsilon", 1e-5),
    )


def _linear(done: _Translation, node: NodeProto) -> None:
    weight = done.constants[node.input[1]]
    is_plain = all(attribute_of(node, name, 1.0) == 1.0 for name in ("alpha", "beta"))
    if weight.ndim != 2 or not is_plain or attribute_of(node, "transA", 0):
        raise _UnknownLayerError("it has a linear layer of an odd kind")
    weight = weight if attribute_of(node, "transB", 0) else weight.T
    bias = [done.constants[name] for name in node.input[2:]]
    done.add(
        node,
        "linear",
        {"weight": weight} | ({"bias": bias[0]} if bias else {}),
        in_features=weight.shape[1],
        out_features=weight.shape[0],
        bias=bool(bias),
    )


def _prelu(done: _Translation, node: NodeProto) -> None:
    slopes = done.constants[node.input[1]].reshape(-1)
    done.add(node, "prelu", {"weight": slopes}, num_parameters=len(slopes))


def _clip(done: _Translation, node: NodeProto) -> None:
    limits = [float(done.constants[name]) for name in node.input[1:]]
    low, high = limits or (attribute_of(node, "min", -np.inf), attribute_of(node, "max", np.inf))
    done.add(node, "clip", min_val=low, max_val=high)


def _flatten(done: _Translation, node: NodeProto) -> None:
    shape = node.input[1] if node.op_type == "Reshape" else None
    is_flat = attribute_of(node, "axis", 1) == 1 if shape is None else shape in done.shapes
    if not is_flat and (shape not in done.constants or done.constants[shape].size != 2):
        raise _UnknownLayerError("it reshapes to something other than a vector")
    done.add(node, "flatten")


def _max_pool(done: _Translation, node: NodeProto) -> None:
    pads = attribute_of(node, "pads", [0, 0, 0, 0])
    if pads[:2] != pads[2:] or attribute_of(node, "ceil_mode", 0):
        raise _UnknownLayerError("it has a pooling that pads unevenly")
    done.add(
        node,
        "max_pool",
        kernel_size=tuple(attribute_of(node, "kernel_shape", None)),
        stride=tuple(attribute_of(node, "strides", [1, 1])),
        padding=tuple(pads[:2]),
    )


PLAIN = (b"", b"NOTSET")
_LAYERS = {
    "Conv": _convolution,
    "BatchNormalization": _norm,
    "Gemm": _linear,
    "MatMul": _linear,
    "PRelu": _prelu,
    "Clip": _clip,
    "Flatten": _flatten,
    "Reshape": _flatten,
    "MaxPool": _max_pool,
    "Relu": lambda done, node: done.add(node, "relu"),
    "Sigmoid": lambda done, node: done.add(node, "sigmoid"),
    "LeakyRelu": lambda done, node: done.add(
        node, "leaky_relu", negative_slope=attribute_of(node, "alpha", 0.01)
    ),
    "GlobalAveragePool": lambda done, node: done.add(node, "mean_pool", output_size=1),
}


def _config_of(graph: GraphProto, done: _Translation) -> tuple[IdentityConfig, dict[str, Tensor]]:
    is_raw = {"Sub", "Mul"} <= {node.op_type for node in graph.node[:8]}
    config = IdentityConfig(
        "graph",
        mean=RAW_MEAN if is_raw else MEAN,
        std=RAW_STD if is_raw else STD,
        layers=tuple(done.layers),
    )
    with torch.device("meta"):
        network = build_identity_network(config).eval()
        found = check_graph(network)
    if len(found) != 2 or found[0] != 1:
        raise _UnknownLayerError(f"it gives {list(found)} for a crop, not [1, E]")
    shapes = {key: value.shape for key, value in network.state_dict().items()}
    state = {key: done.state[key].reshape(shape) for key, shape in shapes.items()}
    counters = {key for key in state if key.endswith("num_batches_tracked")}
    state = {key: value.long() if key in counters else value for key, value in state.items()}
    return replace(config, embedding_size=found[1]), state


def _check_by_running(path: Path, config: IdentityConfig, state: Mapping[str, Tensor]) -> None:
    network = build_identity_network(config).eval()
    network.load_state_dict(state)
    crops = np.random.RandomState(0).rand(1, 3, INPUT_SIZE, INPUT_SIZE).astype(np.float32)
    try:
        with torch.inference_mode():
            found = network(torch.from_numpy(crops)).numpy()
    except RuntimeError as error:  # of what no shape tells, such as a padding below zero
        raise ModelError(f"{path} cannot be run: {error}. Export the network anew.") from error
    mean, std = (np.float32(values).reshape(3, 1, 1) for values in (config.mean, config.std))
    expected = run_onnx(path, (crops - mean) / std)
    scale = max(float(np.abs(expected).max()), 1e-12)
    if found.shape != expected.shape or not np.abs(found - expected).max() <= TOLERANCE * scale:
        raise ModelError(
            f"{path} gives other numbers here than in onnxruntime: it is not understood, so do "
            "not use it."
        )
