"""Stand-ins for official weight files: the right keys and shapes, numbers made from seeds."""

import json
import struct
import sys
import types
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from simswap.weights import official
from simswap.weights.onnx import generator
from tests.support.examples import ROOT

DATA = ROOT / "tests" / "data"
BASES = {
    "official_224": 1000,
    "official_512": 101000,
    "trainer_224": 201000,
    "trainer_512": 301000,
    "arcface_ir_se_18": 501018,
    "arcface_ir_se_101": 501101,
}


# The official networks with a sixteenth of the channels, for tests that convert many times.
NARROW_VARIANTS = tuple(
    replace(
        variant,
        generator=replace(
            variant.generator,
            channels=tuple(width // 16 for width in variant.generator.channels),
        ),
    )
    for variant in official.VARIANTS
)


def know_narrow_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `convert` take narrow networks for official ones."""
    monkeypatch.setattr(official, "VARIANTS", NARROW_VARIANTS)
    monkeypatch.setattr(generator, "VARIANTS", NARROW_VARIANTS)


def seeded_state(shapes: dict[str, list[int]], base: int) -> dict[str, torch.Tensor]:
    """The fixtures' weights: made from seeds, by the recipe under which they were computed."""
    state = {}
    for number, key in enumerate(sorted(shapes)):
        shape = shapes[key]
        noise = np.random.RandomState(base + number).standard_normal(shape)
        noise = np.asarray(noise, np.float32)
        if key.endswith("num_batches_tracked"):
            noise = np.zeros(shape, np.int64)
        elif len(shape) >= 2:
            noise = noise / np.sqrt(np.prod(shape[1:])).astype(np.float32)
        elif key.endswith(".running_var"):
            noise = 1 + 0.1 * np.abs(noise)
        elif key.endswith(".weight"):
            noise = 1 + 0.1 * noise
        else:
            noise = 0.05 * noise
        state[key] = torch.from_numpy(np.asarray(noise))
    return state


def official_state(variant: str) -> dict[str, torch.Tensor]:
    """The state dict from which the parity fixtures were computed; its tensors are read only."""
    return dict(_made(variant))


@lru_cache(maxsize=2)  # up to 450 MB each
def _made(variant: str) -> dict[str, torch.Tensor]:
    return seeded_state(json.loads((DATA / "keys.json").read_text())[variant], BASES[variant])


def module_of(state: dict[str, torch.Tensor], class_name: str = "LookAlike") -> nn.Module:
    """A module of a class that can only be unpickled while `forgotten_code` is importable."""
    home = sys.modules.setdefault("forgotten_code", types.ModuleType("forgotten_code"))
    kind = type(class_name, (nn.Module,), {"__module__": "forgotten_code"})
    setattr(home, class_name, kind)
    root = kind()
    for key, value in state.items():
        *path, name = key.split(".")
        module = root
        for part in path:
            if part not in module._modules:
                module.add_module(part, kind())
            module = module._modules[part]
        if name in ("weight", "bias"):
            module.register_parameter(name, nn.Parameter(value))
        else:
            module.register_buffer(name, value)
    return root


def save_whole_module(state: dict[str, torch.Tensor], path: Path, *, legacy: bool = True) -> None:
    """Save as the published identity network is: a whole module, whose code is then gone."""
    torch.save(module_of(state), path, _use_new_zipfile_serialization=not legacy)
    del sys.modules["forgotten_code"]


def legacy_file(pickled: bytes, keys: bytes = b"\x80\x02]q\x00.", storages: bytes = b"") -> bytes:
    """A file in the row-of-pickles form around the pickle of its value."""
    number = (0x1950A86A20F9469CFC6C).to_bytes(10, "little")
    header = b"\x80\x02\x8a\x0a" + number + b"." + b"\x80\x02M\xe9\x03." + b"\x80\x02}q\x00."
    return header + pickled + keys + storages


def storage_call(num_values: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A pickle of {"w": tensor} whose tensor lies in storage "0"."""

    def tuple_of(values: tuple[int, ...]) -> bytes:
        return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", v) for v in values) + b"t"

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value)) + value.encode()

    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu")
    storage += b"\x8a\x08" + struct.pack("<q", num_values) + b"NtQ"
    arguments = b"(" + storage + b"K\x00" + tuple_of(shape) + tuple_of(stride) + b"\x89}t"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n" + arguments + b"R"
    return b"\x80\x02}" + text("w") + call + b"s."
