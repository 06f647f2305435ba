"""ONNX files of other people's making, opened as data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from simswap.errors import ModelError
from simswap.weights.onnx.bounds import MAX_BYTES, UnfitError, check_graph, check_parts

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


def is_onnx(path: Path) -> bool:
    """Whether a file begins as ONNX models do: with the field of their format's version."""
    if not path.is_file():  # a pipe would be waited for
        return False
    try:
        with path.open("rb") as file:
            head = file.read(3)
    except OSError:
        return False
    return len(head) == 3 and head[0] == 0x08 and 0 < head[1] < 0x40


def open_graph(path: Path) -> GraphProto:
    """The graph in a file.

    Raises ModelError: it is damaged, onnx is not installed, or it holds more than a plain graph of
    layers that are known here.
    """
    try:
        import onnx
        import onnxruntime  # noqa: F401 - needed later; say so before the file is read
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise ModelError(
            f"{path} is an ONNX model; to read it, run `pip install onnx onnxruntime` first."
        ) from error
    if not path.is_file():  # a pipe would be waited for
        raise ModelError(f"{path} is not there, or is no file. Check its name.")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UnfitError(f"more than {MAX_BYTES / 1e9:g} GB")
        content = path.read_bytes()
        check_parts(content)
        model = onnx.load_from_string(content)
        check_graph(model)
    except UnfitError as error:
        raise ModelError(f"{path} is no network that is known here: it has {error}.") from error
    except (DecodeError, ValueError, OSError, onnx.checker.ValidationError) as error:
        raise damaged(path, error) from error
    return model.graph


def damaged(path: Path, error: Exception) -> ModelError:
    """The error to raise for a file that cannot be read."""
    reason = " ".join(str(error).split())[:120]
    return ModelError(f"{path} is cut short or damaged ({reason}). Fetch it again.")


def constants_of(graph: GraphProto) -> dict[str, np.ndarray]:
    """Every value that does not depend on the network's input, by name."""
    from onnx import numpy_helper

    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
        elif node.op_type == "Transpose" and node.input[0] in constants:
            order = attribute_of(node, "perm", None)
            constants[node.output[0]] = np.transpose(constants[node.input[0]], order)
    return constants


def attribute_of(node: NodeProto, name: str, default: object) -> object:
    """What a node is set to."""
    from onnx import helper

    found = [item for item in node.attribute if item.name == name]
    return helper.get_attribute_value(found[0]) if found else default
