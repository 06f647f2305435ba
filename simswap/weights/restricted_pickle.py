"""Reads the data in a pickle without running it.

A pickle is a program for a small stack machine, and Python's own reader lets it call anything. This
one knows the steps that build numbers, texts and containers, and nothing else: a class becomes a
`Shell`, which only holds attributes, and a call is carried out only if the caller of `read_pickle`
lists it. Everything else is refused by name.
"""

from __future__ import annotations

import io
import pickletools
import sys
from collections.abc import Callable, Iterable, Mapping, Sized
from dataclasses import dataclass, field
from typing import BinaryIO

from simswap.errors import ModelError

MAX_STEPS = 2_000_000  # a published network takes about 30,000
MAX_ITEMS = 1_000_000  # of containers that calls and states take; one may be named many times
MAX_KEY = 2**63  # larger numbers as keys can be chosen to have one hash, which takes forever
BUILTINS = ("builtins", "__builtin__")  # of Python 3 and 2
# Of the standard library only these may be named; others are in no file of weights.
HARMLESS_NAMES = {
    "argparse.Namespace",
    "collections.OrderedDict",
    "collections.defaultdict",
    "copyreg._reconstructor",
    "copy_reg._reconstructor",
    "types.SimpleNamespace",
    *(f"{module}.{name}" for module in BUILTINS for name in ("dict", "list", "object", "set")),
}
# Of Python 2 or of other systems, and so not among this Python's own module names.
FOREIGN_MODULES = {*BUILTINS, "copy_reg", "commands", "nt", "posix"}


@dataclass(frozen=True)
class Name:
    """A class or function that the pickle names, such as `models.ResNet`; never looked up."""

    full: str


@dataclass(eq=False)
class Shell:
    """An object of a class that is not looked up: what was stored in it, and no behaviour."""

    class_name: str
    attributes: dict[str, object] = field(default_factory=dict)


Call = Callable[..., object]


def read_pickle(
    file: BinaryIO,
    calls: Mapping[str, Call] | None = None,
    persistent: Callable[[object], object] | None = None,
) -> object:
    """The value of the pickle at the file's position; the file then stands right behind it.

    calls: functions that may be called, by full name; each checks its own arguments.
    persistent: what to put in place of a persistent id; None refuses such ids.
    Raises ModelError, naming what was refused or that the pickle is cut short or damaged.
    """
    machine = _Machine({**_CALLS, **(calls or {})}, persistent)
    try:
        for number, (step, argument, _) in enumerate(pickletools.genops(_Bounded(file))):
            if number > MAX_STEPS:
                raise ModelError(f"it has more than {MAX_STEPS} steps")
            if step.name == "STOP":
                return machine.pop()
            machine.run(step.name, argument)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise ModelError(f"it is cut short or damaged ({_shown(str(error))})") from error
    raise ModelError("it is cut short")


class _Bounded:
    """A file of which no more is asked for than is left: a read takes the memory it is told."""

    def __init__(self, file: BinaryIO) -> None:
        self.file, self.readline, self.tell = file, file.readline, file.tell
        start = file.tell()
        self.end = file.seek(0, io.SEEK_END)
        file.seek(start)

    def read(self, num_bytes: int) -> bytes:
        return self.file.read(min(num_bytes, self.end - self.file.tell()))


class _Machine:
    """The stack, the marks on it, and the memo."""

    def __init__(self, calls: Mapping[str, Call], persistent: Call | None) -> None:
        self.calls, self.persistent = calls, persistent
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}
        self.num_items = 0

    def spend(self, values: Iterable[object]) -> None:  # a step may name a huge container again
        self.num_items += sum(len(value) for value in values if isinstance(value, Sized))
        if self.num_items > MAX_ITEMS:
            raise ModelError(f"it handles more than {MAX_ITEMS} items")

    def run(self, step: str, argument: object) -> None:
        if step in _LITERALS:
            self.stack.append(argument)
        elif step in _CONSTANTS:
            self.stack.append(_CONSTANTS[step])
        elif step in _EMPTY:
            self.stack.append(_EMPTY[step]())
        elif step in _TUPLES:
            self._make_tuple(_TUPLES[step])
        elif step in _MEMO_READS:
            self.stack.append(self.memo[int(argument)])
        elif step in _MEMO_WRITES:
            place = len(self.memo) if argument is None else int(argument)
            self.memo[place] = self.stack[-1]
        elif step in _STEPS:
            _STEPS[step](self, argument)
        elif step not in ("PROTO", "FRAME"):
            raise ModelError(f"it holds the pickle step {step}, which no file of weights needs")

    def pop(self) -> object:
        if self.marks and self.marks[-1] >= len(self.stack):
            raise ValueError("a mark where a value belongs")
        return self.stack.pop()

    def pop_to_mark(self) -> list[object]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def _make_tuple(self, length: int | None) -> None:
        values = self.pop_to_mark() if length is None else [self.pop() for _ in range(length)][::-1]
        self.stack.append(tuple(values))

    def mark(self, _: object) -> None:
        self.marks.append(len(self.stack))

    def drop_to_mark(self, _: object) -> None:
        self.pop_to_mark()

    def duplicate(self, _: object) -> None:
        self.stack.append(self.stack[-1])

    def make_list(self, _: object) -> None:
        self.stack.append(self.pop_to_mark())

    def make_dict(self, _: object) -> None:
        values = self.pop_to_mark()
        self.stack.append({})
        self._set_items(values)

    def append(self, _: object) -> None:
        value = self.pop()
        self._extend([value])

    def append_many(self, _: object) -> None:
        self._extend(self.pop_to_mark())

    def _extend(self, values: list[object]) -> None:
        _expect(self.stack[-1], list, "a list").extend(values)

    def add_many(self, _: object) -> None:
        values = self.pop_to_mark()
        _expect(self.stack[-1], set, "a set").update(map(_key, values))

    def make_frozen_set(self, _: object) -> None:
        self.stack.append(frozenset(map(_key, self.pop_to_mark())))

    def set_item(self, _: object) -> None:
        value, key = self.pop(), self.pop()
        self._set_items([key, value])

    def set_items(self, _: object) -> None:
        self._set_items(self.pop_to_mark())

    def _set_items(self, values: list[object]) -> None:
        target = _expect(self.stack[-1], dict, "a dict")
        target.update(zip(map(_key, values[::2]), values[1::2], strict=True))

    def name(self, argument: object) -> None:
        self._push_name(*str(argument).split(" ", 1))  # genops joins module and name by a space

    def name_from_stack(self, _: object) -> None:
        name, module = self.pop(), self.pop()
        self._push_name(_expect(module, str, "a text"), _expect(name, str, "a text"))

    def _push_name(self, module: str, name: str) -> None:
        full, root = f"{module}.{name}", module.split(".")[0]
        is_pythons_own = root in sys.stdlib_module_names or root in FOREIGN_MODULES
        if is_pythons_own and full not in HARMLESS_NAMES:
            raise ModelError(f"it asks for {_shown(full)}, which no file of weights needs")
        self.stack.append(Name(full))

    def call(self, _: object) -> None:
        arguments, function = self.pop(), self.pop()
        full = _expect(function, Name, "a function").full
        if full not in self.calls:
            raise ModelError(f"it asks to call {_shown(full)}, which no file of weights needs")
        self.spend(_expect(arguments, tuple, "a tuple"))
        self.stack.append(self.calls[full](*arguments))

    def make_object(self, _: object) -> None:
        self.pop()  # arguments of a constructor that does not run
        full = _expect(self.pop(), Name, "a class").full
        self.stack.append({} if full == "collections.OrderedDict" else Shell(full))

    def set_state(self, _: object) -> None:
        state, target = self.pop(), self.stack[-1]
        if isinstance(target, dict):
            return  # such as the `_metadata` of an ordered state dict
        if not isinstance(target, Shell):
            raise ModelError(f"it sets the state of a {type(target).__name__}")
        parts = state if isinstance(state, tuple) else (state,)  # attributes, then slots
        self.spend(parts)
        for part in parts:
            if isinstance(part, dict):
                target.attributes.update({str(key): value for key, value in part.items()})

    def persistent_value(self, saved: object) -> None:
        if self.persistent is None:
            raise ModelError("it refers to data outside itself")
        self.stack.append(self.persistent(self.pop() if saved is None else saved))


def _expect(value: object, kind: type, called: str) -> object:
    if not isinstance(value, kind):
        raise ValueError(f"{type(value).__name__} where {called} belongs")
    return value


def _shown(text: str) -> str:
    """Words out of the file, fit for a terminal: short, and without control characters."""
    return ascii(text[:120])[1:-1]


def _key(value: object) -> object:
    """A dict key or set member: plain values only; the hash of nested tuples can take forever."""
    if isinstance(value, int) and abs(value) >= MAX_KEY:
        raise ValueError("a huge number as a key")
    if isinstance(value, str | int | float | bytes | type(None) | Name):
        return value
    raise ValueError(f"{type(value).__name__} as a key")


def _make_ordered(items: object = ()) -> dict[object, object]:
    pairs = _expect(items, list | tuple, "items")
    return {_key(key): value for key, value in (_expect(p, list | tuple, "a pair") for p in pairs)}


def _make_set(items: object = ()) -> set[object]:
    return set(map(_key, _expect(items, list | tuple, "items")))


_CALLS: dict[str, Call] = {
    "collections.OrderedDict": _make_ordered,
    "collections.defaultdict": lambda *_: {},
    "copyreg._reconstructor": lambda kind, *_: Shell(_expect(kind, Name, "a class").full),
    "copy_reg._reconstructor": lambda kind, *_: Shell(_expect(kind, Name, "a class").full),
    **{f"{module}.set": _make_set for module in BUILTINS},
}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
_TUPLES = {"TUPLE": None, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_MEMO_READS = {"GET", "BINGET", "LONG_BINGET"}
_MEMO_WRITES = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_STEPS: dict[str, Callable[[_Machine, object], None]] = {
    "MARK": _Machine.mark,
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": _Machine.drop_to_mark,
    "DUP": _Machine.duplicate,
    "LIST": _Machine.make_list,
    "DICT": _Machine.make_dict,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.append_many,
    "ADDITEMS": _Machine.add_many,
    "FROZENSET": _Machine.make_frozen_set,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_from_stack,
    "REDUCE": _Machine.call,
    "NEWOBJ": _Machine.make_object,
    "BUILD": _Machine.set_state,
    "PERSID": _Machine.persistent_value,
    "BINPERSID": _Machine.persistent_value,
}
