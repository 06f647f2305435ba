"""Verifies a file: what its signature and its marks say of how it was made, in plain words."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from simswap.errors import CostlyVideoError, CrowdedError, MediaError
from simswap.files import printable
from simswap.media import allowance
from simswap.provenance.credentials import Credentials, read_credentials
from simswap.provenance.metadata import (
    HUMAN_TERMS,
    MetadataLabel,
    Told,
    quoted,
    read_told,
)
from simswap.provenance.search import UNKNOWN_TYPE, holds_credentials, media_type_of
from simswap.provenance.signer import known_signer
from simswap.trial_run import problem_of
from simswap.verify.credential_words import about_credentials, with_model
from simswap.verify.watermark import FoundWatermark, find_watermark, never
from simswap.video.metadata_label import read_video_label
from simswap.video.source.limits import VERIFY_LIMITS, VideoLimits, usual_memory

TRIAL = "simswap.verify.trial"  # reads the credentials first, in a process of its own
# Of processor time; an ordinary file takes 0.4, most of it to start. Where a file claims to be this
# machine's, what takes it so long is read twice more.
TRIAL_SECONDS = 2.5
_BYTES_PER_SECOND = 50_000_000  # more than that are hashed
_TRIAL_MEMORY = 250_000_000  # bytes; a signed PNG of 90 MB takes 124 million

if TYPE_CHECKING:  # it brings torch
    from simswap.swap.pipeline import Pipeline


@dataclass(frozen=True)
class Report:
    """What is known of a file.

    kind: "photo" or "video". credentials: signed statement, None if there is none. label: plain
    metadata. damage: why something could not be looked for, None if all could. watermark: what the
    pixels say, None if they were not looked at. human_claim: the IPTC term by which the metadata or
    the credentials say that people made it or a camera took it, None where they do not. is_unread:
    whether there are credentials in it that could not be read. is_long: whether it has more
    metadata than are read.
    """

    kind: str
    credentials: Credentials | None
    label: MetadataLabel | None
    damage: str | None = None
    watermark: FoundWatermark | None = None
    human_claim: str | None = None
    is_unread: bool = False
    is_long: bool = False

    @property
    def verdict(self) -> str:
        """One of altered, marked (as synthetic), unchecked, unmarked.

        altered: after signing. unchecked: it is not told if it was, or there is more in it.
        """
        if self.credentials is not None and self.credentials.is_changed:
            return "altered"
        if self.is_marked:
            return "marked"
        is_open = self.credentials is not None or self.is_unread or self.holds_more
        return "unchecked" if is_open else "unmarked"

    @property
    def is_marked(self) -> bool:
        """Whether anything in the file says that it is synthetic, wholly or in part."""
        is_signed_so = self.credentials is not None and self.credentials.is_synthetic
        is_in_pixels = self.watermark is not None and self.watermark.is_found
        return is_signed_so or self.label is not None or is_in_pixels

    @property
    def holds_more(self) -> bool:
        """Whether there is more in the file than was looked through, which might mark it."""
        is_unseen = self.watermark is not None and not self.watermark.is_all
        return self.is_long or self.damage is not None or is_unseen

    def as_json(self) -> dict[str, object]:
        """For other programs: the fields, the verdict, and the words for people."""
        words = {"verdict": self.verdict, "headline": headline(self), "details": details(self)}
        return words | asdict(self)


def verify(path: str | os.PathLike[str], limits: VideoLimits = VERIFY_LIMITS) -> Report:
    """Look for Content Credentials and marks in a photo (PNG, JPEG, WebP, AVIF, HEIC) or a video.

    Raises MediaError for a file that is neither, cannot be opened or costs too much, CrowdedError
    where it cannot be read just now, SigningError where the operator's trusted certificates cannot
    be read.
    """
    path = Path(path)
    (label, claim, is_all), kind = _told_by(path, limits)
    try:
        _check_parts(path)
        found = read_credentials(path, known_signer())
    except CrowdedError:  # nothing of the file, of which nothing would be known
        raise
    except MediaError as error:
        with path.open("rb") as stream:
            is_unread = holds_credentials(stream)
        return Report(kind, None, label, str(error), None, claim, is_unread, not is_all)
    terms = found.source_types if found is not None and not found.is_synthetic else ()
    claim = claim or next((term for term in terms if term in HUMAN_TERMS), None)
    return Report(kind, found, label, human_claim=claim, is_long=not is_all)


def look_for_watermark(
    report: Report,
    path: str | os.PathLike[str],
    pipeline: Pipeline,
    models: Iterable[str] = (),
    limits: VideoLimits = VERIFY_LIMITS,
    is_over: Callable[[], bool] = never,
) -> Report:
    """The report, with what the pixels of the file say; see find_watermark. Needs the networks.

    models: names that a mark may also tell, beside the pipeline's own and those that the file says.
    is_over: whether the time for it is used up; what was looked at until then is told.
    """
    told = (report.credentials, report.label)
    names = [*(found.model for found in told if found is not None and found.model), *models]
    try:
        found = find_watermark(Path(path), report.kind, pipeline, names, limits, is_over)
        return replace(report, watermark=found)
    except CrowdedError:
        raise
    except MediaError as error:
        return replace(report, damage=report.damage or str(error))


def headline(report: Report) -> str:
    """The verdict in a sentence or two."""
    kind = report.kind
    if report.verdict == "altered":
        says = " It still says that a trained model changed or made it." if report.is_marked else ""
        return f"Changed after signing: the Content Credentials of this {kind} do not hold.{says}"
    if report.verdict == "marked":
        return f"Marked as synthetic: {_who_says(report)} that a trained model changed or made it."
    if report.verdict == "unchecked":
        return _why_unchecked(report)
    return (
        f"No mark found. That does not prove the {kind} is real: marks get lost when a {kind} is "
        "edited or shared, and not every program writes one."
    )


def _why_unchecked(report: Report) -> str:
    found, kind = report.credentials, report.kind
    if found is not None or report.is_unread:
        return (
            f"Signed, but the Content Credentials of this {kind} cannot be checked, so they prove "
            "nothing."
        )
    return (
        f"No mark found in what of this {kind} could be read. There is more in it, so it may have "
        "one, and nothing proves that it is real."
    )


def _who_says(report: Report) -> str:
    """Who says that it is synthetic: of those who do, the one whose word is worth most."""
    found, kind = report.credentials, report.kind
    is_signed_so = found is not None and found.is_synthetic
    standing = found.standing if is_signed_so and found.is_intact else None
    if standing == "own":
        return f"this installation signed the {kind} and says"
    if standing == "trusted":
        return f"a signer of the {kind}, whom the operator of this installation trusts, says"
    if report.watermark is not None and report.watermark.is_found:
        return f"a watermark in this {kind} says"
    if is_signed_so:
        return f"Content Credentials of this {kind}, which cannot be checked, say"
    return f"the metadata of this {kind}, which anyone can write, say"


def details(report: Report) -> list[str]:
    """What is known, one thing a sentence."""
    return [*_about_credentials(report), *_about_label(report), *_about_pixels(report)]


def _about_credentials(report: Report) -> Iterator[str]:
    if report.damage is not None:
        yield report.damage
    elif report.credentials is None:
        yield "Content Credentials: none."
    if report.credentials is not None:
        yield from about_credentials(report.credentials, report.kind)


def _about_label(report: Report) -> Iterator[str]:
    if report.label is None:
        yield f"Metadata label: none{' in what was read of it' if report.is_long else ''}."
        return
    by = f" by {quoted(report.label.software)}" if report.label.software else ""
    term = quoted(report.label.digital_source_type.rsplit("/", 1)[-1])
    yield (
        f"Metadata label{by}{with_model(report.label.model)}: {term} (IPTC). Anyone can write "
        "or remove it: a statement, not a proof."
    )


def _about_pixels(report: Report) -> Iterator[str]:
    found = report.watermark
    if found is None:
        return
    if found.num_films > 1:
        yield (
            f"The file holds {found.num_films} films, of which one was looked at: players might "
            "show another."
        )
    if found.num_odd:
        yield f"{found.num_odd} frames could not be looked at, or not in a size of their own."
    count, of_all = len(found.seconds), ""
    if found.num_pictures > 1 or report.kind == "video":
        what = "frames" if report.kind == "video" else "pictures"
        rest = f" ({found.num_pictures} in the file)" if found.num_pictures > count else ""
        of_all = f" of {count} {what} looked at{rest}"
    if not found.is_found:
        none = f"none found in any{of_all}" if of_all else "none found"
        yield (
            f"Watermark: {none}. Only faces that this program swapped carry one, and small "
            "faces and strong changes lose it."
        )
        return
    where = f" in {sum(found.is_marked)}{of_all}" if of_all else ""
    model = quoted(found.model) if found.model else f"an unknown model, number {found.model_id}"
    yield (
        f"Watermark: found{where}, of {model}. Faces without one read so by chance {found.odds}."
    )
    if report.human_claim is not None:
        yield (
            f"The file claims that people or a camera made this {report.kind} "
            f"({quoted(report.human_claim)}, IPTC), but its faces carry the watermark of a face "
            "swap: do not believe that claim."
        )


def _told_by(path: Path, limits: VideoLimits) -> tuple[Told, str]:
    """What the metadata of a photo or a video say, and which of the two it is."""
    try:
        return read_told(path), "photo"
    except MediaError as error:
        if not path.is_file():
            raise
        try:
            return Told(read_video_label(path, limits)), "video"
        except (CostlyVideoError, CrowdedError):
            raise
        except MediaError:
            raise MediaError(
                f"{printable(path.name)} is neither a photo nor a video that can "
                "be read, or it is damaged."
            ) from error


def _check_parts(path: Path) -> None:
    """Raise MediaError if looking for Content Credentials in a file takes too much."""
    with path.open("rb") as stream:
        if media_type_of(stream.read(12)) == UNKNOWN_TYPE:
            return
    seconds = TRIAL_SECONDS + path.stat().st_size / _BYTES_PER_SECOND
    with allowance.place(usual_memory(0)) as fits:
        arguments = [str(path.absolute()), str(seconds)]
        problem = problem_of(TRIAL, arguments, _TRIAL_MEMORY, seconds, fits)
    if problem:
        raise MediaError(
            "Content Credentials: the file has too many parts, or too large ones, to be looked "
            "through. Whether it has any is not known."
        )
