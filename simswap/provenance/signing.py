"""Content Credentials (C2PA): a signed statement in a file of how it was made.

It says that a model changed the picture, by which software and model and when, and that a target
came before it. It holds nothing of the target itself: credentials that the target has may name
people and places, or hold the very picture that was changed, so they are left out, and it says so.
Anyone can remove it, but nobody can change it, or the picture, unnoticed.
"""

from __future__ import annotations

import datetime
import io
import uuid
from contextlib import nullcontext
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from simswap import __version__
from simswap.errors import SigningError
from simswap.files import printable, replaced
from simswap.provenance.credentials import (
    LEFT_OUT_PARAMETER,
    MODEL_PARAMETER,
    SOFTWARE,
    context,
)
from simswap.provenance.metadata import COMPOSITE_WITH_MODEL
from simswap.provenance.search import UNKNOWN_TYPE, holds_credentials, media_type_of
from simswap.provenance.signer import Signer, find_signer

if TYPE_CHECKING:
    import c2pa

MEDIA_TYPES = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".mp4": "video/mp4",
    ".mov": "video/quicktime",
    ".gif": "image/gif",
}
_SIGNED_VIDEOS = {MEDIA_TYPES[suffix] for suffix in (".mp4", ".mov", ".gif", ".webp")}


def sign_photo(
    encoded: bytes, suffix: str, model: str, target: Path | None
) -> tuple[bytes, tuple[str, ...]]:
    """Sign an encoded photo. Without a signer it comes back as it is, with a notice.

    target: the file that it was made from, if known; see `_has_credentials`.
    """
    signed = io.BytesIO()
    try:
        notices = sign(io.BytesIO(encoded), signed, MEDIA_TYPES[suffix], model, target)
    except SigningError as error:
        return encoded, (unsigned_notice(error),)
    return signed.getvalue(), notices


def sign_video(path: Path, model: str, target: Path | None) -> tuple[str, ...]:
    """Sign an MP4, MOV, GIF or WebP in its place; other kinds stay as they are.

    Returns notices, such as why there is no signer.

    Raises OSError if the disk is full.
    """
    with path.open("rb") as video:
        kind = media_type_of(video.read(12))
        if kind not in _SIGNED_VIDEOS:
            return ("WebM and MKV files cannot hold Content Credentials; an .mp4 would be signed.",)
    try:
        with replaced(path) as part, path.open("rb") as video, part.open("w+b") as signed:
            return sign(video, signed, kind, model, target)
    except SigningError as error:
        return (unsigned_notice(error),)


def unsigned_notice(error: SigningError) -> str:
    """What a person is told whose result is not signed."""
    return f"The result has no Content Credentials: {error}"


def sign(
    source: BinaryIO, signed: BinaryIO, media_type: str, model: str, target: Path | None
) -> tuple[str, ...]:
    """Write what `source` holds to `signed`, with credentials by this machine's signer.

    Returns notices. Raises SigningError if there is no signer, or it is refused.
    """
    signer = default_signer()
    signer.check_time()
    try:
        _sign(source, signed, media_type, model, target, signer, signer.timestamp_url)
        return ()
    except SigningError as error:
        if signer.timestamp_url is None:
            raise
        reason = error
    for stream in (source, signed):
        stream.seek(0)
    signed.truncate()
    _sign(source, signed, media_type, model, target, signer, None)
    return (f"The time of signing is not attested: the timestamp server failed. {reason}",)


@cache
def default_signer() -> Signer:
    """This process's signer, found once. Raises SigningError, which is not remembered.

    It is tried out, so that a certificate which is not made for this is told at once.
    """
    signer = find_signer()
    try_out(signer)
    return signer


def try_out(signer: Signer) -> None:
    """Sign a picture of one pixel. Raises SigningError if the certificate is not made for this."""
    from PIL import Image

    picture = io.BytesIO()
    Image.new("RGB", (1, 1)).save(picture, "PNG")
    try:
        _sign(picture, io.BytesIO(), "image/png", "", None, signer, None)
    except SigningError as error:
        raise SigningError(
            f"The signing certificate is not fit for Content Credentials. {error} It needs the key "
            "usage digitalSignature and the extended key usage e-mail protection or document "
            "signing."
        ) from error


def _sign(
    source: BinaryIO,
    signed: BinaryIO,
    media_type: str,
    model: str,
    target: Path | None,
    signer: Signer,
    timestamp_url: str | None,
) -> None:
    import c2pa

    # A fresh id: nothing of the target goes in, so it is an ingredient of unknown kind.
    ingredient = {"relationship": "parentOf", "instance_id": f"xmp.iid:{uuid.uuid4()}"}
    manifest = _manifest(model, _has_credentials(target))
    try:
        with c2pa.Builder(manifest, context=context()) as builder:
            builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
            builder.add_ingredient(ingredient, UNKNOWN_TYPE, io.BytesIO())
            builder.sign(_native(signer, timestamp_url), media_type, source, signed)
    except c2pa.C2paError as error:
        raise SigningError(f"Signing failed ({printable(str(error))}).") from error


def _has_credentials(target: Path | None) -> bool:
    """Whether the target has credentials, whatever they are worth, which are left out."""
    try:
        with target.open("rb") if target is not None else nullcontext() as stream:
            is_known = stream is not None and media_type_of(stream.read(12)) != UNKNOWN_TYPE
            return is_known and holds_credentials(stream)
    except OSError:  # deleted by now
        return False


def _manifest(model: str, is_target_left_out: bool) -> dict[str, object]:
    software = {"name": SOFTWARE, "version": __version__}
    now = datetime.datetime.now(datetime.UTC)
    parameters = {MODEL_PARAMETER: printable(model)}
    if is_target_left_out:
        parameters[LEFT_OUT_PARAMETER] = "left out, as they may tell of people and places"
    edited = {
        "action": "c2pa.edited",
        "when": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "digitalSourceType": COMPOSITE_WITH_MODEL,
        "softwareAgent": software,
        "description": "Faces were replaced by a trained model.",
        "parameters": parameters,
    }
    return {
        "claim_generator_info": [software],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [edited]}}],
    }


@lru_cache(maxsize=2)
def _native(signer: Signer, timestamp_url: str | None) -> c2pa.Signer:
    import c2pa

    info = (signer.algorithm, signer.certificates.encode(), signer.key.encode(), timestamp_url)
    try:
        return c2pa.Signer.from_info(c2pa.C2paSignerInfo(*info))
    except c2pa.C2paError as error:
        raise SigningError(f"The signing certificate is refused ({error}).") from error
