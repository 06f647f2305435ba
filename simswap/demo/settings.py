"""Settings of the demo's operator, in environment variables."""

from __future__ import annotations

import math
import os

from simswap.errors import OptionError

DISK = "SIMSWAP_DISK_GB"
DISK_GIGABYTES = 10.0  # for what all visitors have sent, and the results
DISK_SHARE = 5  # of which one address may send one part in so many, in an hour


def is_public() -> bool:
    """Whether this runs as a Space, where strangers call it and see results."""
    return bool(os.environ.get("SPACE_ID"))


def whole_number(setting: str, default: int) -> int:
    """What a setting says. Raises OptionError if that is no whole number from 1."""
    text = os.environ.get(setting) or str(default)
    if not (text.isascii() and text.isdecimal() and int(text) >= 1):
        raise OptionError(f"{setting} is {text!r}; give a whole number from 1.")
    return int(text)


def number(setting: str, default: float, unit: str) -> float:
    """What a setting says. Raises OptionError if that is no number above 0."""
    text = os.environ.get(setting) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise OptionError(f"{setting} is {text!r}; give a number of {unit} above 0.")
    return value


def disk_bytes() -> float:
    """How much all visitors may store. Raises OptionError as `number` does."""
    return 1e9 * number(DISK, DISK_GIGABYTES, "gigabytes")
