"""What the watermark says, as symbols: the kind of synthesis, the model's id, a checksum.

60 bits make 10 symbols of 6: 2 bits for the kind, 32 for the model's id, 26 of a checksum.
"""

from __future__ import annotations

import hashlib
import zlib

import numpy as np

NUM_SYMBOLS = 10
BITS_PER_SYMBOL = 6
NUM_VALUES = 1 << BITS_PER_SYMBOL
SYNTHETIC_FACE = 1  # the kind: this face was made by a model; other kinds are not defined yet
CHECK_BITS = 26
# Bits that must come out right by chance before noise reads as a watermark: checksum and kind.
REDUNDANT_BITS = CHECK_BITS + 2


def watermark_id(bundle_name: str) -> int:
    """The 32-bit id of a model bundle: the first 4 bytes, big-endian, of SHA-256 of its name.

    The name, because a credential that travels with the file tells it too, and whoever has it can
    compare without the weights.
    """
    return int.from_bytes(hashlib.sha256(bundle_name.encode()).digest()[:4], "big")


def symbols_of(bundle_id: int) -> np.ndarray:
    """The [10] int64 symbols, 0 to 63, of a watermark.

    Raises ValueError if the id has over 32 bits.
    """
    if not 0 <= bundle_id < 1 << 32:
        raise ValueError(f"bundle_id={bundle_id} is not a number of 32 bits")
    bits = (SYNTHETIC_FACE << 32 | bundle_id) << CHECK_BITS | _checksum(bundle_id)
    shifts = BITS_PER_SYMBOL * np.arange(NUM_SYMBOLS)[::-1]
    return np.array([bits >> int(shift) & (NUM_VALUES - 1) for shift in shifts])


def bundle_id_of(symbols: np.ndarray) -> int | None:
    """The id that [10] symbols carry; None if kind or checksum are wrong."""
    bits = 0
    for symbol in symbols:
        bits = bits << BITS_PER_SYMBOL | int(symbol)
    bundle_id = bits >> CHECK_BITS & 0xFFFFFFFF
    is_whole = bits & ((1 << CHECK_BITS) - 1) == _checksum(bundle_id)
    return bundle_id if is_whole and bits >> (32 + CHECK_BITS) == SYNTHETIC_FACE else None


def _checksum(bundle_id: int) -> int:
    return zlib.crc32(b"simswap mark 1" + bundle_id.to_bytes(4, "big")) & ((1 << CHECK_BITS) - 1)
