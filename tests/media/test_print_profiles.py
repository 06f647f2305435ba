"""Profiles of look-up tables: ordinary ones convert pixels, and costly ones never get to run."""

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from simswap.media.colours.profile import bounded_profile
from simswap.media.decoding import decode_photo

SIDE = 32
CHANNELS = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
MODES = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK"}
WHITE = b"XYZ \0\0\0\0" + struct.pack(">3i", 63_190, 65_536, 54_061)
UNITY = struct.pack(">9i", 65_536, 0, 0, 0, 65_536, 0, 0, 0, 65_536)
GAMMA = b"curv" + bytes(4) + struct.pack(">IH", 1, 300) + b"\0\0"
FALLING = b"curv" + bytes(4) + struct.pack(">I4H", 4, 65_535, 40_000, 20_000, 0)


def profile(space, tags, kind=b"prtr", base=b"Lab ", version=2):
    table, data, start = b"", b"", 132 + 12 * len(tags)
    for name, body in tags.items():
        table += name + struct.pack(">II", start + len(data), len(body))
        data += body + bytes(-len(body) % 4)
    head = struct.pack(">I4sB3x", start + len(data), b"lcms", version) + kind + space + base
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63_190, 65_536, 54_061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + data


def nodes(inputs, outputs, grid):
    """Of a smooth table from each ink's amount to lightness and colour, or back: 0 to 1."""
    amounts = np.stack(np.meshgrid(*[np.linspace(0, 1, grid)] * inputs, indexing="ij"), -1)
    if outputs == 4:
        return np.concatenate([1 - amounts, 1 - amounts[..., :1]], -1)
    lightness = 1 - 0.9 * amounts.mean(-1, keepdims=True)
    colours = 0.4 + 0.2 * amounts[..., [0, -1]] ** 2
    return np.concatenate([lightness, colours], -1)


def old_table(kind, inputs, outputs=3, grid=5):
    values, entries = nodes(inputs, outputs, grid), np.linspace(0, 1, 256) ** 1.2
    dtype, top = (">u2", 65_280) if kind == b"mft2" else ("u1", 255)

    def numbers(array):
        return (array * top).astype(dtype).tobytes()

    head = kind + bytes(4) + bytes([inputs, outputs, grid, 0]) + UNITY
    head += struct.pack(">2H", 256, 256) if kind == b"mft2" else b""
    return head + numbers(entries) * inputs + numbers(values) + numbers(entries) * outputs


def new_table(kind, inputs, outputs=3, grid=5, curve=GAMMA):
    base, device = (outputs, inputs) if kind == b"mAB " else (inputs, outputs)
    table = bytes([grid] * inputs).ljust(16, b"\0") + b"\2\0\0\0"
    table += (nodes(inputs, outputs, grid) * 65_535).astype(">u2").tobytes()
    parts = [curve * base, UNITY + bytes(12), curve * base, table + bytes(-len(table) % 4)]
    places = np.cumsum([32, *map(len, parts)])
    head = kind + bytes(4) + bytes([inputs, outputs, 0, 0]) + struct.pack(">5I", *places)
    return head + b"".join(parts) + curve * device


def element_list(num_elements, channels):
    """A calculation of as many steps, all of which are the same bytes."""
    step = b"matf" + bytes(4) + struct.pack(">HH", channels, channels)
    step += np.eye(channels, dtype=">f4").tobytes() + bytes(4 * channels)
    place = struct.pack(">II", 16 + 8 * num_elements, len(step))
    head = b"mpet" + bytes(4) + struct.pack(">HHI", channels, channels, num_elements)
    return head + place * num_elements + step


def picture(space):
    bands = [
        Image.fromarray(np.add.outer(np.arange(SIDE) * a, np.arange(SIDE) * b).astype(np.uint8))
        for a, b in ((7, 0), (0, 7), (3, 3), (1, 2))
    ]
    return Image.merge(MODES[space], bands[: CHANNELS[space]])


def in_file(space, icc_profile):
    stream = io.BytesIO()
    picture(space).save(stream, "TIFF", icc_profile=icc_profile)
    return stream.getvalue()


def in_srgb(space, icc_profile):
    """As LittleCMS converts it with all of the profile, however long that takes."""
    return np.asarray(
        ImageCms.profileToProfile(
            picture(space),
            io.BytesIO(icc_profile),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    )


ORDINARY = {
    "press, 16 bits": (
        b"CMYK",
        {
            b"A2B0": old_table(b"mft2", 4, grid=17),
            b"A2B1": old_table(b"mft2", 4, grid=9),
            b"B2A0": old_table(b"mft2", 3, 4, grid=17),
        },
        2,
    ),
    "press, 8 bits": (
        b"CMYK",
        {b"A2B0": old_table(b"mft1", 4, grid=9), b"B2A0": old_table(b"mft1", 3, 4)},
        2,
    ),
    "press, new": (
        b"CMYK",
        {b"A2B0": new_table(b"mAB ", 4), b"A2B1": new_table(b"mAB ", 4, curve=FALLING)}
        | {b"B2A0": new_table(b"mBA ", 3, 4)},
        4,
    ),
    "press, one way": (b"CMYK", {b"A2B0": old_table(b"mft2", 4)}, 2),
    "scanner": (b"RGB ", {b"A2B0": old_table(b"mft2", 3, grid=33)}, 2),
    "screen, new": (b"RGB ", {b"A2B0": new_table(b"mAB ", 3)}, 4),
    "grey ink": (b"GRAY", {b"kTRC": FALLING}, 2),
    "grey table": (b"GRAY", {b"A2B0": old_table(b"mft1", 1)}, 2),
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_an_ordinary_profile_converts_exactly_as_a_whole(kind):
    space, tags, version = ORDINARY[kind]
    whole = profile(space, {b"wtpt": WHITE, **tags}, version=version)
    photo = decode_photo(in_file(space, whole), "photo")
    assert not any("profile" in notice for notice in photo.notices)
    assert np.array_equal(photo.image, in_srgb(space, whole))
    assert not np.array_equal(photo.image, np.asarray(picture(space).convert("RGB")))


@pytest.mark.parametrize("kind", ORDINARY)
def test_other_tags_never_reach_the_library(kind):
    space, tags, version = ORDINARY[kind]
    own = {b"wtpt": WHITE, **tags}
    others = {
        name: element_list(5, CHANNELS[space])
        for name in (b"D2B0", b"D2B1", b"D2B3", b"B2D0", b"B2D1", b"gamt", b"ncl2", b"A2B2")
    }
    plain = bounded_profile(profile(space, own, version=version))
    assert bounded_profile(profile(space, own | others, version=version)) == plain
    assert b"mpet" not in plain


@pytest.mark.parametrize("space", CHANNELS)
@pytest.mark.parametrize("tag", [b"D2B0", b"D2B1", b"A2B0", b"A2B1", b"kTRC"])
def test_a_profile_of_a_list_of_calculations_is_left_out_with_a_notice(space, tag):
    data = in_file(space, profile(space, {tag: element_list(40_000, CHANNELS[space])}, version=4))
    photo = decode_photo(data, "photo")
    assert "rare kind" in photo.notices[-1]
    assert photo.icc_profile is None
    assert np.array_equal(photo.image, np.asarray(picture(space).convert("RGB")))


@pytest.mark.parametrize("kind", [b"link", b"nmcl", b"abst", b"\0\0\0\0"])
def test_a_profile_that_is_of_no_device_is_left_out(kind):
    table = {b"A2B0": old_table(b"mft2", 4)}
    assert bounded_profile(profile(b"CMYK", table, kind=kind)) is None


@pytest.mark.parametrize("make", [old_table, new_table])
def test_a_table_that_claims_more_than_there_is_is_left_out(make):
    table = make(b"mft2" if make is old_table else b"mAB ", 4)
    for cut in (4, 40, 52, len(table) // 2, len(table) - 4):
        assert bounded_profile(profile(b"CMYK", {b"A2B0": table[:cut]})) is None
    more_channels = table[:8] + b"\x0f" + table[9:]
    assert bounded_profile(profile(b"CMYK", {b"A2B0": more_channels})) is None


def test_what_is_written_of_a_damaged_table_has_a_bounded_size():
    whole = profile(b"CMYK", ORDINARY["press, new"][1], version=4)
    rng = np.random.default_rng(0)
    for place in rng.integers(128, 600, 300):
        damaged = whole[:place] + rng.bytes(4) + whole[place + 4 :]
        written = bounded_profile(damaged)
        assert written is None or len(written) <= 3 * len(whole)
