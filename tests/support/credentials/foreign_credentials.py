"""Credentials as strangers may make them: other days, other clocks, other people's names."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from pathlib import Path

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, utils
from PIL import Image

from tests.support.credentials.certificates import CAPTURE, Certified, make_certificate

UNCHECKED = {"verify": {"verify_after_sign": False}}  # c2pa would refuse some of it


def write_signed(
    path: Path,
    by: Certified | None = None,
    *,
    claims_to_be: Certified | None = None,
    assertions: tuple[dict, ...] = (),
    software: dict | None = None,
    action: str = "c2pa.created",
    source_type: str = CAPTURE,
    timestamp_url: str | None = None,
    avif: bytes | None = None,
) -> Path:
    """A PNG that somebody signed, or this AVIF.

    claims_to_be: another certificate of the same key and length that takes the place of `by`, with
    a signature that fits: c2pa itself would not sign with one that is not valid today.
    """
    by = by or make_certificate()
    actions = [{"action": action, "digitalSourceType": source_type}]
    manifest = {
        "claim_generator_info": [software or {"name": "Example Camera", "version": "9"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}, *assertions],
    }
    source, signed = io.BytesIO(avif), io.BytesIO()
    if avif is None:
        Image.effect_noise((64, 64), 60).convert("RGB").save(source, "PNG")
    old, new = _der(by), _der(claims_to_be or by)
    assert len(old) == len(new)

    def sign(data: bytes) -> bytes:
        key = form.load_pem_private_key(by.key.encode(), None)
        signature = key.sign(data.replace(old, new), ec.ECDSA(hashes.SHA256()))
        return b"".join(part.to_bytes(32, "big") for part in utils.decode_dss_signature(signature))

    signer = c2pa.Signer.from_callback(
        sign, c2pa.C2paSigningAlg.ES256, by.certificate, timestamp_url
    )
    context = c2pa.Context.from_dict(UNCHECKED)
    c2pa.Builder(manifest, context=context).sign(
        signer, "image/png" if avif is None else "image/avif", source, signed
    )
    content = bytearray(signed.getvalue().replace(old, new))
    path.write_bytes(with_checksums(content) if avif is None else content)
    return path


def write_dated(path: Path, start: float, end: float) -> Path:
    """A PNG signed with a certificate that is valid from `start` to `end`, in days from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    while True:  # until both serial and signature have the same length
        today = make_certificate(key=key)
        other = make_certificate(key=key, start=start, end=end)
        if len(_der(today)) == len(_der(other)):
            return write_signed(path, today, claims_to_be=other)


def identity_of(issuer: str) -> dict:
    """An assertion of somebody's identity (CAWG), whose issuer a reader is to look up."""
    binding = "self#jumbf=c2pa.assertions/c2pa.hash.data"
    kind, nothing = "cawg.identity_claims_aggregation", bytes(32)
    named = {
        "type": "cawg.social_media",
        "username": "reuters",
        "uri": "https://reuters.com",
        "verifiedAt": "2024-01-01T00:00:00Z",
        "provider": {"id": "https://reuters.com", "name": "Reuters"},
    }
    listed = [{"url": binding, "hash": base64.b64encode(nothing).decode()}]
    credential = {
        "@context": [
            "https://www.w3.org/ns/credentials/v2",
            "https://cawg.io/identity/1.1/ica/context/",
        ],
        "type": ["VerifiableCredential", "IdentityClaimsAggregationCredential"],
        "issuer": issuer,
        "validFrom": "2024-01-01T00:00:00Z",
        "credentialSubject": {
            "verifiedIdentities": [named],
            "c2paAsset": {"referenced_assertions": listed, "sig_type": kind},
        },
    }
    protected = _cbor({1: -8, 3: "application/vc"})
    signature = b"\xd2" + _cbor([protected, {}, json.dumps(credential).encode(), bytes(64)])
    payload = {
        "referenced_assertions": [{"url": binding, "hash": list(nothing)}],
        "sig_type": kind,
    }
    data = {"signer_payload": payload, "signature": list(signature), "pad1": [0] * 32}
    return {"label": "cawg.identity", "data": data}


def _cbor(value: object) -> bytes:
    """As much of CBOR (RFC 8949) as a signature needs."""
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, bytes):
        return _head(2, len(value)) + value
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(map(_cbor, value))
    pairs = (_cbor(key) + _cbor(item) for key, item in value.items())
    return _head(5, len(value)) + b"".join(pairs)


def _head(kind: int, number: int) -> bytes:
    if number < 24:
        return bytes([kind << 5 | number])
    size = 0 if number < 1 << 8 else 1 if number < 1 << 16 else 2
    return bytes([kind << 5 | 24 + size]) + struct.pack(">" + "BHI"[size], number)


def _der(certified: Certified) -> bytes:
    certificate = x509.load_pem_x509_certificate(certified.certificate.encode())
    return certificate.public_bytes(form.Encoding.DER)


def with_checksums(png: bytearray) -> bytes:
    """A PNG whose chunks were changed, with the checksums that fit."""
    place = 8
    while place < len(png):
        end = place + 8 + int.from_bytes(png[place : place + 4], "big")
        png[end : end + 4] = struct.pack(">I", zlib.crc32(png[place + 4 : end]))
        place = end + 4
    return bytes(png)
