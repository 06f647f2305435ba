"""Reading other people's weight files: what is read, and that nothing in them ever runs."""

import io
import json
import os
import pickle
import subprocess
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from simswap import ModelError
from simswap.weights.torch_files import Reader
from simswap.weights.weight_files import read_weights
from tests.support.weights.official_weights import (
    legacy_file,
    module_of,
    save_whole_module,
    storage_call,
)

STATE = {
    "conv.weight": torch.arange(24.0).view(2, 3, 2, 2),
    "conv.bias": torch.tensor([1.5, -2.0]),
    "norm.running_mean": torch.rand(2),
    "norm.num_batches_tracked": torch.tensor(7),
}
KEYS_OF_ONE = b"\x80\x02]q\x00X\x01\x00\x00\x000a."  # the list ["0"]


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments):
        self.how = function, arguments

    def __reduce__(self):
        return self.how


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def assert_same_types(found, expected):
    assert {key: found[key].dtype for key in found} == {k: v.dtype for k, v in expected.items()}


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "zip"])
@pytest.mark.parametrize("wrap", [dict, OrderedDict, lambda state: {"state_dict": state}])
def test_a_state_dict_is_read_bit_by_bit(tmp_path, legacy, wrap):
    path = tmp_path / "weights"
    torch.save(wrap(STATE), path, _use_new_zipfile_serialization=not legacy)
    assert_equal(read_weights(path), STATE)
    assert_same_types(read_weights(path), STATE)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int8])
@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "zip"])
def test_numbers_of_every_common_type_are_read(tmp_path, dtype, legacy):
    state = {"w": torch.arange(6).to(dtype).view(2, 3), "b": torch.zeros(0, dtype=dtype)}
    torch.save(state, tmp_path / "w.pth", _use_new_zipfile_serialization=not legacy)
    assert_equal(read_weights(tmp_path / "w.pth"), state)


def test_views_that_share_a_storage_are_read(tmp_path):
    whole = torch.arange(12.0).view(3, 4)
    torch.save({"whole": whole, "turned": whole.T, "row": whole[1]}, tmp_path / "w.pth")
    found = read_weights(tmp_path / "w.pth")
    assert torch.equal(found["turned"], whole.T)
    assert torch.equal(found["row"], whole[1])


@pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "zip"])
def test_a_whole_module_is_read_though_its_class_no_longer_exists(tmp_path, legacy):
    path = tmp_path / "arcface.tar"
    save_whole_module(STATE, path, legacy=legacy)
    with pytest.raises(ModuleNotFoundError, match="forgotten_code"):
        pickle.loads(b"\x80\x02cforgotten_code\nLookAlike\n.")
    assert_equal(read_weights(path), STATE)


def test_a_module_wrapped_for_several_gpus_loses_the_prefix(tmp_path):
    torch.save(nn.DataParallel(module_of(STATE)), tmp_path / "parallel.pth")
    assert_equal(read_weights(tmp_path / "parallel.pth"), STATE)
    torch.save({f"module.{key}": value for key, value in STATE.items()}, tmp_path / "dict.pth")
    assert_equal(read_weights(tmp_path / "dict.pth"), STATE)


def test_real_layers_give_the_state_dict_that_torch_gives(tmp_path):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.PReLU(), nn.Linear(4, 2))
    network.register_buffer("scratch", torch.ones(3), persistent=False)
    torch.save(network, tmp_path / "net.pth")
    assert_equal(read_weights(tmp_path / "net.pth"), network.state_dict())


def test_safetensors_are_read_whatever_the_name(tmp_path):
    save_file(STATE, tmp_path / "latest_net_G.pth")
    assert_equal(read_weights(tmp_path / "latest_net_G.pth"), STATE)


def in_zip(pickled: bytes, *, compression: int = zipfile.ZIP_STORED, data: bytes = b"") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        archive.writestr("archive/data.pkl", pickled)
        archive.writestr("archive/data/0", data)
    return stream.getvalue()


HOSTILE = {
    "os.system": (Call(os.system, "touch trace"), r"asks to call (posix|nt)\.system"),
    "builtins.eval": (Call(eval, "open('trace', 'w')"), r"__builtin__\.eval"),
    "subprocess": (Call(subprocess.call, ["touch", "trace"]), r"(subprocess|commands)\.call"),
    "nested in a state dict": (
        {"conv.weight": [({"x": Call(os.system, "touch trace")},)]},
        r"(posix|nt)\.system",
    ),
    "nested in the arguments of a harmless call": (
        Call(OrderedDict, [("a", Call(os.system, "touch trace"))]),
        r"(posix|nt)\.system",
    ),
    "a function of torch": (Call(torch.load, "trace"), r"torch\.serialization\.load"),
    "a method by its name": (
        Call(getattr, Path("trace"), "touch"),
        r"pathlib\.PosixPath|__builtin__\.getattr",
    ),
}


@pytest.mark.parametrize("form", ["bare", "legacy", "zip"])
@pytest.mark.parametrize("attack", HOSTILE)
def test_a_hostile_pickle_is_refused_by_name_and_nothing_runs(tmp_path, monkeypatch, attack, form):
    path = tmp_path / "hostile.pth"
    value, named = HOSTILE[attack]
    pickled = pickle.dumps(value, protocol=2)
    content = {"bare": pickled, "legacy": legacy_file(pickled), "zip": in_zip(pickled)}[form]
    path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=named):
        read_weights(path)
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_a_function_called_from_a_foreign_module_is_refused_by_name():
    pickled = b"\x80\x02cevil.module\nrun\nX\x01\x00\x00\x00x\x85R."
    with pytest.raises(ModelError, match=r"asks to call evil\.module\.run"):
        Reader(io.BytesIO(pickled)).load()


def test_build_never_reaches_setstate():
    class Recorder:
        called = False

        def __setstate__(self, state):
            Recorder.called = True

    module = sys.modules[__name__]
    module.Recorder, Recorder.__qualname__ = Recorder, "Recorder"
    recorder = Recorder()
    recorder.value = 3
    pickled = pickle.dumps(recorder, protocol=2)
    pickle.loads(pickled)
    assert Recorder.called  # Python's own reader does call it
    Recorder.called = False
    shell = Reader(io.BytesIO(pickled)).load()
    assert shell.state == {"value": 3}
    assert not Recorder.called
    del module.Recorder


@pytest.mark.parametrize(
    "steps",
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n}X\x01\x00\x00\x00aK\x01sb.",  # state of a function
        b"]}X\x01\x00\x00\x00aK\x01sb.",  # of a list
        b"(cforgotten\nRun\no.",  # OBJ
        b"(iforgotten\nRun\n.",  # INST
        b"\x82\x01.",  # EXT1: a registered function
    ],
)
def test_steps_that_no_weights_need_are_refused(steps):
    with pytest.raises(ModelError, match=r"sets the state of|pickle step"):
        Reader(io.BytesIO(b"\x80\x02" + steps)).load()


ALLOCATIONS = {
    "a storage larger than the file": legacy_file(
        storage_call(2**40, (2**40,), (1,)), KEYS_OF_ONE, (2**40).to_bytes(8, "little")
    ),
    "a storage whose length is a lie": legacy_file(
        storage_call(4, (4,), (1,)), KEYS_OF_ONE, (2**40).to_bytes(8, "little")
    ),
    "strides of zero": legacy_file(
        storage_call(1, (2**20, 2**20), (0, 0)), KEYS_OF_ONE, (1).to_bytes(8, "little") + b"0" * 4
    ),
    "a tensor outside its storage": legacy_file(
        storage_call(4, (2, 2), (4, 1)), KEYS_OF_ONE, (4).to_bytes(8, "little") + b"0" * 16
    ),
    "a negative length": legacy_file(storage_call(-4, (4,), (1,)), KEYS_OF_ONE),
    "a storage larger than its zip entry": in_zip(storage_call(2**40, (2**40,), (1,))),
    "a compressed storage": in_zip(
        storage_call(2**20, (2**20,), (1,)), compression=zipfile.ZIP_DEFLATED, data=bytes(2**22)
    ),
    "a text longer than the file": legacy_file(b"\x80\x02\x8d" + b"\xff" * 7 + b"\x7fabc."),
    "a number longer than the file": legacy_file(b"\x80\x02\x8b\xff\xff\xff\x7f1."),
}


@pytest.mark.parametrize("claim", ALLOCATIONS)
def test_a_huge_allocation_is_refused_before_it_is_made(tmp_path, claim):
    path = tmp_path / "huge.pth"
    path.write_bytes(ALLOCATIONS[claim])
    with pytest.raises(ModelError, match=r"cut short or damaged|is damaged"):
        read_weights(path)


def test_more_tensors_than_any_network_has_are_refused_before_one_is_made(tmp_path):
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    header = json.dumps({f"layer.{number}": empty for number in range(20_000)}).encode()
    path = tmp_path / "many.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(ModelError, match=r"its list of tensors has 1\.\d MB; up to 1 MB"):
        read_weights(path)


def test_endless_nesting_is_refused(tmp_path):
    text = b"X\x08\x00\x00\x00_modules"
    loop = b"\x80\x02cnn\nM\n)\x81q\x00}" + text + b"}X\x01\x00\x00\x00ah\x00sX\x01\x00\x00\x00b"
    loop += b"h\x00ssb."
    path = tmp_path / "loop.pth"
    path.write_bytes(legacy_file(loop))
    with pytest.raises(ModelError, match="without end"):
        read_weights(path)


def genuine(legacy: bool) -> bytes:
    stream = io.BytesIO()
    torch.save(STATE, stream, _use_new_zipfile_serialization=not legacy)
    return stream.getvalue()


PLAUSIBLE = {
    "empty": (b"", "is empty"),
    "a web page": (b"\n<!DOCTYPE html><html>Quota exceeded</html>", "is a web page, not weights"),
    "an LFS pointer": (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS pointer"),
    "a cut zip": (genuine(False)[:-200], "cut short or damaged"),
    "a cut legacy file": (genuine(True)[:-10], "cut short or damaged"),
    "a legacy file cut in its pickle": (genuine(True)[:300], "cut short or damaged"),
    "a cut safetensors file": (b'\x40\0\0\0\0\0\0\0{"a":', "cut short or damaged"),
    "a photo": (b"\xff\xd8\xff\xe0 JFIF" * 9, "its form is not one of"),
    "another zip": (b"PK\x05\x06" + bytes(18), "not one that torch.save wrote"),
    "no tensors": (legacy_file(b"\x80\x02}."), "holds no tensors"),
}


@pytest.mark.parametrize("mistake", PLAUSIBLE)
def test_a_file_that_is_no_weights_gets_one_clear_sentence(tmp_path, mistake):
    path = tmp_path / "latest_net_G.pth"
    content, said = PLAUSIBLE[mistake]
    path.write_bytes(content)
    with pytest.raises(ModelError, match=said) as error:
        read_weights(path)
    assert str(path) in str(error.value)


def test_a_checkpoint_of_several_networks_is_refused_by_their_names(tmp_path):
    torch.save({"G": STATE, "D": dict(STATE), "optimizer": dict(STATE)}, tmp_path / "all.pth")
    with pytest.raises(ModelError, match=r"several networks \(D, G\)"):
        read_weights(tmp_path / "all.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"nowhere\.pth is not there"):
        read_weights(tmp_path / "nowhere.pth")
