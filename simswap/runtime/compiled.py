"""Networks as OpenVINO compiled them, kept in the user's data folder for the next start.

A file is the sha256 of what follows, then that. It is named by all that it depends on: another
network, program, OpenVINO or CPU looks for another file. A missing, broken or foreign one is
compiled anew; without a folder of the user's own there is none.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import torch
from torch import nn

from simswap import models
from simswap.files import data_folder, is_ours_alone, replaced

logger = logging.getLogger(__name__)

FOLDER = "compiled"
ENDING = ".openvino"
MOST_FILES = 16  # the networks of four models
_DIGEST_BYTES = hashlib.sha256().digest_size
_OF_ALL = vars(nn.Module()).keys()  # what all modules have: weights, parts, hooks


def key_of(module: nn.Module, circumstances: Sequence[object]) -> str:
    """A name for a compiled network: of its weights, its layers, the code that runs them, and more.

    circumstances: what else the compilation depends on.
    """
    settings = list(_settings_of(module))
    digest = hashlib.sha256(
        repr((settings, str(module), *circumstances, _code(), torch.__version__)).encode()
    )
    tensors = (*module.named_parameters(), *module.named_buffers())
    for name, tensor in sorted(tensors, key=lambda item: item[0]):
        digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy())
    return digest.hexdigest()


def _settings_of(module: nn.Module) -> Iterator[tuple[object, ...]]:
    """Of all its parts, what each was set to: not all of that is told in its text."""
    for path, part in module.named_modules(remove_duplicate=False):
        own = sorted(vars(part).keys() - _OF_ALL)
        values = ((name, _told(vars(part)[name])) for name in own)
        yield path, type(part).__module__, type(part).__qualname__, *values


def _told(value: object) -> str:
    """As text that is the same in each process."""
    return f"{value.__module__}.{value.__qualname__}" if callable(value) else repr(value)


def read(key: str) -> bytes | None:
    """The compiled network of a key; None if there is none that is whole."""
    folder = _folder(make=False)
    if folder is None:
        return None
    path = folder / f"{key}{ENDING}"
    try:
        content = path.read_bytes()
        os.utime(path)  # those that are used stay
    except OSError:
        return None
    compiled = content[_DIGEST_BYTES:]
    return compiled if hashlib.sha256(compiled).digest() == content[:_DIGEST_BYTES] else None


def write(key: str, compiled: bytes) -> None:
    """Keep a compiled network if that is possible; the ones that were used longest ago go."""
    folder = _folder(make=True)
    if folder is None:
        return
    try:
        with replaced(folder / f"{key}{ENDING}") as part:
            part.write_bytes(hashlib.sha256(compiled).digest() + compiled)
        files = sorted(folder.glob(f"*{ENDING}"), key=lambda path: path.stat().st_mtime)
        for path in files[:-MOST_FILES]:
            path.unlink(missing_ok=True)
    except OSError as error:
        logger.info("A compiled network is not kept: %s", error.strerror)


def _folder(*, make: bool) -> Path | None:
    """The folder, if it is the user's own: what lies there is run."""
    home = data_folder()
    if home is None:
        return None
    folder = home / FOLDER
    try:
        if make:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder if is_ours_alone(folder) else None
    except OSError:
        return None


@cache
def _code() -> str:
    """Digest of the code that makes and runs networks, which may change where weights do not."""
    digest = hashlib.sha256()
    for folder in (Path(models.__file__).parent, Path(__file__).parent):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()
