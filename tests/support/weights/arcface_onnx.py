"""ArcFace networks as ONNX files: the layout of insightface's packs, small, with seeded weights."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np

WIDTHS = (8, 8, 8, 12, 12)  # of the real ones: 64, 64, 128, 256, 512


class _Builder:
    """Nodes and initialisers in the order in which the graph runs them."""

    def __init__(self, seed: int) -> None:
        self.random, self.nodes, self.weights = np.random.RandomState(seed), [], {}

    def node(self, kind: str, *inputs: str | np.ndarray, **attributes: object) -> str:
        from onnx import helper

        output = f"{len(self.nodes)}.{kind}"
        names = []
        for place, given in enumerate(inputs):
            name = given if isinstance(given, str) else f"{output}.{place}"
            if not isinstance(given, str):
                self.weights[name] = given
            names.append(name)
        self.nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def numbers(self, *shape: int, scale: float = 1.0, shift: float = 0.0) -> np.ndarray:
        return (self.random.standard_normal(shape) * scale + shift).astype(np.float32)

    def convolution(self, x: str, inputs: int, outputs: int, **attributes: object) -> str:
        kernel = attributes["kernel_shape"]
        fan = inputs // attributes.get("group", 1) * kernel[0] * kernel[1]
        weight = self.numbers(
            outputs, inputs // attributes.get("group", 1), *kernel, scale=fan**-0.5
        )
        return self.node("Conv", x, weight, self.numbers(outputs, scale=0.1), **attributes)

    def norm(self, x: str, width: int) -> str:
        values = [self.numbers(width, scale=0.1, shift=s) for s in (1.0, 0.0, 0.0)]
        spread = np.abs(self.numbers(width, scale=0.1)) + 1
        return self.node("BatchNormalization", x, *values, spread, epsilon=2e-5)

    def prelu(self, x: str, width: int) -> str:
        return self.node("PRelu", x, self.numbers(width, 1, 1, scale=0.1, shift=0.25))

    def linear(self, x: str, inputs: int, outputs: int) -> str:
        weight = self.numbers(outputs, inputs, scale=inputs**-0.5)
        return self.node("Gemm", x, weight, self.numbers(outputs, scale=0.1), transB=1)


def save_iresnet(path: Path, seed: int = 0, size: int = 512) -> Path:
    """As w600k_r50 and glintr100 are exported: norms after convolutions are folded into them."""
    build = _Builder(seed)
    square = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    x = build.prelu(build.convolution("input.1", 3, WIDTHS[0], strides=[1, 1], **square), WIDTHS[0])
    for inputs, outputs in pairwise(WIDTHS):
        y = build.norm(x, inputs)
        y = build.prelu(build.convolution(y, inputs, outputs, strides=[1, 1], **square), outputs)
        y = build.convolution(y, outputs, outputs, strides=[2, 2], **square)
        x = build.convolution(x, inputs, outputs, strides=[2, 2], kernel_shape=[1, 1])
        x = build.node("Add", y, x)
    x = build.node("Flatten", build.norm(x, WIDTHS[-1]), axis=1)
    x = build.norm(build.linear(x, WIDTHS[-1] * 49, size), size)
    return _save(build, x, path, size)


def save_mobilefacenet(path: Path, seed: int = 0, size: int = 512) -> Path:
    """As w600k_mbf is exported: depthwise layers, and a vector whose shape the graph computes."""
    build, width = _Builder(seed), WIDTHS[-1]
    square = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1], "strides": [2, 2]}
    x, inputs = "input.1", 3
    for _ in range(4):
        x = build.prelu(build.convolution(x, inputs, width, **square), width)
        y = build.convolution(x, width, width, **{**square, "strides": [1, 1]}, group=width)
        x, inputs = build.node("Add", build.prelu(y, width), x), width
    x = build.convolution(x, width, width, kernel_shape=[7, 7], group=width)
    batch = build.node("Gather", build.node("Shape", x), np.array(0), axis=0)
    batch = build.node("Unsqueeze", batch, np.array([0]))
    shape = build.node("Concat", batch, np.array([-1]), axis=0)
    x = build.node("Reshape", x, shape)
    product = build.node("MatMul", x, build.numbers(width, size, scale=width**-0.5))
    x = build.norm(build.node("Add", product, build.numbers(size, scale=0.1)), size)
    return _save(build, x, path, size)


def save_with_own_scaling(path: Path, seed: int = 0) -> Path:
    """As older packs: the graph itself begins with (x - 127.5) / 128, as two nodes."""
    build, width = _Builder(seed), WIDTHS[-1]
    x = build.node("Sub", "input.1", np.float32([127.5]))
    x = build.node("Mul", x, np.float32([1 / 128]))
    x = build.convolution(x, 3, width, kernel_shape=[7, 7], strides=[16, 16])
    x = build.node("Flatten", build.node("Relu", x), axis=1)
    return _save(build, build.linear(x, width * 49, 512), path, 512)


def save_strange(path: Path, change: Callable[[_Builder, str], str]) -> Path:
    """One convolution, and then whatever `change` adds."""
    build = _Builder(0)
    x = build.convolution("input.1", 3, 4, kernel_shape=[7, 7], strides=[16, 16])
    return _save(build, change(build, x), path, None)


def _save(build: _Builder, output: str, path: Path, size: int | None) -> Path:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    crops = helper.make_tensor_value_info("input.1", TensorProto.FLOAT, ["None", 3, 112, 112])
    shape = None if size is None else ["None", size]
    given = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
    weights = [numpy_helper.from_array(value, name) for name, value in build.weights.items()]
    graph = helper.make_graph(build.nodes, "arcface", [crops], [given], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path
