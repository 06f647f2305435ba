"""What a config may say at most. It may come from anybody, and is read before any weight is."""

from __future__ import annotations

import math
from collections.abc import Sequence

MAX_WIDTH = 4096  # channels, or numbers in an embedding; published networks have up to 512
MAX_BLOCKS = 200  # in a row; published networks have up to 36
MAX_LAYERS = 2000  # of a graph; a ResNet of 100 convolutions has some 350


def check_whole(name: str, value: object, low: int, high: int) -> None:
    """Raise ValueError unless `value` is a whole number from `low` to `high`."""
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name}={value!r:.40} must be a whole number from {low} to {high}.")


def check_widths(name: str, values: object, least: int, most: int) -> None:
    """Raise ValueError unless `values` are `least` to `most` possible widths."""
    if not isinstance(values, Sequence) or not least <= len(values) <= most:
        raise ValueError(f"{name}={values!r:.40} must be {least} to {most} widths.")
    for value in values:
        check_whole(f"a width in {name}", value, 1, MAX_WIDTH)


def check_number(name: str, value: object, low: float, high: float) -> None:
    """Raise ValueError unless `value` is a number from `low` to `high`, which NaN is not."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high:
        raise ValueError(f"{name}={value!r:.40} must be a number from {low:g} to {high:g}.")


def check_flag(name: str, value: object) -> None:
    """Raise ValueError unless `value` is True or False."""
    if type(value) is not bool:
        raise ValueError(f"{name}={value!r:.40} must be true or false.")


def is_setting(value: object) -> bool:
    """Whether a layer may be set to it: True, False, a number of ordinary size, or a few such."""
    if isinstance(value, tuple):
        return len(value) <= 4 and all(isinstance(n, int) and is_setting(n) for n in value)
    if isinstance(value, float) and math.isinf(value):
        return True  # a clip may have no end
    return isinstance(value, int | float) and abs(value) <= 10_000_000  # which NaN is not
