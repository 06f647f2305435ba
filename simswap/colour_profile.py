"""Colour profiles (ICC) written anew: what they say of colours, and nothing else."""

from __future__ import annotations

import struct

import numpy as np

_MAX_BYTES = 1 << 20  # real ones of this kind have some kB
_MAX_TAGS = 100
_COLOURS = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES = (b"rTRC", b"gTRC", b"bTRC")
_LOOK_UP = (b"A2B0", b"A2B1", b"A2B2", b"D2B0", b"D2B1", b"D2B2", b"D2B3")
_NUM_PARAMETERS = (1, 3, 4, 5, 7)  # of a curve that is a formula, by its kind
_D50 = struct.pack(">3i", 63_190, 65_536, 54_061)  # what all profiles relate to
_DESCRIPTION, _COPYRIGHT = b"RGB", b"CC0"  # tags that the standard asks for


def plain_profile(profile: bytes) -> bytes | None:
    """The same colours in a profile that holds no text, name, date or maker of the old one.

    That can be done for an RGB profile of three primaries and three curves, as cameras, phones and
    screens have it. None for any other, and for one that is damaged.
    """
    tags = _tags(profile)
    if profile[16:24] != b"RGB XYZ " or profile[36:40] != b"acsp" or tags.keys() & set(_LOOK_UP):
        return None
    wanted = {name: _numbers(tags.get(name, b""), b"XYZ ", 3) for name in (*_COLOURS, b"wtpt")}
    wanted |= {name: _curve(tags.get(name, b"")) for name in _CURVES}
    if b"chad" in tags:
        wanted[b"chad"] = _numbers(tags[b"chad"], b"sf32", 9)
    kept = {name: data for name, data in wanted.items() if data is not None}
    if len(kept) < len(wanted):
        return None
    version = 4 if profile[8] >= 4 else 2
    texts = {b"desc": _DESCRIPTION, b"cprt": _COPYRIGHT}
    kept |= {name: _text(name, text, version) for name, text in texts.items()}
    return _written(kept, version, intent=min(profile[67], 3))


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """What each tag holds; of a damaged profile, what can be got at."""
    if not 132 <= len(profile) <= _MAX_BYTES:
        return {}
    count = min(int.from_bytes(profile[128:132], "big"), _MAX_TAGS, (len(profile) - 132) // 12)
    places = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(count))
    return {name: profile[start : start + size] for name, start, size in places}


def _numbers(data: bytes, kind: bytes, count: int) -> bytes | None:
    """A tag of so many fixed-point numbers, without what may lie behind them."""
    whole = 8 + 4 * count
    return kind + bytes(4) + data[8:whole] if data[:4] == kind and len(data) >= whole else None


def _curve(data: bytes) -> bytes | None:
    """A curve, by a formula or a table. A table that falls is no curve: it may be anything."""
    if data[:4] == b"para" and len(data) >= 12:
        kind = int.from_bytes(data[8:10], "big")
        size = 12 + 4 * _NUM_PARAMETERS[kind] if kind < len(_NUM_PARAMETERS) else len(data) + 1
        head = b"para" + bytes(4) + data[8:10] + bytes(2)
        return head + data[12:size] if len(data) >= size else None
    if data[:4] != b"curv" or len(data) < 12:
        return None
    count = int.from_bytes(data[8:12], "big")
    table = data[12 : 12 + 2 * count]
    is_rising = np.all(np.diff(np.frombuffer(table[: len(table) // 2 * 2], ">u2").astype(int)) >= 0)
    if len(table) < 2 * count or not is_rising:
        return None
    return b"curv" + bytes(4) + data[8:12] + table


def _text(name: bytes, text: bytes, version: int) -> bytes:
    if version == 4:
        wide = text.decode().encode("utf-16-be")
        return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(wide), 28) + wide
    if name == b"desc":  # also in Unicode and for old Macintoshes, both empty
        return b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(1 + 8 + 3 + 67)
    return b"text" + bytes(4) + text + b"\0"


def _written(tags: dict[bytes, bytes], version: int, intent: int) -> bytes:
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    parts = (
        struct.pack(">I4x", start + len(body)),
        struct.pack(">B3x", version),
        b"mntrRGB XYZ ",
        bytes(12) + b"acsp" + bytes(24),  # no date before it, no maker and no system behind it
        struct.pack(">I", intent) + _D50,
    )
    return b"".join(parts).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
