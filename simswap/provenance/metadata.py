"""The metadata label: an XMP packet that says a picture's pixels were made by a trained model.

What is here is metadata only: anyone can strip it, and anyone can write it. It tells an honest
reader, and the platforms that look for it; it proves nothing.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import NamedTuple

from simswap import __version__
from simswap.errors import MediaError
from simswap.files import printable
from simswap.provenance.search import xmp_packets
from simswap.provenance.xmp import RDF, read_properties

# IPTC NewsCodes, digital source type: https://cv.iptc.org/newscodes/digitalsourcetype/
SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
COMPOSITE_WITH_MODEL = SOURCE_TYPES + "compositeWithTrainedAlgorithmicMedia"

# The terms that say "synthetic, wholly or in part"; a camera's own term is no label.
SYNTHETIC_TERMS = (
    "compositeWithTrainedAlgorithmicMedia",
    "trainedAlgorithmicMedia",
    "compositeSynthetic",
    "algorithmicMedia",
)

# Those that say "of people's or a camera's making, and of nothing else".
HUMAN_TERMS = (
    *("digitalCapture", "computationalCapture", "negativeFilm", "positiveFilm", "print"),
    *("humanEdits", "minorHumanEdits", "digitalCreation", "digitalArt", "compositeCapture"),
)

# Beside those that Unicode itself calls opening or closing quotation marks.
_QUOTES = '"\u201a\u201e\u2033\u2036\u275b\u275c\u275d\u275e\u301d\u301e\u301f\u02ba\u02ee\u3003'
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"  # letters and signs that show nothing
_ENDS_SENTENCE = re.compile(r"[!?\u061f\u06d4\u0589\u0964\u0965\u1362\u3002]|\.(?!\w)")
_XMP = "http://ns.adobe.com/xap/1.0/"
_IPTC_EXTENSION = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
_SOURCE_TYPE = (_IPTC_EXTENSION, "DigitalSourceType")
_SYSTEM = (_IPTC_EXTENSION, "AISystemUsed")
_TOOL = (_XMP, "CreatorTool")
_PHOTO_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1")
_MAX_PARSED = 3_000_000  # bytes of XMP
_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{rdf}">
  <rdf:Description rdf:about="" xmlns:xmp="{xmp}" xmlns:Iptc4xmpExt="{iptc}">
   <xmp:CreatorTool>SimSwap {version}</xmp:CreatorTool>
   <Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>
   <Iptc4xmpExt:AISystemUsed>{model}</Iptc4xmpExt:AISystemUsed>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


@dataclass(frozen=True)
class MetadataLabel:
    """A statement found in a file of where its picture is from, such as from a model.

    software, model: as the file tells them, made safe to print; None where it does not.
    digital_source_type: the IPTC term's address.
    """

    software: str | None
    model: str | None
    digital_source_type: str


def synthetic_xmp(model: str) -> bytes:
    """XMP packet (UTF-8) naming this software, the model bundle and the IPTC source type.

    Nothing else goes in: no date, no file name, nothing of who made the picture or from what.
    """
    packet = _PACKET.format(
        rdf=RDF,
        xmp=_XMP,
        iptc=_IPTC_EXTENSION,
        version=escape(__version__, quote=False),
        source_type=COMPOSITE_WITH_MODEL,
        model=escape(printable(model), quote=False),
    )
    return packet.encode()


class Told(NamedTuple):
    """What a file's metadata say of where its picture is from.

    label: that it is synthetic, None if they do not say so. human_claim: the IPTC term by which
    they say that people made it or a camera took it, None likewise. is_all: whether that was read
    through; of very many packets, only the first are.
    """

    label: MetadataLabel | None
    human_claim: str | None = None
    is_all: bool = True


def read_label(path: str | os.PathLike[str]) -> MetadataLabel | None:
    """The metadata label of a photo's file, ours or another program's; None if there is none.

    Only the file's metadata is read, never its pixels; a label that cannot be parsed is none.
    Raises MediaError if the file cannot be opened or is of another kind.
    """
    return read_told(path).label


def read_told(path: str | os.PathLike[str]) -> Told:
    """What a photo's metadata say, see Told. Raises MediaError as `read_label` does."""
    label, claim, left = None, None, _MAX_PARSED
    for packet in _packets(path):
        left -= len(packet)
        if left < 0:
            break
        found = _parse_label(packet)
        term = _term(found) if found is not None else None
        label = label or (found if term in SYNTHETIC_TERMS else None)
        claim = claim or (term if term in HUMAN_TERMS else None)
    return Told(label, claim, left >= 0)


def _term(label: MetadataLabel) -> str:
    return label.digital_source_type.rstrip("/").rsplit("/", 1)[-1]


def _packets(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The XMP packets of a photo that may say where it is from."""
    path = Path(path)
    name = printable(path.name)
    try:
        if not path.is_file():
            problem = "is not a file" if path.exists() else "does not exist"
            raise MediaError(f"{name} {problem}. Give the path of a photo.")
        with path.open("rb") as stream:
            if not _is_photo(stream.read(12)):
                raise MediaError(f"{name} is not a photo of a kind in which a label is looked for.")
            yield from xmp_packets(stream, _SOURCE_TYPE[1].encode())
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise MediaError(f"{name} cannot be opened ({reason}). Check the path.") from error


def quoted(text: str, limit: int = 80) -> str:
    """What a stranger says, in quotation marks that it cannot end, as one phrase on one line.

    Marks that end a sentence are taken out, those that end a quotation become an apostrophe: so
    nothing in it reads as a sentence of ours. A dot inside of a word stays, as in a version.
    """
    kept: list[str] = []
    for character in unicodedata.normalize("NFKC", text[:1000]):
        category = unicodedata.category(character)
        if category in ("Mn", "Me"):  # an accent: two at most, and never on our quotation mark
            if any(letter.isalpha() for letter in kept[-2:]):
                kept.append(character)
        elif character in _QUOTES or category in ("Pi", "Pf"):
            kept.append("'")
        else:
            is_seen = character.isprintable() and character not in _BLANKS
            kept.append(character if is_seen else " ")
    phrase = " ".join(_ENDS_SENTENCE.sub("", "".join(kept)).split())
    return f"\u201c{printable(phrase, limit)}\u201d"


def _is_photo(head: bytes) -> bool:
    """Whether a file is of a kind in which a label is looked for, by its first 12 bytes."""
    return (
        head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"))
        or (head.startswith(b"RIFF") and head[8:] == b"WEBP")
        or (head[4:8] == b"ftyp" and head[8:12] in _PHOTO_BRANDS)
    )


def _parse_label(packet: bytes) -> MetadataLabel | None:
    values = read_properties(packet, (_SOURCE_TYPE, _TOOL, _SYSTEM))
    if _SOURCE_TYPE not in values:
        return None
    return MetadataLabel(values.get(_TOOL), values.get(_SYSTEM), values[_SOURCE_TYPE])
