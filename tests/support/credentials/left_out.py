"""Photos whose signer left out of the hash what can therefore be changed, or added, afterwards."""

from __future__ import annotations

import ctypes
import hashlib
import io
import json
from pathlib import Path

import c2pa
import numpy as np
from c2pa.c2pa import _lib as library  # its Python part lets nobody choose what is left out
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, utils
from PIL import Image

from tests.support.credentials.certificates import CAPTURE, make_certificate

Bytes = ctypes.POINTER(ctypes.c_ubyte)
Made = ctypes.POINTER(Bytes)
PLACEHOLDER = library.c2pa_builder_data_hashed_placeholder
PLACEHOLDER.restype = ctypes.c_int64
PLACEHOLDER.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, Made]
EMBEDDABLE = library.c2pa_builder_sign_data_hashed_embeddable
EMBEDDABLE.restype = ctypes.c_int64
EMBEDDABLE.argtypes = [*[ctypes.c_void_p] * 2, *[ctypes.c_char_p] * 2, ctypes.c_void_p, Made]
UPDATE = library.c2pa_builder_update_hash_from_stream
UPDATE.restype = ctypes.c_int
UPDATE.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
BY_PARTS = library.c2pa_builder_sign_embeddable
BY_PARTS.restype = ctypes.c_int64
BY_PARTS.argtypes = [ctypes.c_void_p, ctypes.c_char_p, Made]
PLACE = 33  # behind a PNG's header
MANIFEST = {
    "claim_generator_info": [{"name": "Example Camera"}],
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": CAPTURE}]},
        }
    ],
}


def write_with_other_pixels(path: Path) -> Path:
    """Such a photo, with other pixels than those that it was signed with."""
    signed, other = _noise(1), _noise(2)
    begin, end = signed.index(b"IDAT") - 4, signed.index(b"IEND") - 4
    length = 0
    while len(made := _credentials(signed, begin, end, length)) != length:
        length = len(made)
    path.write_bytes(other[:PLACE] + made + other[PLACE:])
    return path


def write_with_another_behind(path: Path) -> Path:
    """Two photos, one behind the other; the signer of the first hashed it part by part."""
    photo, made = _noise(1), Bytes()
    settings = {"builder": {"prefer_box_hash": True, "thumbnail": {"enabled": False}}}
    context = c2pa.Context(c2pa.Settings.from_dict(settings), signer=example_signer())
    builder = c2pa.Builder(MANIFEST, context=context)
    stream = c2pa.Stream(io.BytesIO(photo))
    assert UPDATE(builder._handle, b"image/png", stream._stream) == 0
    size = BY_PARTS(builder._handle, b"image/png", ctypes.byref(made))
    path.write_bytes(photo[:PLACE] + ctypes.string_at(made, size) + photo[PLACE:] + _noise(2))
    return path


def example_signer() -> c2pa.Signer:
    by = make_certificate("Example Camera")
    key = form.load_pem_private_key(by.key.encode(), None)

    def sign(data: bytes) -> bytes:
        parts = utils.decode_dss_signature(key.sign(data, ec.ECDSA(hashes.SHA256())))
        return b"".join(part.to_bytes(32, "big") for part in parts)

    return c2pa.Signer.from_callback(sign, c2pa.C2paSigningAlg.ES256, by.certificate, None)


def _noise(seed: int) -> bytes:
    """A PNG, of the same length whatever the seed."""
    encoded = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(pixels).save(encoded, "PNG", compress_level=0)
    return encoded.getvalue()


def _credentials(photo: bytes, begin: int, end: int, length: int) -> bytes:
    """A chunk that binds to all of a photo but itself and the part from `begin` to `end`.

    length: its own, as it is thought to be.
    """
    signer = example_signer()
    builder = c2pa.Builder(MANIFEST)
    made = Bytes()
    PLACEHOLDER(builder._handle, 20_000, b"image/png", ctypes.byref(made))
    bound = {
        "exclusions": [
            {"start": PLACE, "length": length},
            {"start": begin + length, "length": end - begin},
        ],
        "name": "jumbf manifest",
        "alg": "sha256",
        "hash": list(hashlib.sha256(photo[:begin] + photo[end:]).digest()),
        "pad": [0] * 32,
    }
    size = EMBEDDABLE(
        builder._handle,
        signer._handle,
        json.dumps(bound).encode(),
        b"image/png",
        None,
        ctypes.byref(made),
    )
    return ctypes.string_at(made, size)
