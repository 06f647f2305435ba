"""Which runtime computes the networks: what the caller or operator chose, or the fastest."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

from simswap.errors import OptionError

if TYPE_CHECKING:
    import torch

SETTING = "SIMSWAP_RUNTIME"
RUNTIMES = ("torch", "openvino")


def choose_runtime(
    wanted: str | None, device: torch.device, environment: Mapping[str, str] = os.environ
) -> str:
    """One of RUNTIMES: `wanted`, else what SIMSWAP_RUNTIME names, else the fastest one here.

    That is OpenVINO on a CPU, where it is installed. Raises OptionError for another name, or if
    the one that is named cannot run on the device.
    """
    named = f"runtime={wanted!r}" if wanted else f"{SETTING}={environment.get(SETTING)!r}"
    wanted = wanted or environment.get(SETTING)
    if not wanted:
        is_fit = device.type == "cpu" and find_spec("openvino") is not None
        return "openvino" if is_fit else "torch"
    if wanted not in RUNTIMES:
        raise OptionError(f"{named} is not a runtime. Use one of: {', '.join(RUNTIMES)}.")
    if wanted == "openvino" and device.type != "cpu":
        raise OptionError(f"{named} runs on a CPU, not on {device}. Use torch, or device='cpu'.")
    if wanted == "openvino" and find_spec("openvino") is None:
        raise OptionError(f"{named} is not installed. Run `pip install openvino`, or use torch.")
    return wanted
