"""Certificates of other people, made on the spot, and what they sign."""

from __future__ import annotations

import datetime
import io
import json
from dataclasses import dataclass
from pathlib import Path

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
CAPTURE = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"


@dataclass(frozen=True)
class Certified:
    """A certificate chain and a key, as PEM."""

    certificate: str
    key: str


def make_certificate(
    name: str = "Example Camera",
    *,
    start: float = -1,  # days from now
    end: float = 30,
    purpose: x509.ObjectIdentifier = ExtendedKeyUsageOID.EMAIL_PROTECTION,
    key: object = None,
    is_authority: bool = False,
    issuer: Certified | None = None,
) -> Certified:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(oid, name) for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)]
    )
    signing_key, issuer_name = key, subject
    if issuer is not None:
        signing_key = form.load_pem_private_key(issuer.key.encode(), None)
        issuer_name = x509.load_pem_x509_certificate(issuer.certificate.encode()).subject
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder(issuer_name, subject, key.public_key(), 1000)
        .not_valid_before(now + start * DAY)
        .not_valid_after(now + end * DAY)
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(
            x509.KeyUsage(not is_authority, *[False] * 4, is_authority, *[False] * 3), True
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), False
        )
    )
    if not is_authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), False)
    algorithm = hashes.SHA256() if not hasattr(signing_key, "private_bytes_raw") else None
    pem = builder.sign(signing_key, algorithm).public_bytes(form.Encoding.PEM).decode()
    return Certified(pem + (issuer.certificate if issuer else ""), pem_of_key(key))


def pem_of_key(key: object, password: bytes | None = None) -> str:
    lock = form.BestAvailableEncryption(password) if password else form.NoEncryption()
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, lock).decode()


def sign_as_camera(path: Path, media_type: str, by: Certified, title: str = "holiday.jpg") -> None:
    """Sign a photo as a camera does: with a thumbnail and its title, and no word of a model."""
    manifest = {
        "title": title,
        "claim_generator_info": [{"name": "Example Camera", "version": "9"}],
        "assertions": [
            {
                "label": "c2pa.actions.v2",
                "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": CAPTURE}]},
            }
        ],
    }
    signed = io.BytesIO()
    c2pa.Builder(manifest).sign(_signer(by), media_type, io.BytesIO(path.read_bytes()), signed)
    path.write_bytes(signed.getvalue())


def example_signer() -> c2pa.Signer:
    return _signer(make_certificate("Example Camera"))


def _signer(by: Certified) -> c2pa.Signer:
    return c2pa.Signer.from_info(
        c2pa.C2paSignerInfo("es256", by.certificate.encode(), by.key.encode(), None)
    )


def store_of(path: Path) -> dict:
    """What c2pa's own reader, with its own settings, finds in a file."""
    with c2pa.Reader(str(path)) as reader:
        return json.loads(reader.json())


def active_manifest(store: dict) -> dict:
    return store["manifests"][store["active_manifest"]]


def actions_of(manifest: dict) -> list[dict]:
    return [
        action
        for assertion in manifest["assertions"]
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"]["actions"]
    ]


def failures_of(store: dict) -> list[str]:
    """Codes of what does not hold, less that the signer is not on a list of trusted ones."""
    failed = store["validation_results"]["activeManifest"]["failure"]
    return [item["code"] for item in failed if item["code"] != "signingCredential.untrusted"]


def change_a_pixel_byte(path: Path) -> None:
    """Flip a bit among the pixels of a photo or video, behind all that describes it."""
    starts = {".png": b"IDAT", ".jpg": b"\xff\xda", ".webp": b"VP8 ", ".mp4": b"mdat"}
    content = bytearray(path.read_bytes())
    content[content.rindex(starts[path.suffix]) + 200] ^= 1
    path.write_bytes(content)
