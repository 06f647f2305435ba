"""Tensors out of files that `torch.save` wrote; nothing in them is run.

Two forms: the zip archive of torch 1.6 and later, and the row of pickles before that, in which the
published identity network came. `torch.load(weights_only=True)` refuses that one, a whole module,
and takes memory for what a file claims; here a claim is held against the file's size first.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from simswap.errors import ModelError

MAX_PICKLE = 2**23  # bytes; the published networks' have less than one million
MAX_ITEMS = 1_000_000  # in what calls make, and steps of a pickle
MAX_KEY = 2**63  # larger numbers can be chosen to have one hash, which makes a dict slow
MAX_NAME = 500  # characters of a name or key, which many steps may share; usual are up to 150
MAX_DIMENSIONS, MAX_SIDE = 8, 2**40  # of a tensor
LEGACY_MAGIC = 0x1950A86A20F9469CFC6C  # the first pickle of the row
STORAGE_TYPES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# Old classes, copyreg's numbers, arguments by name, later sets, buffers: no weights have them.
UNNEEDED = (
    *(pickle.INST + pickle.OBJ + pickle.EXT1 + pickle.EXT2 + pickle.EXT4 + pickle.NEWOBJ_EX),
    *(pickle.DICT + pickle.EMPTY_SET + pickle.ADDITEMS + pickle.FROZENSET),
    *(pickle.BYTEARRAY8 + pickle.NEXT_BUFFER + pickle.READONLY_BUFFER),
)
DAMAGE = (
    *(ValueError, LookupError, TypeError, OverflowError, AttributeError, RuntimeError, EOFError),
    *(OSError, struct.error, pickle.UnpicklingError, zipfile.BadZipFile),
)


@dataclass(frozen=True)
class Name:
    """A class or function that the pickle names, such as `models.ResNet`; never looked up."""

    full: str


@dataclass(eq=False, slots=True)
class Shell:
    """An object of a class that is not looked up: the state stored in it, and no behaviour."""

    state: object = None


def _counted(load: Callable[[Reader], None]) -> Callable[[Reader], None]:
    def counted(reader: Reader) -> None:
        reader.spend(1)
        load(reader)

    return counted


class Reader(pickle._Unpickler):
    """Python's own reader of pickles, in which every class and function is a mere Name.

    So nothing that could be called is ever on its stack; the few calls in CALLS are carried out
    by functions here. It is the reader written in Python: the one in C takes the memory that a
    step claims, before it has read what should fill it.
    """

    def __init__(self, content: BinaryIO, room: int = 0) -> None:
        """room: bytes that the storages may have in all."""
        super().__init__(content, encoding="latin1")
        self.room = room
        self.num_items = 0
        self.storages: dict[str, Tensor] = {}  # [N] each, yet to be filled

    def find_class(self, module: str, name: str) -> Name:
        """A name in place of what it names; each is a text of its own."""
        self.spend(len(module) + len(name))
        return Name(_key(f"{module}.{name}"))

    def persistent_load(self, saved: object) -> object:
        """An empty storage, or for a class that was stored with its source text, its Name."""
        match saved:
            case ("module", Name() as kind, *_):
                return kind
            case ("storage", Name(full), str(key), _, size, *rest) if rest in ([], [None]):
                return self._storage(full, key, _count(size))
        raise ValueError("a persistent id of another kind than storages have")

    def _storage(self, kind: str, key: str, size: int) -> Tensor:
        dtype = STORAGE_TYPES.get(kind.split(".")[-1]) if kind.startswith("torch.") else None
        if dtype is None:
            raise ModelError(f"it holds numbers of the kind {shown(kind)}, which is not known here")
        if _key(key) not in self.storages:
            self.room -= size * dtype.itemsize
            if self.room < 0:
                raise ModelError(f"it is cut short or damaged: storage {shown(key)} leaves it")
            self.storages[key] = torch.empty(size, dtype=dtype)
        found = self.storages[key]
        if (found.dtype, len(found)) != (dtype, size):
            raise ValueError(f"storage {shown(key)} is described in two ways")
        return found

    def spend(self, num_items: int) -> None:
        """Count steps, and what calls make: a few bytes can name a huge container, again."""
        self.num_items += num_items
        if self.num_items > MAX_ITEMS:
            raise ModelError(f"it handles more than {MAX_ITEMS} items")

    def load_reduce(self) -> None:
        """A call."""
        arguments, function = self.stack.pop(), self.stack.pop()
        full = _expect(function, Name).full
        if full not in CALLS:
            raise ModelError(f"it asks to call {shown(full)}, which no file of weights needs")
        self.append(CALLS[full](self, *_expect(arguments, tuple)))

    def load_newobj(self) -> None:
        """An object, whose constructor does not run."""
        _expect(self.stack[-2], Name)
        self.stack[-2:] = [Shell()]

    def load_build(self) -> None:
        """An object's state; kept as it is, so that naming it often takes no memory."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Shell):
            target.state = state
        elif not isinstance(target, dict):  # its state is such as a state dict's `_metadata`
            raise ModelError(f"it sets the state of a {type(target).__name__}")

    def load_setitem(self) -> None:
        """One item of a dict."""
        value, key = self.stack.pop(), self.stack.pop()
        _expect(self.stack[-1], dict)[_key(key)] = value

    def load_setitems(self) -> None:
        """Items of a dict."""
        items = self.pop_mark()
        _expect(self.stack[-1], dict).update(zip(map(_key, items[::2]), items[1::2], strict=True))

    def refuse(self) -> None:
        """A step that makes objects otherwise, or memory without content."""
        raise ModelError("it holds a pickle step which no file of weights needs")

    steps = {  # noqa: RUF012 - as its parent has it
        **pickle._Unpickler.dispatch,
        pickle.REDUCE[0]: load_reduce,
        pickle.NEWOBJ[0]: load_newobj,
        pickle.BUILD[0]: load_build,
        pickle.SETITEM[0]: load_setitem,
        pickle.SETITEMS[0]: load_setitems,
        **dict.fromkeys(UNNEEDED, refuse),
    }
    dispatch = {step: _counted(load) for step, load in steps.items()}  # noqa: RUF012


def read_zip(path: Path) -> object:
    """The value saved in a zip archive: tensors as such, other objects as Shell.

    Raises ModelError without the file's name.
    """
    with _damage_named(), zipfile.ZipFile(path) as archive:
        entries = {entry.filename: entry for entry in archive.infolist()}
        pickles = [name for name in entries if name.endswith("/data.pkl")]
        if len(pickles) != 1:
            raise ModelError("it is a zip archive, but not one that torch.save wrote")
        folder = pickles[0].removesuffix("data.pkl")
        if any(name.startswith(f"{folder}code/") for name in entries):
            raise ModelError("it is a TorchScript program, not a file of weights")
        if any(e.compress_type or e.compress_size != e.file_size for e in entries.values()):
            raise ModelError("it is damaged: its parts are compressed, which torch.save never does")
        order = f"{folder}byteorder"
        if order in entries and archive.open(order).read(len("little")) != b"little":
            raise ModelError("it was written on a big-endian machine, which is not known here")
        value, storages = _load(archive.open(pickles[0]), path.stat().st_size)
        for key, storage in storages.items():
            _fill(storage, archive.open(f"{folder}data/{key}"))
        return value


def read_legacy(file: BinaryIO, num_bytes: int) -> object:
    """As `read_zip`, from the row of pickles: an open file of so many bytes."""
    with _damage_named():
        if _load(file)[0] != LEGACY_MAGIC:
            raise ModelError("its form is not one of torch.save or safetensors")
        _load(file)  # the protocol's version
        facts, _ = _load(file)
        if isinstance(facts, dict) and facts.get("little_endian") is False:
            raise ModelError("it was written on a big-endian machine, which is not known here")
        value, storages = _load(file, num_bytes)
        for key in _load(file)[0]:
            storage = storages.pop(_expect(key, str))
            if struct.unpack("<q", file.read(8))[0] != len(storage):
                raise ModelError(f"it is damaged: storage {shown(key)} has two lengths")
            _fill(storage, file)
        if storages:
            raise ModelError(f"it is cut short or damaged: {len(storages)} storages are missing")
        return value


def shown(text: str) -> str:
    """Words out of the file, fit for a terminal: short, and without control characters."""
    return ascii(text[:120])[1:-1]


@contextmanager
def _damage_named() -> Iterator[None]:
    try:
        yield
    except DAMAGE as error:
        raise ModelError(f"it is cut short or damaged ({shown(str(error))})") from error


def _load(file: BinaryIO, room: int = 0) -> tuple[object, dict[str, Tensor]]:
    """The pickle at the file's position, which then is right behind it, and its empty storages."""
    start = file.tell()
    content = io.BytesIO(file.read(MAX_PICKLE))
    reader = Reader(content, room)
    value = reader.load()
    file.seek(start + content.tell())
    return value, reader.storages


def _fill(storage: Tensor, file: BinaryIO) -> None:
    data = bytearray(file.read(storage.nbytes))
    if len(data) != storage.nbytes:
        raise ModelError("it is cut short or damaged: numbers are missing")
    if data:
        storage.copy_(torch.frombuffer(data, dtype=storage.dtype))


def _expect(value: object, kind: type) -> object:
    if not isinstance(value, kind):
        raise ValueError(f"{type(value).__name__} where another kind of value belongs")
    return value


def _key(value: object) -> object:
    """A key or name: short plain values only; the hash of nested tuples can take forever."""
    is_huge = isinstance(value, int) and abs(value) >= MAX_KEY
    if is_huge or (isinstance(value, str | bytes) and len(value) > MAX_NAME):
        raise ValueError(f"a key or name ({type(value).__name__}) above {MAX_NAME} characters")
    return _expect(value, str | int | float | bytes | None | Name)


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_SIDE:
        raise ValueError("an odd number where a count belongs")
    return value


def _tensor(
    reader: Reader, storage: object, offset: object, size: object, stride: object, *_: object
) -> Tensor:
    reader.spend(1)
    offset, size, stride = _count(offset), [*map(_count, size)], [*map(_count, stride)]
    if len(size) > MAX_DIMENSIONS:
        raise ValueError("a tensor of an odd shape")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    room = len(_expect(storage, Tensor))
    # With a stride of 0 a few bytes could pass for a tensor without bound.
    if math.prod(size) > room or (math.prod(size) and last >= room):
        raise ModelError(f"it is damaged: a tensor of shape {size} leaves its storage")
    return storage.as_strided(size, stride, offset)


def _dict(reader: Reader, items: object = ()) -> dict[object, object]:
    reader.spend(len(_expect(items, list | tuple)))
    return {_key(key): value for key, value in items}


def _set(reader: Reader, items: object = ()) -> set[object]:
    return set(_dict(reader, [(item, None) for item in _expect(items, list | tuple)]))


CALLS: dict[str, Callable[..., object]] = {
    "collections.OrderedDict": _dict,
    "collections.defaultdict": lambda *_: {},
    **dict.fromkeys(("builtins.set", "__builtin__.set"), _set),  # the latter of Python 2
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_parameter": lambda _, data, *__: _expect(data, Tensor),
}
