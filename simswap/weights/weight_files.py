"""Weight files of other people's making: a state dict out of .pth, .tar, .pt or .safetensors.

The form is told by a file's first bytes, never by its name, and nothing in it is run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from simswap.errors import ModelError
from simswap.weights.torch_files import MAX_NAME, Shell, read_legacy, read_zip

MAX_TENSORS = 100_000  # a file may list one module many times over
MAX_DEPTH = 64  # modules within modules
MAX_NETWORKS = 20  # looked at in one file
# Bytes of a safetensors file's list of tensors; a thousand names take some 100,000.
MAX_HEADER = 2**20


def read_weights(path: Path) -> dict[str, Tensor]:
    """The state dict in a file: on the CPU, in the types it was stored in.

    A whole saved module gives its parameters and buffers; DataParallel's "module." before every
    name is dropped. Raises ModelError: one sentence on what the file is instead, and a remedy.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not there, or is no file. Check its name.")
    try:
        with path.open("rb") as file:
            head = file.read(512)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    refuse_other_things(path, head)
    if is_safetensors(head):
        return _without_prefix(_read_safetensors(path))
    try:
        return _without_prefix(_find_tensors(_read_torch(path, head)))
    except ModelError as error:
        raise ModelError(f"{path} is refused: {error}. Fetch it again from its maker.") from error


def refuse_other_things(path: Path, head: bytes) -> None:
    """Name what is often found in place of weights; head: the first bytes of the file."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not head:
        raise ModelError(f"{path} is empty. Fetch it again.")
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise ModelError(
            f"{path} is a web page, not weights: the site answered with a page in place of the "
            "file. Download it in a browser, and check that it has many megabytes."
        )
    if text.startswith(b"version https://git-lfs"):
        raise ModelError(
            f"{path} is a Git LFS pointer, not the weights themselves. Run `git lfs pull`, or "
            "download the file from the repository's page."
        )


def is_safetensors(head: bytes) -> bool:
    """Whether a file that begins with `head` has the form of safetensors."""
    return len(head) > 8 and head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 2**32


def load_tensors(path: Path) -> dict[str, Tensor]:
    """What a safetensors file holds.

    Raises SafetensorError if it is damaged, or names more tensors than any network has: each costs
    time and memory, empty or not. Raises OSError if it cannot be read.
    """
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
    if size > MAX_HEADER:
        raise SafetensorError(f"its list of tensors has {size / 1e6:.1f} MB; up to 1 MB is read")
    return load_file(path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_tensors(path)
    except SafetensorError as error:
        raise ModelError(f"{path} is cut short or damaged ({error}). Fetch it again.") from error


def _read_torch(path: Path, head: bytes) -> object:
    if head.startswith(b"PK"):
        return read_zip(path)
    if head.startswith(b"\x80"):
        with path.open("rb") as file:
            return read_legacy(file, path.stat().st_size)
    if head[257:262] == b"ustar":
        raise ModelError("it is a tar archive, from before torch 0.2; save it with a newer torch")
    raise ModelError("its form is not one of torch.save or safetensors")


def _find_tensors(value: object) -> dict[str, Tensor]:
    """The state dict in what was saved: a dict of tensors, or a module, or a dict that holds one.

    Raises ModelError where there is none, or more than one.
    """
    found = [(name, state) for name, state in islice(_candidates(value), MAX_NETWORKS) if state]
    if not found:
        raise ModelError("it holds no tensors")
    if len(found) > 1:
        names = ", ".join(sorted(ascii(name)[1:-1] for name, _ in found))
        raise ModelError(f"it holds several networks ({names}), not one")
    return found[0][1]


def _candidates(value: object) -> Iterator[tuple[str, dict[str, Tensor]]]:
    waiting, seen = [("", value)], set()
    while waiting:
        name, held = waiting.pop()
        if id(held) in seen:
            continue
        seen.add(id(held))
        if isinstance(held, Shell):
            yield name, _state_of_module(held)
        elif isinstance(held, dict):
            tensors = {key: v for key, v in held.items() if isinstance(v, Tensor)}
            if tensors:
                yield name, {_checked_name(key): tensor for key, tensor in tensors.items()}
            else:  # an optimizer's state is no network
                inner = [(str(key), v) for key, v in held.items()]
                inner = [(key[:40], v) for key, v in inner if "optim" not in key]
                waiting += [(f"{name[-40:]}.{key}".lstrip("."), v) for key, v in inner]


def _state_of_module(module: Shell) -> dict[str, Tensor]:
    """Parameters and buffers by dotted name, as nn.Module.state_dict names them."""
    state: dict[str, Tensor] = {}
    visits, waiting = 0, [("", module, 0)]
    while waiting:
        prefix, shell, depth = waiting.pop()
        tensors = {**_held(shell, "_parameters"), **_held(shell, "_buffers")}
        children = _held(shell, "_modules")
        visits += 1 + len(tensors) + len(children)
        if visits > MAX_TENSORS or depth > MAX_DEPTH:
            raise ModelError("it nests modules without end")
        skipped = _held(shell, "_non_persistent_buffers_set", set)
        for name, tensor in tensors.items():
            if isinstance(tensor, Tensor) and name not in skipped:
                state[_checked_name(f"{prefix}{name}")] = tensor
        waiting += [(_checked_name(f"{prefix}{n}."), c, depth + 1) for n, c in children.items()]
    return state


def _held(shell: object, attribute: str, kind: type = dict) -> dict[str, object] | set[str]:
    """What a module keeps under a name; empty for anything else."""
    state = shell.state if isinstance(shell, Shell) and isinstance(shell.state, dict) else {}
    found = state.get(attribute)
    return found if isinstance(found, kind) else kind()


def _checked_name(name: object) -> str:
    """A name that can be shown; many modules may share a long one, and each would copy it."""
    if isinstance(name, str) and len(name) <= MAX_NAME and name.isprintable():
        return name
    raise ModelError("it holds tensors with names that no network has")


def _without_prefix(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    wrapped = all(name.startswith("module.") for name in state)
    return {name.removeprefix("module.") if wrapped else name: state[name] for name in state}
