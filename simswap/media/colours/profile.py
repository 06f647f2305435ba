"""Colour profiles (ICC) written anew: what they say of colours, and nothing else.

What a library is given to convert pixels is bounded, too: a profile may list calculations without
end in a few bytes.
"""

from __future__ import annotations

import math
import struct

import numpy as np

_MAX_BYTES = 1 << 20  # of one that is kept; real ones have some kB
_MAX_TAGS = 100
_COLOURS = (b"rXYZ", b"gXYZ", b"bXYZ")
_CURVES = (b"rTRC", b"gTRC", b"bTRC")
_LOOK_UP = (b"A2B0", b"A2B1", b"A2B2", b"D2B0", b"D2B1", b"D2B2", b"D2B3")
_CHANNELS = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
_KINDS = (b"scnr", b"mntr", b"prtr", b"spac")  # none that links devices or names colours
_MAX_CURVE = 32_767  # numbers in a table
_NUM_PARAMETERS = (1, 3, 4, 5, 7)  # of a curve that is a formula, by its kind
_D50 = struct.pack(">3i", 63_190, 65_536, 54_061)  # what all profiles relate to
_NEAR_D50 = 655  # of 65,536
_DESCRIPTION, _COPYRIGHT = b"RGB", b"CC0"  # tags that the standard asks for


def plain_profile(profile: bytes) -> bytes | None:
    """The same colours in a profile that holds no text, name, date or maker of the old one.

    That can be done for an RGB profile of three primaries and three curves, as cameras, phones and
    screens have it. None for any other, and for one that is damaged.
    """
    if len(profile) > _MAX_BYTES:
        return None
    tags = _tags(profile)
    if profile[16:24] != b"RGB XYZ " or not _is_usual(profile) or tags.keys() & set(_LOOK_UP):
        return None
    wanted = {name: _numbers(tags.get(name, b""), b"XYZ ", 3) for name in (*_COLOURS, b"wtpt")}
    wanted |= {name: _curve(tags.get(name, b"")) for name in _CURVES}
    if b"chad" in tags:
        wanted[b"chad"] = _numbers(tags[b"chad"], b"sf32", 9)
    kept = {name: data for name, data in wanted.items() if data is not None}
    if len(kept) < len(wanted):
        return None
    version = _version(profile)
    texts = {b"desc": _DESCRIPTION, b"cprt": _COPYRIGHT}
    kept |= {name: _text(name, text, version) for name, text in texts.items()}
    return _written(kept, version, b"mntrRGB XYZ ", min(profile[67], 3))


def bounded_profile(profile: bytes) -> bytes | None:
    """What of a profile converts grey, RGB or print pixels to sRGB, at a cost that is bounded.

    That is a look-up table (with, for print, the one back, by which its black is found), or
    primaries and curves, or one curve for grey. None for one without, or with an unsound one.
    """
    kind, space, base = profile[12:16], profile[16:20], profile[20:24]
    is_known = kind in _KINDS and space in _CHANNELS and base in (b"XYZ ", b"Lab ")
    if not is_known or not _is_usual(profile):
        return None
    tags, channels = _tags(profile), _CHANNELS[space]
    wanted = {
        name: _look_up(tags[name], channels, 3) for name in (b"A2B0", b"A2B1") if name in tags
    }
    if not wanted and channels == 1:
        wanted = {b"kTRC": _curve(tags.get(b"kTRC", b""), may_fall=True)}
    elif not wanted and channels == 3:
        wanted = {name: _numbers(tags.get(name, b""), b"XYZ ", 3) for name in _COLOURS}
        wanted |= {name: _curve(tags.get(name, b""), may_fall=True) for name in _CURVES}
    if not wanted or None in wanted.values():
        return None
    wanted[b"wtpt"] = _numbers(tags.get(b"wtpt", b""), b"XYZ ", 3)
    wanted[b"chad"] = _numbers(tags.get(b"chad", b""), b"sf32", 9)
    wanted[b"B2A0"] = _look_up(tags.get(b"B2A0", b""), 3, 4) if channels == 4 else None
    kept = {name: data for name, data in wanted.items() if data is not None}
    return _written(kept, _version(profile), kind + space + base, min(profile[67], 3))


def _is_usual(profile: bytes) -> bool:
    """Whether browsers take a profile by its header: others they show as if there were none."""
    if len(profile) < 132 or profile[36:40] != b"acsp" or profile[8] > 4:
        return False
    size, count = (int.from_bytes(profile[at : at + 4], "big") for at in (0, 128))
    if not 132 + 12 * count <= size <= len(profile):
        return False
    places = np.frombuffer(profile, ">u4", 3 * count, 132).reshape(count, 3).astype(np.int64)
    if (places[:, 1] + places[:, 2] > size).any():
        return False
    light = np.array(struct.unpack_from(">3i", profile, 68))
    return bool((np.abs(light - np.array(struct.unpack(">3i", _D50))) <= _NEAR_D50).all())


def _version(profile: bytes) -> int:
    return 4 if profile[8] >= 4 else 2


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """What each tag of use holds; of a damaged profile, what can be got at."""
    count = min(int.from_bytes(profile[128:132], "big"), _MAX_TAGS, (len(profile) - 132) // 12)
    places = (struct.unpack_from(">4sII", profile, 132 + 12 * index) for index in range(count))
    return {
        name: profile[start : start + size]
        for name, start, size in places
        if name in (*_COLOURS, *_CURVES, *_LOOK_UP, b"kTRC", b"wtpt", b"chad", b"B2A0")
    }


def _numbers(data: bytes, kind: bytes, count: int) -> bytes | None:
    """A tag of so many fixed-point numbers, without what may lie behind them."""
    whole = 8 + 4 * count
    return kind + bytes(4) + data[8:whole] if data[:4] == kind and len(data) >= whole else None


def _curve(data: bytes, *, may_fall: bool = False) -> bytes | None:
    """A curve, by a formula or a table. To be kept, a table may not fall: it may be anything."""
    if data[:4] == b"para" and len(data) >= 12:
        kind = int.from_bytes(data[8:10], "big")
        size = 12 + 4 * _NUM_PARAMETERS[kind] if kind < len(_NUM_PARAMETERS) else len(data) + 1
        head = b"para" + bytes(4) + data[8:10] + bytes(2)
        return head + data[12:size] if len(data) >= size and data[12] < 128 else None
    if data[:4] != b"curv" or len(data) < 12:
        return None
    count = int.from_bytes(data[8:12], "big")
    table = data[12 : 12 + 2 * count]
    if count > _MAX_CURVE or len(table) < 2 * count:
        return None
    is_rising = np.all(np.diff(np.frombuffer(table, ">u2").astype(int)) >= 0)
    return b"curv" + bytes(4) + data[8:12] + table if may_fall or is_rising else None


def _look_up(data: bytes, inputs: int, outputs: int) -> bytes | None:
    """A look-up table of one of the old types or the new one (mAB, and mBA for the way back)."""
    if len(data) < 52 or (data[8], data[9]) != (inputs, outputs):
        return None
    new = b"mAB " if outputs == 3 else b"mBA "
    if data[:4] == new:
        return _new_look_up(data, inputs, outputs)
    nodes, is_wide = data[10], data[:4] == b"mft2"
    before, after = struct.unpack_from(">2H", data, 48) if is_wide else (256, 256)
    sound = nodes >= 2 and 2 <= before <= _MAX_CURVE and 2 <= after <= _MAX_CURVE
    count = inputs * before + nodes**inputs * outputs + outputs * after
    end = 52 + 2 * count if is_wide else 48 + count
    is_there = data[:4] in (b"mft1", b"mft2") and sound and len(data) >= end
    return data[:4] + bytes(4) + data[8:11] + b"\0" + data[12:end] if is_there else None


def _new_look_up(data: bytes, inputs: int, outputs: int) -> bytes | None:
    """The new types: curves, a matrix, curves, a table and curves, some of which may lack."""
    on_base, on_device = (outputs, inputs) if data[:4] == b"mAB " else (inputs, outputs)
    parts = (
        lambda start: _curves(data[start:], on_base),
        lambda start: data[start : start + 48] if len(data) >= start + 48 else None,
        lambda start: _curves(data[start:], on_base),
        lambda start: _grid(data[start:], inputs, outputs),
        lambda start: _curves(data[start:], on_device),
    )
    places, body = [], b""
    for start, part in zip(struct.unpack_from(">5I", data, 12), parts, strict=True):
        written = part(start) if start else b""
        if written is None:
            return None
        places.append(32 + len(body) if start else 0)
        body += written
    has_table = places[3] and places[4]
    if not places[0] or (inputs != outputs and not has_table):
        return None
    return data[:4] + bytes(4) + data[8:10] + bytes(2) + struct.pack(">5I", *places) + body


def _curves(data: bytes, count: int) -> bytes | None:
    written = b""
    for _ in range(count):
        curve = _curve(data[len(written) :], may_fall=True)
        if curve is None:
            return None
        written += curve + bytes(-len(curve) % 4)
    return written


def _grid(data: bytes, inputs: int, outputs: int) -> bytes | None:
    if len(data) < 20 or data[16] not in (1, 2) or min(data[:inputs]) < 2:
        return None
    size = 20 + math.prod(data[:inputs]) * outputs * data[16]
    head = data[:inputs].ljust(16, b"\0") + data[16:17] + bytes(3)
    return head + data[20:size] + bytes(-size % 4) if len(data) >= size else None


def _text(name: bytes, text: bytes, version: int) -> bytes:
    if version == 4:
        wide = text.decode().encode("utf-16-be")
        return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(wide), 28) + wide
    if name == b"desc":  # also in Unicode and for old Macintoshes, both empty
        return b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(1 + 8 + 3 + 67)
    return b"text" + bytes(4) + text + b"\0"


def _written(tags: dict[bytes, bytes], version: int, kind: bytes, intent: int) -> bytes:
    """A profile of these tags; kind: its class, the pixels' space and the one they relate to."""
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    parts = (
        struct.pack(">I4x", start + len(body)),
        struct.pack(">B3x", version),
        kind,
        bytes(12) + b"acsp" + bytes(24),  # no date before it, no maker and no system behind it
        struct.pack(">I", intent) + _D50,
    )
    return b"".join(parts).ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body
