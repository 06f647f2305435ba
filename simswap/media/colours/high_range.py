"""High dynamic range brought to standard range, as a display of that range shows it.

PQ and HLG pictures (ITU-R BT.2100, primaries of BT.2020) become BT.709: each channel's light is
compressed by the curve of BT.2390 (section 5.4.1), from a display of 1000 cd/m2 to diffuse white of
203 cd/m2 (BT.2408), then the primaries are changed. What is changed in such a picture is brought
back by the inverse.
"""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

PQ, HLG = 16, 18  # transfers, as ITU-T H.273 numbers them
_PEAK, _WHITE = 1000.0, 203.0  # cd/m2, of the display that it was made for, and of the new one
_LEVELS = 4096  # of a channel that the tables tell apart
_STRIP = 64  # rows
_SHIFT = 4  # bits, from 16 to those levels
_FINE = 65_535  # steps of light: with fewer, dark tones would be few
# Of the signal's range, from one of 255 levels to the next: the curve's inverse rises without end
# towards white, and would show each small error there.
_STEEPEST = 0.02
# Linear BT.2020 to BT.709 (BT.2087).
_TO_709 = np.array(
    [
        [1.660491, -0.587641, -0.072850],
        [-0.124550, 1.132900, -0.008349],
        [-0.018151, -0.100579, 1.118730],
    ],
    np.float32,
)
_TO_2020 = np.linalg.inv(_TO_709)


def to_standard_range(image: np.ndarray, transfer: int) -> np.ndarray:
    """A picture as a standard display shows it.

    image: [H, W, 3] uint16, full range, RGB of BT.2020 in PQ or HLG -> [H, W, 3] uint8 RGB.
    """
    standard = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), _STRIP):  # so that little memory is needed
        light = cv2.transform(_light_of(transfer)[image[top : top + _STRIP] >> _SHIFT], _TO_709)
        levels = (light.clip(0, 1) * _FINE + 0.5).astype(np.uint16)
        standard[top : top + _STRIP] = _codes()[levels]
    return standard


def bring_to_standard_range(image: np.ndarray, transfer: int) -> None:
    """The same for a picture of 8 bits, [H, W, 3] uint8, itself."""
    for top in range(0, len(image), _STRIP):
        strip = image[top : top + _STRIP]
        strip[:] = to_standard_range(strip.astype(np.uint16) * 257, transfer)


def bring_back(image: np.ndarray, changed: np.ndarray, transfer: int) -> None:
    """Change a picture of high range as its standard one was changed, and nowhere else.

    image: what to_standard_range was given, [H, W, 3] uint16; changed: what became of its result,
    [H, W, 3] uint8. Signals move by as much as those of the two standard pictures differ, so that
    detail and brightness beyond them stay.
    """
    for top in range(0, len(image), _STRIP):
        strip, new = image[top : top + _STRIP], changed[top : top + _STRIP]
        old = to_standard_range(strip, transfer)
        columns = np.flatnonzero((old != new).any(axis=(0, 2)))
        if not len(columns):
            continue
        part = np.s_[:, columns[0] : columns[-1] + 1]
        moved = strip[part] + (_signal(new[part], transfer) - _signal(old[part], transfer))
        strip[part] = np.rint(moved).clip(0, 65_535)


def _signal(standard: np.ndarray, transfer: int) -> np.ndarray:
    """PQ's or HLG's signal, in 65535ths, of [H, W, 3] uint8 RGB; [H, W, 3] float64."""
    light = cv2.transform(_light_of_codes()[standard], _TO_2020)
    return np.interp(light, _light_of_codes(), _signals(transfer))


@cache
def _light_of(transfer: int) -> np.ndarray:
    """Light of each level, compressed; 1 is the new display's white, [_LEVELS] float32."""
    levels = np.linspace(0, 1, _LEVELS)
    pq = levels if transfer == PQ else _to_pq(_PEAK * _hlg_light(levels))
    return (_from_pq(_compressed(pq)) / _WHITE).clip(0, 1).astype(np.float32)


@cache
def _codes() -> np.ndarray:
    """Pixels for light in _FINE steps, by the inverse of BT.1886's 2.4, [_FINE + 1] uint8."""
    return np.rint(255 * np.linspace(0, 1, _FINE + 1) ** (1 / 2.4)).astype(np.uint8)


@cache
def _light_of_codes() -> np.ndarray:
    """Light of each of a pixel's 256 values, [256] float32."""
    return (np.linspace(0, 1, 256) ** 2.4).astype(np.float32)


@cache
def _signals(transfer: int) -> np.ndarray:
    """The signal, in 65535ths, that becomes each of a grey pixel's 256 values, [256] float64."""
    light = _light_of(transfer)
    rising = np.flatnonzero(np.diff(light, prepend=-1) > 0)
    signals = np.interp(_light_of_codes(), light[rising], rising / (_LEVELS - 1))
    steps = np.diff(signals, prepend=0).clip(max=_STEEPEST)
    return 65_535 * np.cumsum(steps)


def _hlg_light(signal: np.ndarray) -> np.ndarray:
    """Light of a display, 1 at its peak: BT.2100's inverse curve and its system gamma of 1.2."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - c) / a) + b) / 12)
    return scene**1.2


_M1, _M2, _C1, _C2, _C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875  # BT.2100


def _from_pq(signal: np.ndarray) -> np.ndarray:
    """cd/m2 of PQ's signal, 0 to 1."""
    power = signal ** (1 / _M2)
    return 10_000 * (np.maximum(power - _C1, 0) / (_C2 - _C3 * power)) ** (1 / _M1)


def _to_pq(light: np.ndarray) -> np.ndarray:
    power = (light / 10_000) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def _compressed(pq: np.ndarray) -> np.ndarray:
    """PQ's signal up to _PEAK brought below _WHITE; dark and middle tones stay as they are."""
    peak = float(_to_pq(np.array(_PEAK)))
    signal, most = (pq / peak).clip(0, 1), float(_to_pq(np.array(_WHITE))) / peak
    knee = 1.5 * most - 0.5
    t = ((signal - knee) / (1 - knee)).clip(0, 1)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee)
    bent += (-2 * t**3 + 3 * t**2) * most
    return peak * np.where(signal < knee, signal, bent)
