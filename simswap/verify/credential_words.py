"""What Content Credentials say, in plain words.

What a file says of itself stands in quotation marks; the sentences are ours.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator

from simswap.provenance.credentials import (
    CHANGED,
    EXPIRED,
    LEFT_OUT,
    NOT_OURS,
    NOT_YET_VALID,
    Credentials,
)
from simswap.provenance.metadata import quoted

# C2PA's codes of what does not hold, or their ends; {start} and {end} are days.
_CHANGES = {
    "dataHash.mismatch": "the {kind} was changed after it was signed, or it is cut off",
    "bmffHash.mismatch": "the {kind} was changed after it was signed, or it is cut off",
    "boxesHash.mismatch": "the {kind} was changed after it was signed, or it is cut off",
    "hashedURI.mismatch": "the credentials themselves were changed",
    "claimSignature.mismatch": "the credentials themselves were changed",
}
_DOUBTS = {
    EXPIRED: (
        "the certificate expired on {end}, and nobody known here attests that it signed before"
    ),
    NOT_YET_VALID: "the certificate is valid only from {start} on, by this machine's clock",
    "signingCredential.invalid": "the certificate is not made for this",
    "signingCredential.ocsp.revoked": "the certificate was revoked",
    "signingCredential.revoked": "the certificate was revoked",
    LEFT_OUT: "their signature leaves parts of the file out, which may have been changed",
    NOT_OURS: (
        "only SimSwap's own can be, signed here or with a certificate that is trusted here (C2PA's "
        "check finds no fault in these)"
    ),
    "manifest.inaccessible": "a part of them lies on a server, which is not asked",
}
_IDENTITY = "cawg."  # beginning of the codes about a person's identity
_STANDINGS = {
    "own": "which is this installation's own certificate",
    "trusted": "whom the operator of this installation trusts",
}


def about_credentials(found: Credentials, kind: str) -> Iterator[str]:
    """What the credentials of a "photo" or "video" say, one thing a sentence."""
    yield _about_integrity(found, kind)
    signer = quoted(found.signer) if found.signer else "somebody unnamed"
    if found.is_intact:
        yield f"Signed by {signer}, {_STANDINGS[found.standing]}."
    else:
        trusted = f", {_STANDINGS['trusted']}" if found.standing == "trusted" else ""
        yield f"They name {signer} as their signer{trusted}."
    if found.attested_time:
        yield (
            f"Signed on {_date(found.attested_time)} at the latest, as a timestamp server attests."
        )
    elif found.unknown_time:
        yield (
            f"Signed on {_date(found.unknown_time)} at the latest, as a timestamp server that "
            "nobody here knows says."
        )
    if found.claimed_time:
        yield f"Made on {_date(found.claimed_time)}, as the signer says."
    if found.software:
        yield f"Made with {quoted(found.software)}{with_model(found.model)}, as they say."
    if found.source_types:
        types = ", ".join(quoted(term) for term in dict.fromkeys(found.source_types))
        yield f"Digital source type (IPTC): {types}."
    if found.names_identity:
        yield "They name somebody's identity (CAWG), which is not looked up: no address is opened."
    if found.is_target_left_out:
        yield "What it was made of had Content Credentials too; they say that these are left out."
    if found.num_earlier:
        versions = "an earlier version" if found.num_earlier == 1 else "earlier versions"
        yield f"Credentials of {versions} are kept in them."


def _about_integrity(found: Credentials, kind: str) -> str:
    if found.is_intact:
        return f"Content Credentials: intact, the {kind} is as it was when it was signed."
    if found.is_changed:
        codes = (code for code in found.failures if code.endswith(CHANGED))
        reasons = dict.fromkeys(_change(code).format(kind=kind) for code in codes)
        return f"Content Credentials: broken, {'; '.join(reasons)}. What they say proves nothing."
    start, end = map(_day, found.validity or ("", ""))
    reasons = dict.fromkeys(
        _doubt(code).format(start=start, end=end) for code in found.failures
    ) or {"no hash of the pixels and no signature could be found": None}
    return f"Content Credentials: they cannot be checked: {'; '.join(reasons)}."


def _change(code: str) -> str:
    return next(words for end, words in _CHANGES.items() if code.endswith(end))


def _doubt(code: str) -> str:
    if code.startswith(_IDENTITY):
        return "an identity that they name cannot be found out"
    plain = re.sub(r"[^\w.]", "", code, flags=re.ASCII)[:60]
    return _DOUBTS.get(code, f"C2PA's check says {plain}")


def with_model(name: str | None) -> str:
    """Of a model that a file names, if it does."""
    return f" with the model {quoted(name)}" if name else ""


def _date(time: str) -> str:
    """A time of ISO 8601 as people write it; anything else in quotation marks."""
    try:
        moment = datetime.datetime.fromisoformat(time).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return quoted(time)
    return f"{moment:%Y-%m-%d, %H:%M} UTC"


def _day(time: str) -> str:
    """The day of a time of ISO 8601."""
    return time[:10] or "an unknown day"
