"""Nothing can be written into credentials that we signed without Verify telling."""

import copy
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap.errors import MediaError
from simswap.provenance.credentials import read_credentials
from simswap.provenance.exclusions import LEFT_OUT
from simswap.provenance.signer import find_signer
from simswap.provenance.signing import sign_photo
from simswap.provenance.store import is_signed_throughout

MORE = b"FORGED" * 20
TYPE = bytes.fromhex("00110010800000aa00389b71")
PAD = b"\x63pad\x59"  # how bytes to spare begin in a signature, before their number


def opened(data: bytes) -> list[list]:
    """Boxes as [kind, content], the content of those that hold others likewise."""
    found, place = [], 0
    while place < len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        content = data[place + 8 : place + length]
        found.append([kind, opened(content) if kind == b"jumb" else content])
        place += length
    return found


def closed(boxes: list[list]) -> bytes:
    written = b""
    for kind, content in boxes:
        content = closed(content) if isinstance(content, list) else content
        written += struct.pack(">I4s", len(content) + 8, kind) + content
    return written


@pytest.fixture(scope="module")
def signed() -> tuple[bytes, bytes, bytes]:
    """A PNG that we signed: what stands before its credentials, they, and what behind."""
    stream = io.BytesIO()
    Image.new("RGB", (96, 96), (10, 200, 30)).save(stream, "PNG")
    data, _ = sign_photo(stream.getvalue(), ".png", "some model", None)
    start = data.index(b"caBX") + 4
    end = start + int.from_bytes(data[start - 8 : start - 4], "big")
    return data[: start - 8], data[start:end], data[end + 4 :]


def read(path: Path, signed: tuple[bytes, bytes, bytes], store: bytes):
    before, _, behind = signed
    chunk = b"caBX" + store
    length, checksum = struct.pack(">I", len(store)), struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(before + length + chunk + checksum + behind)
    try:
        return read_credentials(path, find_signer())
    except MediaError:
        return None


def without(store: list[list], count: int) -> list[list]:
    """The store, with so many bytes less to spare in its signature."""
    kept = copy.deepcopy(store)
    item = signature_of(kept)
    place = item[1].index(PAD) + len(PAD)
    spare = int.from_bytes(item[1][place : place + 2], "big") - count
    assert spare >= 256
    rest = item[1][place + 2 + spare + count :]
    item[1] = item[1][:place] + struct.pack(">H", spare) + bytes(spare) + rest
    return kept


def version_of(store: list[list]) -> list[list]:
    return store[0][1][1][1]


def assertion_of(store: list[list]) -> list[list]:
    return version_of(store)[1][1][1][1]


def signature_of(store: list[list]) -> list:
    return version_of(store)[3][1][1]


def with_salt(part: list[list]) -> None:
    """The description of a box, with a part that only those of assertions need."""
    about = part[0][1]
    part[0][1] = about[:16] + b"\x13" + about[17:] + closed([[b"c2sh", MORE]])


def with_key(store: list[list]) -> None:
    item = signature_of(store)
    place = item[1].index(PAD)
    more = b"\xa2\x63abc\x58" + bytes([len(MORE)]) + MORE
    item[1] = item[1][: place - 1] + more + item[1][place:]


def with_label(store: list[list]) -> None:
    about = version_of(store)[3][1][0]
    about[1] = about[1][:-1] + b"A" * 99 + b"\0"


def is_throughout(store: bytes, may_be_stamped: bool) -> bool:
    label = version_of(opened(store))[0][1][17:].split(b"\0")[0].decode()
    return is_signed_throughout(store, [label], may_be_stamped)


def with_more_about(bit: int, more: bytes) -> Callable[[list[list]], None]:
    """The description of an assertion with an id, or a hash, which none needs."""

    def change(store: list[list]) -> None:
        about = assertion_of(store)[0]
        label = about[1].index(b"\0", 17) + 1
        toggles = bytes([about[1][16] | bit])
        about[1] = about[1][:16] + toggles + about[1][17:label] + more + about[1][label:]

    return change


UNNOTICED = {
    "behind all": lambda store: store.append([b"free", MORE]),
    "in the signature's box": lambda store: version_of(store)[3][1].append([b"free", MORE]),
    "as a second signature": lambda store: version_of(store)[3][1].append([b"cbor", MORE]),
    "beside the signature": with_key,
    "in a label": with_label,
    "in an assertion": lambda store: assertion_of(store).append([b"free", MORE]),
    "before an assertion": lambda store: assertion_of(store).insert(1, [b"free", MORE]),
    "as an assertion's id": with_more_about(4, b"ABCD"),
    "as an assertion's hash": with_more_about(8, b"FORGED" * 5 + b"--"),
    "in bits of no meaning": with_more_about(0x20, b""),
    "as another description": lambda store: version_of(store)[1][1].append([b"jumd", MORE]),
    "about all": lambda store: with_salt(store[0][1]),
    "about the version": lambda store: with_salt(version_of(store)),
    "about the assertions": lambda store: with_salt(version_of(store)[1][1]),
    "about the claim": lambda store: with_salt(version_of(store)[2][1]),
    "about the signature": lambda store: with_salt(version_of(store)[3][1]),
}


@pytest.mark.parametrize("where", UNNOTICED)
def test_what_the_library_might_not_notice_is_told(signed, tmp_path, where):
    store = opened(signed[1])
    longer = copy.deepcopy(store)
    UNNOTICED[where](longer)
    forged = without(store, len(closed(longer)) - len(signed[1]))
    honest = closed(forged)
    UNNOTICED[where](forged)
    assert len(closed(forged)) == len(signed[1])
    assert not is_throughout(closed(forged), False)
    assert not is_throughout(closed(forged), True)
    assert is_throughout(honest, False)
    found = read(tmp_path / "forged.png", signed, closed(forged))
    assert found is None or LEFT_OUT in found.failures


def test_no_byte_of_our_credentials_can_be_changed_unnoticed(signed, tmp_path):
    _, store, _ = signed
    assert read(tmp_path / "photo.png", signed, store).is_intact
    chosen = np.random.default_rng(5).choice(len(store), 300, replace=False)
    spare = store.index(PAD)
    for place in [*chosen, *range(spare + 1, spare + len(PAD) + 4), *range(80)]:
        changed = bytearray(store)
        changed[place] ^= 0x15
        found = read(tmp_path / "photo.png", signed, bytes(changed))
        assert found is None or not found.is_intact, place


def test_a_version_that_is_not_seen_to_be_as_it_was_is_told(signed):
    store = opened(signed[1])
    other = copy.deepcopy(store[0][1][1])
    other[1][0][1] = other[1][0][1][:-3] + b"zz\0"
    store[0][1].insert(1, other)
    labels = [version[1][0][1][17:-1].decode() for version in store[0][1][1:]]
    assert is_signed_throughout(closed(store), labels, True)
    assert not is_signed_throughout(closed(store), labels[1:], True)
    assert not is_signed_throughout(closed(store), [*labels, "another"], True)
    store[0][1].insert(1, other)
    assert not is_signed_throughout(closed(store), labels, True)  # of one label, which is meant?


@pytest.mark.parametrize("key", [b"\x18\x21", b"\x66sigTst", b"\x67sigTst2"])
def test_certificates_and_timestamps_count_as_honest_where_they_may_be(signed, key):
    store = opened(signed[1])
    item = signature_of(store)
    place = item[1].index(PAD)
    for value in (b"\x44time", b"\xa1\x69tstTokens\x81\x41x"):
        stamped = copy.deepcopy(store)
        more = b"\xa2" + key + value + item[1][place:]
        signature_of(stamped)[1] = item[1][: place - 1] + more
        assert is_throughout(closed(stamped), True)
        assert not is_throughout(closed(stamped), False)


def test_a_part_of_a_version_that_is_there_twice_is_told(signed):
    for part in (1, 2, 3):
        store = opened(signed[1])
        version_of(store).append(version_of(store)[part])
        assert not is_throughout(closed(store), True)


@pytest.mark.parametrize(
    "store", [b"", b"\0\0\0\x08jumb", b"\0\0\0\x01jumb" + bytes(20), b"\xff" * 99, bytes(8)]
)
def test_what_is_no_store_holds_no_promise(store):
    assert not is_signed_throughout(store, (), True)


@pytest.mark.parametrize("item", [b"\xd2\x84\x5f", b"\xd2\x84\x9b" + b"\xff" * 8, b"\xd2\x84"])
def test_a_signature_without_an_end_is_told(signed, item):
    store = opened(signed[1])
    signature_of(store)[1] = item
    assert not is_throughout(closed(store), True)
