"""Model folders that somebody made to do harm: each is refused in a sentence, before it costs."""

import copy
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from simswap import FaceSwapper, Identity, ModelError, RefusedFaceError, SwapOptions
from simswap.deny_list import DenyList
from simswap.models.graph import KINDS, SETTINGS
from simswap.weights.bundle import CONFIG_FILE, WEIGHT_FILES, load_bundle, save_bundle
from tests.support.weights.tiny_bundle import make_bundle

with tempfile.TemporaryDirectory() as _made:
    save_bundle(make_bundle(), Path(_made), "# Tiny\n", half=True)
    FILES = {path.name: path.read_bytes() for path in Path(_made).iterdir()}
CONFIG = json.loads(FILES[CONFIG_FILE])
NAN, INFINITY = float("nan"), float("inf")


@pytest.fixture
def folder(tmp_path) -> Path:
    """A model's weights; its config is to be written."""
    for name in WEIGHT_FILES.values():
        (tmp_path / name).write_bytes(FILES[name])
    return tmp_path


def write_config(folder: Path, part: str | None = None, **changes: object) -> None:
    config = copy.deepcopy(CONFIG)
    (config if part is None else config[part]).update(changes)
    (folder / CONFIG_FILE).write_text(json.dumps(config))


def write_weights(folder: Path, part: str, content: bytes, **changes: object) -> None:
    """Other weights under a checksum that is right."""
    path = folder / WEIGHT_FILES[part]
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    write_config(folder, sha256={**CONFIG["sha256"], path.name: digest}, **changes)


def with_header(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def tensor(dtype: str, shape: list[int], start: int, end: int) -> dict[str, object]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


RAW = {
    "nested without end": b'{"format":' + b"[" * 200_000,
    "nested deep": json.dumps({**CONFIG, "training": json.loads("[" * 40 + "]" * 40)}).encode(),
    "no text": b"\xff\xfe\0",
    "a list": b"[]",
    "a number": b"7",
    "empty": b"",
    "a key twice": b'{"format":"simswap-bundle-1","format":1}',
    "a number of 10,000 digits": b'{"format":"simswap-bundle-1","name":' + b"9" * 10_000 + b"}",
    "3 MB of spaces": json.dumps(CONFIG).encode() + b" " * 3_000_000,
    "a format of 1 MB": b'{"format":"' + b"x" * 1_000_000 + b'"}',
}
GENERATORS = {
    "num_blocks": [10**7, 10**9, 10**30, 0, -1, "9", 1.5, INFINITY, NAN, None, True],
    "channels": [[2**40] * 4, [1] * 100_000, [[1]], "abc", [], [0, 8], 8, [4096] * 8],
    "embedding_size": [2**40, 0, "512"],
    "identity_guidance": [NAN, "x", 3, None],
    "embedding_scale": [1e30, NAN, INFINITY, -1, "1"],
    "first_level": [-1, 10**9, "1"],
    "pixel_range": ["x", None, ["unit"]],
    "gated_skips": ["x", 7],
    "evil": [1],
}
ALIGNMENTS = {
    "crop_size": [2**20, 2**14, 1032, 8, 0, -128, 33, "128", 128.0, NAN],
    "crop_template": ["../../etc/passwd", ["arcface"], None, 7],
}
IDENTITIES = {
    "embedding_size": [2**40, 0, "512", 511],
    "std": [[0, 1, 1], [NAN, 1, 1], [1], "abc", None],
    "mean": [[INFINITY, 0, 0], [0] * 4, [[0], 0, 0]],
    "architecture": ["graph", "ir_se", "x", ["graph"]],
    "blocks": [7],
}
SETTINGS_OF = {"generator": GENERATORS, "alignment": ALIGNMENTS, "identity": IDENTITIES}
ODD_SETTINGS = [
    pytest.param(part, name, value, id=f"{part} {name}={value!r:.20}")
    for part, settings in SETTINGS_OF.items()
    for name, values in settings.items()
    for value in values
    if (part, name, value) != ("identity", "blocks", 7)  # not read for this architecture
]
TOP_LEVEL = {
    "name": [["x"], 7, None, "n" * 1_000_000],
    "licence": [{"a": 1}, "n" * 1_000_000],
    "training": [7, "text"],
    "generator": [None, [], "x"],
    "detector": [{"channels": [2**30] * 6}, {"channels": [16] * 5}, {}],
    "sha256": [{"../../x": "1"}, None, {**CONFIG["sha256"], "generator.safetensors": "0" * 64}],
}


def layer(kind: str, takes: object = ("crops",), **settings: object) -> dict[str, object]:
    return {"kind": kind, "takes": takes, "gives": "x", "settings": settings}


def convolution(**settings: object) -> dict[str, object]:
    return layer("convolution", in_channels=3, out_channels=1, kernel_size=1, **settings)


GRAPHS = {
    "100,000 layers": [layer("relu")] * 100_000,
    "10,000 layers": [layer("relu")] * 10_000,
    "a large constant": [layer("constant", [], shape=[2**40])],
    "a constant of many sides": [layer("constant", [], shape=[1] * 1000)],
    "a large pool": [layer("mean_pool", output_size=100_000)],
    "a large border": [convolution(padding=100_000)],
    "a device": [convolution(device="cuda", dtype="x")],
    "another border": [convolution(padding_mode="circular")],
    "no module": [layer("__class__")],
    "a key too many": [{**layer("relu"), "evil": 1}],
    "a value that nobody gives": [layer("relu", ["y"])],
    "a name that is no text": [layer("relu", [["crops"]])],
    "takes a number": [layer("relu", 7)],
    "takes nothing": [layer("relu", [])],
    "a NaN": [layer("leaky_relu", negative_slope=NAN)],
    "a step of 0": [convolution(stride=0)],
    "no embedding": [layer("relu")],
    "a number for a layer": [7],
}
WEIGHTS = {
    "a header of 2^63 bytes": (2**63).to_bytes(8, "little") + b"{}",
    "a header of spaces": (9_000).to_bytes(8, "little") + b"{" + b" " * 8_999,
    "a deep header": (400_001).to_bytes(8, "little") + b'{"a":['.ljust(400_001, b"["),
    "offsets beyond the file": with_header({"a": tensor("F32", [2**40], 0, 2**42)}),
    "tensors on each other": with_header(
        {"a": tensor("F32", [1], 0, 4), "b": tensor("F32", [1], 0, 4)}, bytes(4)
    ),
    "another shape": with_header({"a": tensor("F32", [2], 0, 4)}, bytes(4)),
    "a side below 0": with_header({"a": tensor("F32", [-1], 0, 4)}, bytes(4)),
    "an unknown type": with_header({"a": tensor("EVIL", [1], 0, 4)}, bytes(4)),
    "a side of 0": with_header({"a": tensor("F32", [0, 2**62], 0, 0)}),
    "nothing": b"",
    "no tensor": with_header({}),
    "too much": bytes(20_000_000),
}


@pytest.mark.parametrize("content", RAW.values(), ids=RAW)
def test_a_config_that_is_none_is_refused(folder, content):
    (folder / CONFIG_FILE).write_bytes(content)
    with pytest.raises(ModelError) as told:
        load_bundle(folder)
    assert len(str(told.value)) < 1000


@pytest.mark.parametrize(("part", "name", "value"), ODD_SETTINGS)
def test_a_setting_out_of_bounds_is_refused(folder, part, name, value):
    write_config(folder, part, **{name: value})
    with pytest.raises(ModelError) as told:
        load_bundle(folder)
    assert len(str(told.value)) < 1000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param(name, value, id=f"{name}={value!r:.20}")
        for name, values in TOP_LEVEL.items()
        for value in values
        if (name, value) != ("detector", {})  # the defaults
    ],
)
def test_an_entry_of_another_kind_is_refused(folder, name, value):
    write_config(folder, **{name: value})
    with pytest.raises(ModelError):
        load_bundle(folder)


@pytest.mark.parametrize("layers", GRAPHS.values(), ids=GRAPHS)
def test_a_graph_that_no_network_is_is_refused(folder, layers):
    write_config(folder, "identity", architecture="graph", layers=layers)
    with pytest.raises(ModelError):
        load_bundle(folder)


@pytest.mark.parametrize("content", WEIGHTS.values(), ids=WEIGHTS)
def test_weights_that_lie_are_refused(folder, content):
    write_weights(folder, "generator", content)
    with pytest.raises(ModelError):
        load_bundle(folder)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize("name", [CONFIG_FILE, *WEIGHT_FILES.values()])
def test_what_is_no_file_is_not_waited_for(folder, name, make):
    write_config(folder)
    (folder / name).unlink()
    make(folder / name)
    with pytest.raises(ModelError):
        load_bundle(folder)


def nan(value: torch.Tensor) -> None:
    value.view(-1)[-1] = NAN


def infinity(value: torch.Tensor) -> None:
    value.view(-1)[0] = -INFINITY


@pytest.mark.parametrize("spoil", [nan, infinity])
@pytest.mark.parametrize("part", WEIGHT_FILES)
def test_weights_that_are_not_finite_are_refused_in_every_network(
    folder, part, spoil: Callable[[torch.Tensor], None]
):
    state = load(FILES[WEIGHT_FILES[part]])
    name = next(name for name, value in state.items() if value.is_floating_point())
    spoil(state[name])
    write_weights(folder, part, save(state))
    with pytest.raises(ModelError, match=f"{part}.safetensors is damaged: .* is not finite"):
        load_bundle(folder)


def test_more_tensors_than_any_network_has_are_refused_before_one_is_made(folder):
    state = load(FILES[WEIGHT_FILES["generator"]])
    few = sum(value.numel() for value in state.values())
    content = with_header({f"a{number}": tensor("F32", [0], 0, 0) for number in range(17_000)})
    assert 2**20 < len(content) < 2**20 + 8 * few  # a file as large as a true one may be
    write_weights(folder, "generator", content)
    with pytest.raises(ModelError, match=r"its list of tensors has 1\.\d MB; up to 1 MB"):
        load_bundle(folder)


def test_a_variance_below_zero_is_refused(folder):
    state = load(FILES[WEIGHT_FILES["generator"]])
    name = next(name for name in state if name.endswith("running_var"))
    state[name][0] = -1
    write_weights(folder, "generator", save(state))
    with pytest.raises(ModelError, match="not finite"):
        load_bundle(folder)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.complex64, torch.int32])
def test_weights_of_another_kind_of_number_are_refused(folder, dtype):
    state = load(FILES[WEIGHT_FILES["detector"]])
    state = {name: value.to(dtype) for name, value in state.items()}
    write_weights(folder, "detector", save(state))
    with pytest.raises(ModelError, match="does not fit"):
        load_bundle(folder)


def test_a_name_is_made_printable(folder):
    write_config(folder, name="\x1b]0;evil\x07<b>")
    assert load_bundle(folder).name == "?]0;evil?<b>"


def test_every_kind_that_can_be_set_is_a_layer():
    assert SETTINGS.keys() <= KINDS.keys()


def test_a_network_that_overflows_gives_an_error_and_no_black_face(astronaut, identity, swapper):
    bundle = make_bundle()
    with torch.no_grad():
        for weights in bundle.generator.parameters():
            weights.fill_(1e30)
    broken = FaceSwapper(bundle, device="cpu")
    faces = swapper.detect(astronaut)
    plan = broken.plan(astronaut, faces, identity, SwapOptions())
    with pytest.raises(ModelError, match="not finite"):
        broken.render([astronaut], [plan], SwapOptions())


@pytest.mark.parametrize("place", [0, 511])
def test_an_embedding_that_is_not_finite_never_passes_the_deny_list(identity, place):
    embedding = identity.embedding.copy()
    listed = DenyList([np.roll(embedding, 1)])
    listed.check([Identity(embedding)])
    embedding[place] = np.nan
    with pytest.raises(RefusedFaceError):
        listed.check([Identity(embedding)])
