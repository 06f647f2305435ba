"""Verifies a file: what its signature and its marks say of how it was made, in plain words."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from simswap.credential_reading import Credentials, read_credentials
from simswap.errors import MediaError, SigningError
from simswap.mark_search import MarkReader, PixelMark, find_mark
from simswap.provenance import Mark, printable, read_mark
from simswap.signer import Signer, find_signer
from simswap.video_guard import VERIFY_LIMITS, VideoLimits
from simswap.video_mark import read_video_mark

# C2PA's codes of what does not hold, by their ends.
_FAILURES = {
    "dataHash.mismatch": "the {kind} was changed after it was signed, or it is cut off",
    "bmffHash.mismatch": "the {kind} was changed after it was signed, or it is cut off",
    "hashedURI.mismatch": "the credentials themselves were changed",
    "claimSignature.mismatch": "the credentials themselves were changed",
    "signingCredential.expired": "the certificate had expired when it signed",
    "signingCredential.invalid": "the certificate is not made for this",
    "signingCredential.revoked": "the certificate was revoked",
}
_STANDINGS = {
    "own": "which is this installation's own certificate",
    "trusted": "whom the operator of this installation trusts",
    "unknown": "an unknown signer: anybody could have made a certificate of this name",
}


@dataclass(frozen=True)
class Report:
    """What is known of a file.

    kind: "photo" or "video". credentials: signed statement, None if there is none. mark: plain
    metadata. damage: why something could not be looked for, None if all could. pixel_mark: what the
    pixels say, None if they were not looked at.
    """

    kind: str
    credentials: Credentials | None
    mark: Mark | None
    damage: str | None = None
    pixel_mark: PixelMark | None = None

    @property
    def verdict(self) -> str:
        """One of altered, marked (as synthetic), signed (and not said to be that), unmarked."""
        if self.credentials is not None and not self.credentials.is_intact:
            return "altered"
        if self.is_marked:
            return "marked"
        return "unmarked" if self.credentials is None else "signed"

    @property
    def is_marked(self) -> bool:
        """Whether anything in the file says that it is synthetic, wholly or in part."""
        is_signed_so = self.credentials is not None and self.credentials.is_synthetic
        is_in_pixels = self.pixel_mark is not None and self.pixel_mark.is_found
        return is_signed_so or self.mark is not None or is_in_pixels

    def as_json(self) -> dict[str, object]:
        """For other programs: the fields, the verdict, and the words for people."""
        words = {"verdict": self.verdict, "headline": headline(self), "details": details(self)}
        return words | asdict(self)


def verify(path: str | os.PathLike[str], limits: VideoLimits = VERIFY_LIMITS) -> Report:
    """Look for Content Credentials and marks in a photo (PNG, JPEG, WebP) or a video.

    Raises MediaError for a file that is neither or cannot be opened, SigningError where the
    operator's trusted certificates cannot be read.
    """
    path = Path(path)
    mark, kind = _mark_of(path, limits)
    try:
        return Report(kind, read_credentials(path, _own_signer()), mark)
    except MediaError as error:
        return Report(kind, None, mark, str(error))


def look_for_pixel_mark(
    report: Report,
    path: str | os.PathLike[str],
    reader: MarkReader,
    models: Iterable[str] = (),
    limits: VideoLimits = VERIFY_LIMITS,
) -> Report:
    """The report, with what the pixels of the file say; see mark_search. Needs the networks.

    models: names that a mark may also tell, beside the reader's own and those that the file says.
    """
    told = (report.credentials, report.mark)
    names = [*models, *(found.model for found in told if found is not None and found.model)]
    try:
        return replace(report, pixel_mark=find_mark(Path(path), report.kind, reader, names, limits))
    except MediaError as error:
        return replace(report, damage=report.damage or str(error))


def headline(report: Report) -> str:
    """The verdict in a sentence or two."""
    kind = report.kind
    if report.verdict == "altered":
        says = " It still says that a trained model changed or made it." if report.is_marked else ""
        return f"Changed after signing: the Content Credentials of this {kind} do not hold.{says}"
    if report.verdict == "marked":
        return f"Marked as synthetic: a trained model changed or made this {kind}."
    if report.verdict == "signed":
        return (
            f"Signed, and not marked as synthetic: the Content Credentials of this {kind} do not "
            "speak of a trained model."
        )
    return (
        f"No mark found. That does not prove the {kind} is real: marks get lost when a {kind} is "
        "edited or shared, and not every program writes one."
    )


def details(report: Report) -> list[str]:
    """What is known, one thing a sentence."""
    return [*_about_credentials(report), *_about_mark(report), *_about_pixels(report)]


def _about_credentials(report: Report) -> Iterator[str]:
    found = report.credentials
    if report.damage is not None:
        yield report.damage
    if found is None:
        if report.damage is None:
            yield "Content Credentials: none."
        return
    if found.is_intact:
        yield f"Content Credentials: intact, the {report.kind} is as it was when it was signed."
    else:
        reasons = dict.fromkeys(_in_words(code, report.kind) for code in found.failures)
        yield f"Content Credentials: broken, {'; '.join(reasons)}. What they say proves nothing."
    signer = found.signer or "somebody unnamed"
    if found.is_intact:
        yield f"Signed by {signer}, {_STANDINGS[found.standing]}."
    else:
        yield f"They name {signer} as their signer."
    if found.attested_time:
        yield f"Signed on {_date(found.attested_time)}, as a timestamp server attests."
    elif found.claimed_time:
        yield f"Made on {_date(found.claimed_time)}, as the signer says."
    if found.software:
        yield f"Made with {found.software}{_model(found.model)}."
    if found.source_types:
        yield f"Digital source type (IPTC): {', '.join(dict.fromkeys(found.source_types))}."
    if found.num_earlier:
        versions = "an earlier version" if found.num_earlier == 1 else "earlier versions"
        yield f"Credentials of {versions} are kept in them."


def _about_mark(report: Report) -> Iterator[str]:
    if report.mark is None:
        yield "Mark in the metadata: none."
        return
    by = f" by {report.mark.software}" if report.mark.software else ""
    term = report.mark.digital_source_type.rsplit("/", 1)[-1]
    yield (
        f"Mark in the metadata{by}{_model(report.mark.model)}: {term} (IPTC). Anyone can write or "
        "remove it: a statement, not a proof."
    )


def _about_pixels(report: Report) -> Iterator[str]:
    found = report.pixel_mark
    if found is None:
        return
    count = len(found.seconds)
    frames = f" of {count} frames looked at" if report.kind == "video" else ""
    if not found.is_found:
        none = f"none found in any{frames}" if frames else "none found"
        yield (
            f"Invisible mark: {none}. Only faces that this program swapped carry one, and small "
            "faces and strong changes lose it."
        )
        return
    where = f" in {sum(found.is_marked)}{frames}" if frames else ""
    model = found.model or f"an unknown model, number {found.model_id}"
    yield (
        f"Invisible mark: found{where}, of {model}. Faces without one read so by chance "
        f"{found.odds}."
    )


def _model(name: str | None) -> str:
    return f" with the model {name}" if name else ""


def _date(time: str) -> str:
    """A time of ISO 8601 as people write it; anything else as it is."""
    try:
        moment = datetime.datetime.fromisoformat(time).astimezone(datetime.UTC)
    except ValueError:
        return time
    return f"{moment:%Y-%m-%d, %H:%M} UTC"


def _in_words(code: str, kind: str) -> str:
    found = (words for end, words in _FAILURES.items() if code.endswith(end))
    return next(found, f"C2PA's check says {code}").format(kind=kind)


def _mark_of(path: Path, limits: VideoLimits) -> tuple[Mark | None, str]:
    """The mark of a photo or a video, and which of the two it is."""
    try:
        return read_mark(path), "photo"
    except MediaError as error:
        if not path.is_file():
            raise
        try:
            return read_video_mark(path, limits), "video"
        except MediaError:
            raise MediaError(
                f"{printable(path.name)} is neither a PNG, JPEG or WebP photo nor a video that can "
                "be read, or it is damaged."
            ) from error


def _own_signer() -> Signer | None:
    try:
        return find_signer()
    except SigningError:
        return None
