"""Reads Content Credentials (C2PA), ours or another program's, and tells whether they hold.

A hash leaves parts of a file out, and whoever writes a file before it is signed can make decoders
read pictures from there. SimSwap writes all that it signs. So credentials are believed that it made
itself, and those of others are a stranger's word, though C2PA's check finds no fault in them.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from simswap.errors import MediaError, SigningError
from simswap.files import printable
from simswap.provenance.boxes import have_room, is_made_of_boxes
from simswap.provenance.manifests import actions_in, as_dict, dicts, software_of, text_of
from simswap.provenance.metadata import SYNTHETIC_TERMS
from simswap.provenance.parts import are_credentials, left_out_by
from simswap.provenance.search import UNKNOWN_TYPE, holds_credentials, media_type_of
from simswap.provenance.signer import Signer

if TYPE_CHECKING:
    import c2pa

MAX_ANCHOR_BYTES = 4_000_000  # the whole web's certificate authorities take 0.2 MB
TRUST = "SIMSWAP_TRUST_ANCHORS"  # names a PEM file of certificates whose signers are known here
MODEL_PARAMETER = "simswap.model"  # of our action, beside the parameters that C2PA defines
LEFT_OUT_PARAMETER = "simswap.target_credentials"  # likewise, if the target had some
# Thumbnails would show the target; nothing in a file may make us ask other servers. Identities
# (CAWG) are looked up at an address that the file names, so they are not looked up at all.
SETTINGS: dict[str, dict[str, Any]] = {
    "builder": {"thumbnail": {"enabled": False}},
    "core": {"decode_identity_assertions": False, "allowed_network_hosts": []},
    "verify": {"verify_after_sign": False, "remote_manifest_fetch": False, "ocsp_fetch": False},
}
UNTRUSTED = "signingCredential.untrusted"
EXPIRED = "signingCredential.expired"  # C2PA's code also for a certificate whose time is to come
NOT_YET_VALID = "signingCredential.notYetValid"  # our code for that
SOFTWARE = "SimSwap"  # as our credentials name what made them
# Our own codes: the hash leaves out more than credentials; it is not our work, for all we know.
LEFT_OUT, NOT_OURS = "simswap.partsLeftOut", "simswap.notOurs"
_SIGNED = "claimSignature.validated"
_HASHES = ("dataHash", "bmffHash", "boxesHash")  # that bind credentials to pixels, by file format
# Ends of the codes that tell of a change, and of nothing else. All others mean "cannot be checked".
CHANGED = tuple(f"{kind}.mismatch" for kind in (*_HASHES, "hashedURI", "claimSignature"))
_ELSEWHERE = (
    "Remote: "  # how C2PA's error begins where a file has an address instead of credentials
)
_UNREADABLE = (
    "The file is damaged, cut off or oddly made: Content Credentials in it, if any, cannot be read."
)


@dataclass(frozen=True)
class Credentials:
    """What a file's Content Credentials say; texts are made safe to print, None where not told.

    failures: codes of what does not hold, such as "assertion.dataHash.mismatch".
    is_matched: whether the signature and the pixels' hash were checked and fit.
    validity: the days between which the certificate is valid, where that is what does not hold.
    signer: the name in the certificate. standing: "trusted" (by an anchor of the operator), "own"
        (this machine's signer) or "unknown".
    attested_time: from a timestamp server that the operator trusts; unknown_time: from another;
        claimed_time: the signer's own word.
    source_types: IPTC terms of what was done, also to the num_earlier versions that are kept in it.
    is_target_left_out: whether they say that the target had some, which are not kept.
    names_identity: whether they name somebody's identity (CAWG), which is never looked up.
    """

    failures: tuple[str, ...]
    is_matched: bool
    validity: tuple[str, str] | None
    signer: str | None
    standing: str
    attested_time: str | None
    unknown_time: str | None
    claimed_time: str | None
    software: str | None
    model: str | None
    source_types: tuple[str, ...]
    num_earlier: int
    is_target_left_out: bool
    names_identity: bool

    @property
    def is_intact(self) -> bool:
        """Whether the file is seen to be as SimSwap signed it, by a signer who is known here."""
        return self.is_matched and not self.failures

    @property
    def is_changed(self) -> bool:
        """Whether the picture or the credentials are seen to have been changed after signing."""
        return any(code.endswith(CHANGED) for code in self.failures)

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
        is_known = media_type_of(stream.read(12)) != UNKNOWN_TYPE
        reading = _reader(stream, context(_trusted_here())) if is_known else nullcontext()
        with reading as reader:
            if reader is None:
                if holds_credentials(stream):
                    raise MediaError(_UNREADABLE)
                return None
            store = json.loads(reader.json())
            if store["active_manifest"] not in store["manifests"]:
                raise ValueError("the library gives nothing of what it could not decode")
            active = _active(reader)
            validity = _validity(active) if EXPIRED in _codes(store, "failure") else None
        standing = "trusted" if store.get("validation_state") == "Trusted" else "unknown"
        if standing == "unknown" and own is not None and _is_by(own, stream, store):
            standing = "own"
        doubt = _doubt_of(stream, store, active, standing)
        if standing == "own" and own.timestamp_url is None and _has_stamp(store):
            doubt = LEFT_OUT  # a signature does not cover what attests its time
    return _credentials(store, standing, validity, doubt)


def _doubt_of(
    stream: BinaryIO, store: Mapping[str, Any], active: Mapping[str, Any], standing: str
) -> str | None:
    """Why the file may show something else than what was signed, in a code of ours."""
    info = dicts(store["manifests"][store["active_manifest"]].get("claim_generator_info"))
    is_ours = bool(info) and info[0].get("name") == SOFTWARE and len(store["manifests"]) == 1
    if standing == "unknown" or not is_ours:
        return NOT_OURS
    left_out = left_out_by(active)
    if is_made_of_boxes(stream):
        has_room = bool(left_out) or have_room(stream)
    else:
        has_room = not are_credentials(stream, left_out)
    return LEFT_OUT if has_room else None


@lru_cache(maxsize=8)
def context(anchors: str = "") -> c2pa.Context:
    """How files are read and signed: the only place that makes one, so that none asks a server.

    anchors: PEM of the certificates to trust.
    Raises SigningError if the certificates cannot be read.
    """
    import c2pa

    trust = {
        "trust_anchors": anchors,
        "allowed_list": anchors,
    }  # authorities, and signers themselves
    settings = SETTINGS | ({"trust": trust} if anchors else {})
    try:
        return c2pa.Context.from_dict(settings)
    except c2pa.C2paError as error:
        raise SigningError("The trusted certificates cannot be read. Give them as PEM.") from error


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
        if str(error).startswith(_ELSEWHERE):
            raise MediaError(
                "Content Credentials: the file names a server that has them. It is not asked: no "
                "address in a file is opened."
            ) from error
        raise MediaError(_UNREADABLE) from error


def _trusted_here() -> str:
    """PEM of the operator's trust anchors. Raises SigningError if they cannot be read."""
    path = os.environ.get(TRUST)
    if not path:
        return ""
    try:
        is_modest = Path(path).is_file() and Path(path).stat().st_size <= MAX_ANCHOR_BYTES
        if is_modest:  # neither a device nor a pipe, which would never end
            return Path(path).read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        raise SigningError(f"{TRUST} does not name a PEM file that can be read.") from error
    raise SigningError(f"{TRUST} does not name a PEM file of at most {MAX_ANCHOR_BYTES} bytes.")


def _is_by(signer: Signer, stream: BinaryIO, store: Mapping[str, Any]) -> bool:
    """Whether a signer's certificate made the signature: its number alone could be copied."""
    active = store["manifests"][store["active_manifest"]]
    number = active.get("signature_info", {}).get("cert_serial_number")
    if number != str(signer.serial_number):
        return False
    with _reader(stream, context(signer.certificates)) as reader:
        return reader is not None and reader.get_validation_state() == "Trusted"


def _active(reader: c2pa.Reader) -> Mapping[str, Any]:
    """The manifest that counts, with all that it holds."""
    label = json.loads(reader.json()).get("active_manifest")
    manifests = dicts(json.loads(reader.crjson()).get("manifests"))
    return next((found for found in manifests if found.get("label") == label), {})


def _validity(active: Mapping[str, Any]) -> tuple[str, str] | None:
    """From when until when a manifest's certificate is valid, as ISO 8601."""
    certificate = as_dict(as_dict(active.get("signature")).get("certificateInfo"))
    found = as_dict(certificate.get("validity"))
    days = tuple(str(found.get(end, "")) for end in ("notBefore", "notAfter"))
    try:
        for day in days:
            datetime.datetime.fromisoformat(day)
    except ValueError:
        return None
    return days


def _codes(store: Mapping[str, Any], kind: str) -> list[str]:
    """C2PA's codes of what was found: "success", "informational" or "failure"."""
    results = store.get("validation_results", {}).get("activeManifest", {})
    return [str(item["code"]) for item in results.get(kind, ())]


def _failures(store: Mapping[str, Any], validity: tuple[str, str] | None) -> tuple[str, ...]:
    now = datetime.datetime.now(datetime.UTC)
    is_early = validity is not None and datetime.datetime.fromisoformat(validity[0]) > now
    codes = (code for code in _codes(store, "failure") if code != UNTRUSTED)
    return tuple(NOT_YET_VALID if is_early and code == EXPIRED else code for code in codes)


def _credentials(
    store: Mapping[str, Any], standing: str, validity: tuple[str, str] | None, doubt: str | None
) -> Credentials:
    active = store["manifests"][store["active_manifest"]]
    good, failures = _codes(store, "success"), _failures(store, validity)
    if doubt is not None and not failures:
        failures = (doubt,)
    signature, assertions = active.get("signature_info", {}), active.get("assertions", ())
    actions = actions_in(active)
    # What an earlier version says holds for all that was made of it.
    earlier = [each for each in store["manifests"].values() if each is not active]
    everything = [*actions, *chain.from_iterable(map(actions_in, earlier))]
    terms = [str(action.get("digitalSourceType", "")).rsplit("/", 1)[-1] for action in everything]
    parameters = [as_dict(action.get("parameters")) for action in actions]
    models = (given.get(MODEL_PARAMETER) for given in parameters)
    attested_time, unknown_time = _times(store, signature)
    return Credentials(
        failures=failures,
        is_matched=_SIGNED in good and any(f"assertion.{kind}.match" in good for kind in _HASHES),
        validity=validity,
        signer=text_of(signature.get("common_name") or signature.get("issuer")),
        standing=standing,
        attested_time=attested_time,
        unknown_time=unknown_time,
        claimed_time=text_of(next((a["when"] for a in actions if a.get("when")), None)),
        software=software_of(active),
        model=text_of(next((model for model in models if model), None)),
        source_types=tuple(printable(term) for term in terms if term),
        num_earlier=len(earlier),
        is_target_left_out=any(LEFT_OUT_PARAMETER in given for given in parameters),
        names_identity=any(held["label"].startswith("cawg.identity") for held in assertions),
    )


def _has_stamp(store: Mapping[str, Any]) -> bool:
    codes = (
        code for kind in ("success", "informational", "failure") for code in _codes(store, kind)
    )
    return any(code.startswith("timeStamp.") for code in codes)


def _times(store: Mapping[str, Any], signature: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """When it was signed, as a trusted timestamp server says, and as any other says."""
    time = text_of(signature.get("time"))
    doubts = [*_codes(store, "informational"), *_codes(store, "failure")]
    doubts = {code for code in doubts if code.startswith("timeStamp.")}
    if not doubts and "timeStamp.trusted" in _codes(store, "success"):
        return time, None
    return None, time if doubts <= {"timeStamp.untrusted"} else None
