"""Reads Content Credentials (C2PA), ours or another program's, and tells whether they hold."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from simswap.errors import MediaError, SigningError
from simswap.provenance import SYNTHETIC_TERMS, printable
from simswap.signer import Signer

if TYPE_CHECKING:
    import c2pa

TRUST = "SIMSWAP_TRUST_ANCHORS"  # names a PEM file of certificates whose signers are known here
MODEL_PARAMETER = "simswap.model"  # of our action, beside the parameters that C2PA defines
UNKNOWN_TYPE = "application/octet-stream"
# Thumbnails would show the target; nothing in a file may make us ask other servers.
SETTINGS = {
    "builder": {"thumbnail": {"enabled": False}},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}
_OF_SAME_MANIFEST, _OF_ANY = "self#jumbf=c2pa.", "self#jumbf=/c2pa/"  # beginnings of addresses
UNTRUSTED = "signingCredential.untrusted"
_SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
}
_FORMS = {b"WEBP": "image/webp", b"AVI ": "video/avi"}  # of RIFF files


@dataclass(frozen=True)
class Credentials:
    """What a file's Content Credentials say; texts are made safe to print, None where not told.

    failures: C2PA's codes of what does not hold, such as "assertion.dataHash.mismatch"; none if the
        file is as it was signed.
    signer: the name in the certificate. standing: "trusted" (by an anchor of the operator), "own"
        (this machine's signer) or "unknown". is_self_made: by some installation of this program.
    attested_time: from a timestamp server; claimed_time: the signer's own word.
    source_types: IPTC terms of what was done. num_earlier: credentials of earlier versions in it.
    """

    failures: tuple[str, ...]
    signer: str | None
    standing: str
    attested_time: str | None
    claimed_time: str | None
    software: str | None
    model: str | None
    source_types: tuple[str, ...]
    num_earlier: int

    @property
    def is_intact(self) -> bool:
        """Whether neither the picture nor the credentials were changed after signing."""
        return not self.failures

    @property
    def is_synthetic(self) -> bool:
        """Whether they say that the picture is synthetic, wholly or in part."""
        return any(term in SYNTHETIC_TERMS for term in self.source_types)


def read_credentials(path: Path, own: Signer | None = None) -> Credentials | None:
    """The Content Credentials in a file; None if it has none, or its kind can have none.

    own: this machine's signer, so that its work is recognised.
    Raises MediaError for a file whose credentials, if any, cannot be got at: it is damaged.
    """
    with path.open("rb") as stream:
        if media_type_of(stream.read(12)) == UNKNOWN_TYPE:
            return None
        with _reader(stream, _context_trusting(_trusted_here())) as reader:
            if reader is None:
                return None
            store = json.loads(reader.json())
        standing = "trusted" if store.get("validation_state") == "Trusted" else "unknown"
        if standing == "unknown" and own is not None and _is_by(own, stream, store):
            standing = "own"
    return _credentials(store, standing)


def media_type_of(head: bytes) -> str:
    """What a file is, by its first 12 bytes: a type that C2PA knows, or UNKNOWN_TYPE."""
    if head[4:8] == b"ftyp":
        return "video/quicktime" if head[8:12] == b"qt  " else "video/mp4"
    if head.startswith(b"RIFF"):
        return _FORMS.get(head[8:12], UNKNOWN_TYPE)
    found = (kind for start, kind in _SIGNATURES.items() if head.startswith(start))
    return next(found, UNKNOWN_TYPE)


def thumbnails_in(stream: BinaryIO) -> list[str]:
    """Addresses of the thumbnails in a file's credentials, of earlier versions' too.

    Raises MediaError if they cannot be read.
    """
    with _reader(stream, context()) as reader:
        if reader is None:
            return []
        manifests = json.loads(reader.json())["manifests"].items()
    addresses = {
        holder["thumbnail"]["identifier"].replace(_OF_SAME_MANIFEST, f"{_OF_ANY}{label}/c2pa.")
        for label, manifest in manifests
        for holder in (manifest, *manifest.get("ingredients", ()))
        if "thumbnail" in holder
    }
    return sorted(address for address in addresses if address.startswith(_OF_ANY))


@cache
def context() -> c2pa.Context:
    """How files are signed, and read without asking whom to trust."""
    import c2pa

    return c2pa.Context.from_dict(SETTINGS)


@contextmanager
def _reader(stream: BinaryIO, settings: c2pa.Context) -> Iterator[c2pa.Reader | None]:
    import c2pa

    stream.seek(0)
    try:
        # No media type: the library finds it, even where a file's name lies.
        reader = c2pa.Reader.try_create(None, stream, context=settings)
        if reader is None:
            yield None
            return
        with reader:
            yield reader
    except (c2pa.C2paError, KeyError, ValueError) as error:
        raise MediaError(
            "The file is damaged or cut off: Content Credentials in it, if any, cannot be read."
        ) from error


def _trusted_here() -> str:
    """PEM of the operator's trust anchors. Raises SigningError if they cannot be read."""
    path = os.environ.get(TRUST)
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise SigningError(f"{TRUST} does not name a PEM file that can be read.") from error


def _context_trusting(anchors: str) -> c2pa.Context:
    import c2pa

    if not anchors:
        return context()
    try:
        return c2pa.Context.from_dict(SETTINGS | {"trust": {"trust_anchors": anchors}})
    except c2pa.C2paError as error:
        raise SigningError("The trusted certificates cannot be read. Give them as PEM.") from error


def _is_by(signer: Signer, stream: BinaryIO, store: Mapping[str, Any]) -> bool:
    """Whether a signer's certificate made the signature: its number alone could be copied."""
    active = store["manifests"][store["active_manifest"]]
    number = active.get("signature_info", {}).get("cert_serial_number")
    if number != str(signer.serial_number):
        return False
    with _reader(stream, _context_trusting(signer.certificates)) as reader:
        return reader is not None and reader.get_validation_state() == "Trusted"


def _credentials(store: Mapping[str, Any], standing: str) -> Credentials:
    active = store["manifests"][store["active_manifest"]]
    results = store.get("validation_results", {}).get("activeManifest", {})
    codes = [item["code"] for item in results.get("failure", ())]
    signature = active.get("signature_info", {})
    actions = [
        action
        for assertion in active.get("assertions", ())
        if assertion["label"].startswith("c2pa.actions")
        for action in assertion["data"].get("actions", ())
    ]
    terms = [str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1] for action in actions]
    models = (action.get("parameters", {}).get(MODEL_PARAMETER) for action in actions)
    return Credentials(
        failures=tuple(code for code in codes if code != UNTRUSTED),
        signer=_text(signature.get("common_name") or signature.get("issuer")),
        standing=standing,
        attested_time=_text(signature.get("time")),
        claimed_time=_text(next((a["when"] for a in actions if a.get("when")), None)),
        software=_software(active),
        model=_text(next((model for model in models if model), None)),
        source_types=tuple(printable(term) for term in terms if term),
        num_earlier=len(store["manifests"]) - 1,
    )


def _software(manifest: Mapping[str, Any]) -> str | None:
    found = manifest.get("claim_generator_info") or [{}]
    named = " ".join(str(found[0][key]) for key in ("name", "version") if found[0].get(key))
    return _text(named or manifest.get("claim_generator"))


def _text(value: object) -> str | None:
    return printable(str(value)) if value else None
