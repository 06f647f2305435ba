"""Weight files that are made to harm: what they claim is bounded by what they hold."""

import io
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from simswap import ModelError
from simswap.weights import torch_files
from simswap.weights.weight_files import read_weights
from tests.support.weights.official_weights import (
    legacy_file,
    module_of,
    save_whole_module,
    storage_call,
)

MEMORY = 2**26  # bytes; far above what small files need, far below what they claim
STATE = {"conv.weight": torch.arange(24.0).view(2, 3, 2, 2), "bias": torch.zeros(2)}


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def in_zip(parts: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(f"archive/{name}", content)
    return stream.getvalue()


def shared_bytes(num_storages: int, num_bytes: int) -> bytes:
    """A zip whose entries all claim the bytes of the first: more together than the file has."""
    names = [f"archive/data/{number}" for number in range(num_storages)]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        values = b"".join(
            text(str(number)) + storage_tuple(str(number), num_bytes // 4)
            for number in range(num_storages)
        )
        archive.writestr("archive/data.pkl", b"\x80\x02}(" + values + b"u.")
        for name in names:
            archive.writestr(name, bytes(num_bytes) if name == names[0] else b"")
        first = archive.getinfo(names[0])
        for name in names[1:]:
            entry = archive.getinfo(name)
            entry.file_size = entry.compress_size = num_bytes
            entry.CRC = first.CRC
    return stream.getvalue()


def storage_tuple(key: str, num_values: int) -> bytes:
    """A tensor of all values of a storage."""
    call = storage_call(num_values, (num_values,), (1,))
    start, end = call.index(b"ctorch._utils"), len(call) - 2
    return call[start:end].replace(text("0"), text(key))


def same_hash(count: int) -> bytes:
    """A dict of numbers that Python's hash cannot tell apart: quadratic time."""
    keys = (n * (2**61 - 1) for n in range(2, count))
    return b"\x80\x02}(" + b"".join(pickle.dumps(key, 2)[2:-1] + b"N" for key in keys) + b"u."


def nested_modules(depth: int, *names: str) -> bytes:
    """A module in modules, each of which holds it under all the names."""
    module = module_of(STATE)
    for _ in range(depth):
        module = torch.nn.ModuleDict(dict.fromkeys(names, module))
    stream = io.BytesIO()
    torch.save(module, stream)
    return stream.getvalue()


def doubled_list_as_count(depth: int) -> bytes:
    """A storage whose length is a list that holds a list twice, and so on."""
    start = b"\x80\x02(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    lists = b"".join(
        b"0](h" + bytes([n]) + b"h" + bytes([n]) + b"eq" + bytes([n + 1]) for n in range(depth)
    )
    return start + b"]q\x00" + lists + b"tQ."


BOMBS = {
    "a text of 8 GB": lambda: legacy_file(
        b"\x80\x04\x8d" + (2**33).to_bytes(8, "little") + b"abc."
    ),
    "bytes of 8 GB": lambda: legacy_file(b"\x80\x04\x8e" + (2**33).to_bytes(8, "little") + b"abc."),
    "an array of 8 GB": lambda: legacy_file(
        b"\x80\x05\x96" + (2**33).to_bytes(8, "little") + b"abc."
    ),
    "a number of 2 GB": lambda: legacy_file(
        b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little") + b"1."
    ),
    "a zip bomb in the pickle": lambda: in_zip({"data.pkl": bytes(2**27)}, zipfile.ZIP_DEFLATED),
    "a zip bomb beside the pickle": lambda: in_zip(
        {"data.pkl": b"\x80\x02}.", "byteorder": bytes(2**27)}, zipfile.ZIP_DEFLATED
    ),
    "entries that share their bytes": lambda: shared_bytes(200, 2**20),
    "a storage that is longer than the file": lambda: in_zip(
        {"data.pkl": storage_call(2**33, (2**33,), (1,)), "data/0": b""}
    ),
    "keys with one hash": lambda: legacy_file(same_hash(40_000)),
    "a million names for one module": lambda: nested_modules(20, "a", "b"),
    "one long name for many modules": lambda: nested_modules(40, "n" * 2**20),
    "tuples in tuples": lambda: legacy_file(b"\x80\x02" + b")" + b"\x85" * 20_000 + b"."),
    "a list of 2^40 as a count": lambda: legacy_file(doubled_list_as_count(40)),
    "a long key of many states": lambda: legacy_file(
        b"\x80\x03cn\nM\n)\x81}B"
        + struct.pack("<I", 2**20)
        + bytes(2**20)
        + b"Nsq\x00b"
        + b"h\x00b" * 20_000
        + b"."
    ),
    "lists in lists": lambda: legacy_file(b"\x80\x02" + b"]" * 20_000 + b"a" * 19_999 + b"."),
}


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Fails the test that takes more memory than small files are worth."""
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY


@pytest.fixture(params=BOMBS)
def bomb(request, tmp_path) -> Path:
    (tmp_path / "bomb.pth").write_bytes(BOMBS[request.param]())
    return tmp_path / "bomb.pth"


@pytest.mark.slow
def test_a_bomb_is_refused_in_little_memory(bomb, little_memory):
    with pytest.raises(ModelError) as error:
        read_weights(bomb)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("kind", [b"c__builtin__\nset\n", b"ccollections\nOrderedDict\n"])
def test_a_huge_container_that_is_copied_again_and_again_is_refused(monkeypatch, tmp_path, kind):
    monkeypatch.setattr(torch_files, "MAX_ITEMS", 10_000)
    pair = b"K\x07" if b"set" in kind else b"K\x07N\x86"
    steps = kind + b"q\x00](" + pair * 1000 + b"eq\x01" + b"h\x00h\x01\x85R" * 20 + b"N."
    (tmp_path / "odd.pth").write_bytes(legacy_file(b"\x80\x02" + steps))
    with pytest.raises(ModelError, match="handles more than 10000 items"):
        read_weights(tmp_path / "odd.pth")


SMALL = [b"}", b"]", b"(", b"}\x94", b"]\x85", b"cn\nM\n"]


@pytest.mark.parametrize(
    "steps", [step * 20_000 for step in SMALL] + [b"cn\n" + b"M" * 9999 + b"\n"]
)
def test_steps_that_make_many_small_objects_are_counted(monkeypatch, tmp_path, steps):
    monkeypatch.setattr(torch_files, "MAX_ITEMS", 10_000)
    (tmp_path / "odd.pth").write_bytes(legacy_file(b"\x80\x04" + steps + b"."))
    with pytest.raises(ModelError, match="handles more than 10000 items"):
        read_weights(tmp_path / "odd.pth")


LONG = text("a" * 501) + b"q\x00"
LONG_NAMES = {
    "class": LONG + text("b") + b"\x93.",
    "key": b"}" + LONG + b"Ns.",
    "bytes": b"}B" + struct.pack("<I", 501) + bytes(501) + b"Ns.",
    "storage": b"(" + text("storage") + b"ctorch\nFloatStorage\n" + LONG + b"NK\x04tQ.",
}


@pytest.mark.parametrize("steps", LONG_NAMES.values(), ids=LONG_NAMES)
def test_a_long_name_which_many_steps_could_share_is_refused(tmp_path, steps):
    (tmp_path / "odd.pth").write_bytes(legacy_file(b"\x80\x04" + steps))
    assert "above 500 characters" in refusal_of(tmp_path / "odd.pth")


def test_an_empty_set_of_one_byte_is_refused(tmp_path):
    (tmp_path / "odd.pth").write_bytes(legacy_file(b"\x80\x04\x8f."))
    with pytest.raises(ModelError, match="no file of weights needs"):
        read_weights(tmp_path / "odd.pth")


def test_a_huge_state_of_many_objects_is_held_once():
    state = b"}(" + b"".join(b"M" + struct.pack("<H", n) + b"N" for n in range(1000)) + b"uq\x01"
    content = b"\x80\x02cn\nM\nq\x00" + state + b"](" + b"h\x00)\x81h\x01b" * 20 + b"e."
    shells = torch_files.Reader(io.BytesIO(content)).load()
    assert len({id(shell.state) for shell in shells}) == 1
    assert len(shells) == 20


@pytest.mark.parametrize(
    "steps",
    [
        b"X\x01\x00\x00\x00aQ.",  # a text as a persistent id
        b"(" + text("storage") + b"ctorch\nQInt8Storage\n" + text("0") + text("cpu") + b"K\x04tQ.",
        b"(" + text("storage") + b"cmine\nFloatStorage\n" + text("0") + text("cpu") + b"K\x04tQ.",
        b"(" + text("storage") + b"K\x07" + text("0") + text("cpu") + b"K\x04tQ.",
        b"(" + text("storage") + b"ctorch\nFloatStorage\nK\x00" + text("cpu") + b"K\x04tQ.",
        b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + b"\x88tQ.",
        b"(](K\x01eK\x01tQ.",  # a list in place of the kind
    ],
)
def test_a_persistent_id_that_is_none_of_torchs_is_refused(tmp_path, steps):
    (tmp_path / "odd.pth").write_bytes(legacy_file(b"\x80\x02" + steps))
    with pytest.raises(ModelError, match=r"cut short or damaged|which is not known here"):
        read_weights(tmp_path / "odd.pth")


@pytest.mark.parametrize("shape", [(1,) * 80, (0, 2**62), (2**70, 0)])
def test_a_shape_that_torch_cannot_hold_is_refused(tmp_path, shape):
    numbers = b"".join(b"\x8a\x0a" + n.to_bytes(10, "little") for n in shape)
    pickled = storage_call(1, (1,), (1,))
    one = b"(\x8a\x08" + struct.pack("<q", 1) + b"t"
    pickled = pickled.replace(one + one, (b"(" + numbers + b"t") * 2)
    content = legacy_file(pickled, pickle.dumps(["0"], 2), struct.pack("<qf", 1, 0.5))
    (tmp_path / "odd.pth").write_bytes(content)
    with pytest.raises(ModelError, match="cut short or damaged"):
        read_weights(tmp_path / "odd.pth")


def test_what_a_file_calls_things_cannot_write_on_the_terminal(tmp_path):
    name = "os\x1b]0;title\x07" + "x" * 5000
    path = tmp_path / "odd.pth"
    path.write_bytes(legacy_file(b"\x80\x02" + text(name) + text("run") + b"\x93)R."))
    with pytest.raises(ModelError) as error:
        read_weights(path)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 300 + len(str(path))


def test_a_tensors_name_cannot_write_on_the_terminal(tmp_path):
    torch.save({"conv\x1b[2Jweight": torch.zeros(2)}, tmp_path / "odd.pth")
    with pytest.raises(ModelError, match="names that no network has"):
        read_weights(tmp_path / "odd.pth")


def test_networks_below_the_same_name_are_not_taken_for_one(tmp_path):
    held = {name: {"state_dict": dict(STATE)} for name in ("G", "D")}
    torch.save(held, tmp_path / "both.pth")
    with pytest.raises(ModelError, match=r"several networks \(D\.state_dict, G\.state_dict\)"):
        read_weights(tmp_path / "both.pth")


def genuine_files(folder: Path) -> list[bytes]:
    """Each form in which weights come."""
    files = []
    for legacy in (True, False):
        torch.save(STATE, folder / "state", _use_new_zipfile_serialization=not legacy)
        save_whole_module(STATE, folder / "module", legacy=legacy)
        files += [(folder / "state").read_bytes(), (folder / "module").read_bytes()]
    return [*files, save(STATE)]


def spoilt(content: bytes, random: np.random.Generator) -> bytes:
    """The content with bytes changed, put in or cut out."""
    spoilt = bytearray(content)
    for _ in range(random.integers(1, 6)):
        place = random.integers(len(spoilt))
        kind = random.integers(3)
        if kind == 0:
            spoilt[place] = random.integers(256)
        elif kind == 1:
            spoilt[place:place] = random.bytes(random.integers(1, 12))
        else:
            del spoilt[place : place + random.integers(1, 30)]
    return bytes(spoilt)


def refusal_of(path: Path) -> str:
    """What is said of a file; empty where it is read."""
    try:
        read_weights(path)
    except ModelError as error:
        return str(error)
    return ""


def test_whatever_is_damaged_is_read_or_refused_in_one_sentence(tmp_path):
    random, path = np.random.default_rng(0), tmp_path / "spoilt.pth"
    files, refusals = genuine_files(tmp_path), []
    for number in range(1500):
        path.write_bytes(spoilt(files[number % len(files)], random))
        refusals.append(refusal_of(path))
    told = [said for said in refusals if said]
    assert len(told) > 700
    assert all("\n" not in said and str(path) in said for said in told)
