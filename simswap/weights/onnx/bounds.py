"""What an ONNX file may hold to be read at all: one plain graph of layers that are known here.

A file's parts are counted before a library builds objects of them, since two bytes can claim one;
then the graph is looked at, before anything is computed of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

MAX_BYTES = 1_000_000_000
MAX_PARTS = 100_000  # fields of nodes and tensors; a ResNet of 100 layers has some 10,000
MAX_NOTES = 8_000_000  # bytes of shapes and other notes on the graph
MAX_NODES = 4000
MAX_INPUTS = 64  # of a node
MAX_SIDES = 8  # dimensions of a tensor
# Layers without a graph inside, of which the official networks are exported, and ArcFace ones.
KNOWN = {
    *("Add", "BatchNormalization", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape"),
    *("Conv", "Div", "Dropout", "Equal", "Expand", "Flatten", "Floor", "Gather", "Gemm"),
    *("GlobalAveragePool", "Identity", "InstanceNormalization", "LeakyRelu", "MatMul"),
    *("MaxPool", "Mul", "Neg", "PRelu", "Pad", "Pow", "Range", "Reciprocal", "ReduceMean"),
    *("ReduceSum", "Relu", "Reshape", "Resize", "Shape", "Sigmoid", "Slice", "Split", "Sqrt"),
    *("Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze", "Upsample", "Where"),
}
# Numbers of ONNX's fields. A message is told by the fields that hold further ones.
_TENSOR: dict[int, dict] = {}
_ATTRIBUTE = {5: _TENSOR, 10: _TENSOR}
_NODE = {5: _ATTRIBUTE}
_GRAPH = {1: _NODE, 5: _TENSOR}
_MODEL = {7: _GRAPH}
_NOTES = {id(_MODEL): {8, 14, 26}, id(_GRAPH): {11, 12, 13, 14, 16}, id(_NODE): {9, 10}}
_REFUSED = {
    id(_MODEL): {20: "a training", 25: "functions of its own"},
    id(_GRAPH): {15: "sparse tensors"},
    id(_ATTRIBUTE): {6: "a graph in a layer", 11: "graphs in a layer", 22: "sparse tensors"}
    | {23: "sparse tensors", 14: "types as values", 15: "types as values"},
}
_VARINT, _LONG, _BYTES, _SHORT = 0, 1, 2, 5  # how a field is written


class UnfitError(Exception):
    """What a file holds that is not read; the message goes behind "it has"."""


def check_parts(content: bytes) -> None:
    """Raise UnfitError for parts that are not read, or too many; ValueError for a damaged file."""
    num_parts = num_notes = 0
    waiting = [(_MODEL, 0, len(content))]
    while waiting:
        message, start, end = waiting.pop()
        for number, first, last in _fields(content, start, end):
            num_parts += 1
            if number in _REFUSED.get(id(message), ()):
                raise UnfitError(_REFUSED[id(message)][number])
            if number in message:
                waiting.append((message[number], first, last))
            elif number in _NOTES.get(id(message), ()):
                num_notes += last - first
            if num_parts > MAX_PARTS or num_notes > MAX_NOTES:
                raise UnfitError("more parts than any network that is known here")


def check_graph(model: ModelProto) -> None:
    """Raise UnfitError unless a model is a graph of moderate size, of known layers alone."""
    from onnx import TensorProto

    nodes = model.graph.node
    if len(nodes) > MAX_NODES:
        raise UnfitError(f"{len(nodes)} layers, more than {MAX_NODES}")
    for node in nodes:
        if node.domain not in ("", "ai.onnx") or node.op_type not in KNOWN:
            raise UnfitError(f"a layer {node.op_type[:40]!a} of {node.domain[:40] or 'ai.onnx'!a}")
        if max(len(node.input), len(node.output)) > MAX_INPUTS or not node.output:
            raise UnfitError("a layer with an odd number of inputs or outputs")
    tensors = [*model.graph.initializer]
    tensors += [attribute.t for node in nodes for attribute in node.attribute]
    for tensor in tensors:
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise UnfitError("weights in another file")
        if len(tensor.dims) > MAX_SIDES or any(not 0 <= side < 2**31 for side in tensor.dims):
            raise UnfitError("a tensor of an impossible shape")


def _fields(content: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each field of a message."""
    while start < end:
        key, start = _varint(content, start, end)
        kind, first = key & 7, start
        if kind == _VARINT:
            _, start = _varint(content, start, end)
        elif kind == _BYTES:
            length, first = _varint(content, start, end)
            start = first + length
        elif kind in (_LONG, _SHORT):
            start += 8 if kind == _LONG else 4
        else:
            raise ValueError("a field of an unknown kind")
        if start > end:
            raise ValueError("a field that ends beyond the file")
        yield key >> 3, first, start


def _varint(content: bytes, start: int, end: int) -> tuple[int, int]:
    value = 0
    for place in range(start, min(end, start + 10)):
        value |= (content[place] & 127) << 7 * (place - start)
        if content[place] < 128:
            return value, place + 1
    raise ValueError("a number without end")
