"""ONNX files that somebody made to do harm: refused in a sentence, and never run."""

import os
import tracemalloc
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from simswap import ModelError
from simswap.models.generator import Generator
from simswap.weights.official import VARIANTS
from simswap.weights.onnx import running
from simswap.weights.onnx.bounds import UnfitError, check_parts
from simswap.weights.onnx.generator import _names_in_order, read_onnx_generator
from simswap.weights.onnx.identity import read_onnx_identity
from simswap.weights.onnx.running import run_onnx
from tests.support.weights.arcface_onnx import save_iresnet, save_strange

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from onnx import TensorProto, helper  # noqa: E402

READERS = [read_onnx_identity, read_onnx_generator]
Read = Callable[[Path], object]


def save(path: Path, *nodes: object, weights: tuple = (), functions: tuple = ()) -> Path:
    """A model from "x", an image, to "y"."""
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 112, 112])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "graph", [given], [result], list(weights))
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("evil", 1)]
    model = helper.make_model(graph, opset_imports=imports, functions=functions, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def endless_loop(output: str) -> list:
    """Nodes that run for ever."""
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, [])],
    )
    return [
        helper.make_node("Constant", [], ["true"], value=true),
        helper.make_node("Loop", ["", "true"], [], body=body),
        helper.make_node("Relu", ["x"], [output]),
    ]


def a_function(name: str) -> object:
    return helper.make_function(
        "evil", name, ["x"], ["z"], endless_loop("z"), [helper.make_opsetid("", 17)]
    )


def with_function(path: Path) -> Path:
    node = helper.make_node("Relu", ["x"], ["y"], domain="evil")
    return save(path, node, functions=(a_function("Relu"),))


def unused_function(path: Path) -> Path:
    node = helper.make_node("Relu", ["x"], ["y"])
    return save(path, node, functions=(a_function("Other"),))


def graph_in_a_known_layer(path: Path) -> Path:
    node = helper.make_node("Relu", ["x"], ["y"])
    body = helper.make_graph([], "body", [], [])
    node.attribute.append(helper.make_attribute("body", body))
    return save(path, node)


def many_layers(path: Path) -> Path:
    names = ["x", *(f"v{number}" for number in range(20_000)), "y"]
    return save(path, *(helper.make_node("Relu", [a], [b]) for a, b in pairwise(names)))


def outside_weights(path: Path) -> Path:
    weight = TensorProto(name="w", data_type=1, dims=[3, 3, 1, 1], data_location=1)
    weight.external_data.add(key="location", value="/etc/passwd")
    return save(path, helper.make_node("Conv", ["x", "w"], ["y"]), weights=(weight,))


def huge_weights(path: Path) -> Path:
    weight = TensorProto(name="w", data_type=1, dims=[2**40, 2**40])
    return save(path, helper.make_node("MatMul", ["x", "w"], ["y"]), weights=(weight,))


def lying_weights(path: Path) -> Path:
    weight = TensorProto(name="w", data_type=1, dims=[2**30, 2**30])
    return save(path, helper.make_node("MatMul", ["x", "w"], ["y"]), weights=(weight,))


def unknown_domain(path: Path) -> Path:
    return save(path, helper.make_node("Relu", ["x"], ["y"], domain="com.microsoft"))


def unknown_layer(path: Path) -> Path:
    return save(path, helper.make_node("Scan", ["x"], ["y"]))


def many_inputs(path: Path) -> Path:
    return save(path, helper.make_node("Add", ["x"] * 1000, ["y"]))


def no_output(path: Path) -> Path:
    return save(path, helper.make_node("Relu", ["x"], []))


def a_circle(path: Path) -> Path:
    nodes = helper.make_node("Relu", ["z"], ["y"]), helper.make_node("Relu", ["y"], ["z"])
    return save(path, *nodes)


def a_huge_border(path: Path) -> Path:
    def pad(build, x):
        pads = [1_000_000] * 4
        x = build.convolution(x, 4, 4, kernel_shape=[1, 1], pads=pads)
        return build.node("Flatten", build.node("GlobalAveragePool", x), axis=1)

    return save_strange(path, pad)


def one_constant_in_many_layers(path: Path) -> Path:
    weight = TensorProto(name="w", data_type=TensorProto.INT4, dims=[20_000])
    weight.raw_data = bytes(10_000)
    names = ["x", *(f"v{number}" for number in range(1000)), "y"]
    layers = (helper.make_node("PRelu", [a, "w"], [b]) for a, b in pairwise(names))
    return save(path, *layers, weights=(weight,))


HOSTILE = [
    *(with_function, unused_function, graph_in_a_known_layer, many_layers, outside_weights),
    *(huge_weights, lying_weights, unknown_domain, unknown_layer, many_inputs, no_output, a_circle),
    *(a_huge_border, one_constant_in_many_layers, lambda path: save(path, *endless_loop("y"))),
]


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("make", HOSTILE)
def test_it_is_refused_before_it_is_run(tmp_path, monkeypatch, make, read: Read):
    def never(*_: object) -> None:
        raise AssertionError("it was run")

    for module in ("identity", "generator"):
        monkeypatch.setattr(f"simswap.weights.onnx.{module}.run_onnx", never)
    with pytest.raises(ModelError) as told:
        read(make(tmp_path / "network.onnx"))
    assert len(str(told.value)) < 600


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_waited_for(tmp_path, make, read: Read):
    make(tmp_path / "network.onnx")
    with pytest.raises(ModelError):
        read(tmp_path / "network.onnx")


def test_layers_that_share_a_constant_are_not_copied_without_end(tmp_path):
    path = one_constant_in_many_layers(tmp_path / "network.onnx")
    with pytest.raises(ModelError, match="hold more numbers than the file has bytes"):
        read_onnx_identity(path)


def test_a_generators_weights_of_many_rows_and_no_column_take_no_memory(tmp_path):
    with torch.device("meta"):
        convolutions, linears, _ = _names_in_order(Generator(VARIANTS[0].generator))
    rows = TensorProto(name="rows", data_type=TensorProto.FLOAT, dims=[20_000_000, 0, 1, 1])
    one = helper.make_tensor("one", TensorProto.FLOAT, [1, 1], [1])
    nodes = [helper.make_node("Conv", ["x", "rows"], [name]) for name in convolutions]
    nodes += [helper.make_node("MatMul", ["x", "one"], [name]) for name in linears]
    path = save(tmp_path / "network.onnx", *nodes, weights=(rows, one))
    tracemalloc.start()
    with pytest.raises(ModelError, match="not of an official SimSwap generator"):
        read_onnx_generator(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**26


def field(number: int, content: bytes) -> bytes:
    size, length = b"", len(content)
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return bytes([number << 3 | 2]) + size + bytes([length]) + content


EMPTY = {
    "layers": field(7, field(1, b"") * 120_000),
    "weights": field(7, field(5, b"") * 120_000),
    "settings of a layer": field(7, field(1, field(5, b"") * 120_000)),
    "sides of a tensor": field(7, field(5, b"\x08\x01" * 120_000)),
    "shapes": field(7, field(13, field(2, b"")) * 120_000),
    "notes": field(14, b"") * 120_000,
    "graphs": field(7, b"") * 120_000,
}


@pytest.mark.parametrize("content", EMPTY.values(), ids=EMPTY)
def test_parts_are_counted_before_there_are_objects_of_them(content):
    with pytest.raises(UnfitError, match="more parts than"):
        check_parts(b"\x08\x08" + content)


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Path:
    return save_iresnet(tmp_path_factory.mktemp("network") / "network.onnx", size=8)


@pytest.mark.parametrize("seed", range(40))
def test_a_file_with_changed_bytes_is_read_or_refused(network, tmp_path, seed, monkeypatch):
    monkeypatch.setattr("simswap.weights.onnx.identity.run_onnx", lambda path, crops: crops)
    content, random = bytearray(network.read_bytes()), np.random.default_rng(seed)
    graph_end = content.rfind(b"input.1")
    for place in random.integers(0, graph_end, 20):
        content[place] = random.integers(256)
    (tmp_path / "network.onnx").write_bytes(content)
    with pytest.raises(ModelError):
        read_onnx_identity(tmp_path / "network.onnx")


def test_a_run_that_takes_too_long_is_ended(network, monkeypatch):
    monkeypatch.setattr(running, "MAX_SECONDS", 0.01)
    with pytest.raises(ModelError, match="takes too much time when it is run: it is refused"):
        run_onnx(network, np.zeros((1, 3, 112, 112), np.float32))


def test_a_run_that_takes_too_much_memory_is_an_error(tmp_path):
    shape = helper.make_tensor("shape", TensorProto.INT64, [1], [2**36])
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["large"]),
        helper.make_node("Add", ["x", "large"], ["y"]),
    ]
    path = save(tmp_path / "large.onnx", *nodes, weights=(shape,))
    with pytest.raises(ModelError, match=r"does not run|too much memory"):
        run_onnx(path, np.zeros((1, 3, 112, 112), np.float32))


def test_shapes_joined_to_shapes_hold_no_more_memory_than_a_run_may(tmp_path, monkeypatch):
    monkeypatch.setattr(running, "MAX_MEMORY", 400_000_000)
    nodes, shape = [helper.make_node("Shape", ["x"], ["shape0"])], "shape0"
    for step, copies in enumerate((64, 64, 64, 64, 3)):  # of 4 numbers at first: 1.6 GB
        joined = f"shape{step + 1}"
        nodes.append(helper.make_node("Concat", [shape] * copies, [joined], axis=0))
        shape = joined
    nodes.append(helper.make_node("ReduceSum", [shape], ["y"]))
    path = save(tmp_path / "shapes.onnx", *nodes)
    with pytest.raises(ModelError, match="takes too much memory when it is run: it is refused"):
        run_onnx(path, np.zeros((1, 3, 112, 112), np.float32))
