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
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from simswap import __version__
from simswap.errors import MediaError
from simswap.files import printable
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
_PNG_KEYWORD = b"XML:com.adobe.xmp\0"
_JPEG_SIGNATURE = b"http://ns.adobe.com/xap/1.0/\0"
_XMP_END = b"</x:xmpmeta>"
_PHOTO_BRANDS = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"mif1")
_MAX_SEARCHED = 100_000_000  # bytes of an AVIF or HEIC
_MAX_XMP_BYTES = 1 << 20  # real packets are a few kB; some cameras pad theirs
_MAX_PACKETS = 3  # of XMP that are parsed; files have one
_MAX_CHUNKS = 100_000  # bounds the walk through a hostile file
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


def read_label(path: str | os.PathLike[str]) -> MetadataLabel | None:
    """The metadata label of a photo's file, ours or another program's; None if there is none.

    Only the file's metadata is read, never its pixels; a label that cannot be parsed is none.
    Raises MediaError if the file cannot be opened or is of another kind.
    """
    return next((label for label in _labels(path) if _term(label) in SYNTHETIC_TERMS), None)


def read_human_claim(path: str | os.PathLike[str]) -> str | None:
    """The IPTC term by which a photo's metadata say that people made it, or that a camera took it.

    Raises MediaError as `read_label` does.
    """
    return next((_term(label) for label in _labels(path) if _term(label) in HUMAN_TERMS), None)


def _term(label: MetadataLabel) -> str:
    return label.digital_source_type.rstrip("/").rsplit("/", 1)[-1]


def _labels(path: str | os.PathLike[str]) -> list[MetadataLabel]:
    """What a file says of where its picture is from, synthetic or not."""
    path = Path(path)
    name = printable(path.name)
    try:
        if not path.is_file():
            problem = "is not a file" if path.exists() else "does not exist"
            raise MediaError(f"{name} {problem}. Give the path of a photo.")
        with path.open("rb") as stream:
            packets = list(islice(_xmp_packets(stream, name), _MAX_PACKETS))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise MediaError(f"{name} cannot be opened ({reason}). Check the path.") from error
    return [label for label in map(_parse_label, packets) if label is not None]


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


def _xmp_packets(stream: BinaryIO, name: str) -> Iterator[bytes]:
    head = stream.read(12)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        stream.seek(8)
        yield from _png_packets(stream)
    elif head.startswith(b"\xff\xd8\xff"):
        stream.seek(2)
        yield from _jpeg_packets(stream)
    elif head.startswith(b"RIFF") and head[8:] == b"WEBP":
        yield from _webp_packets(stream)
    elif head[4:8] == b"ftyp" and head[8:12] in _PHOTO_BRANDS:
        yield from _packets_anywhere(stream)
    else:
        raise MediaError(f"{name} is not a photo of a kind in which a label is looked for.")


def _png_packets(stream: BinaryIO) -> Iterator[bytes]:
    for _ in range(_MAX_CHUNKS):
        header = stream.read(8)
        if len(header) < 8 or header[4:] == b"IEND":
            return
        length = int.from_bytes(header[:4], "big")
        if header[4:] == b"iTXt" and length <= _MAX_XMP_BYTES:
            data = stream.read(length)
            # XMP is stored uncompressed there: compression flag and method, two empty strings.
            if data.startswith(_PNG_KEYWORD + b"\0"):
                _language, _keyword, packet = (data[len(_PNG_KEYWORD) + 2 :] + b"\0\0").split(
                    b"\0", 2
                )
                yield packet.rstrip(b"\0")
            length = 0
        stream.seek(length + 4, os.SEEK_CUR)  # 4: the checksum


def _jpeg_packets(stream: BinaryIO) -> Iterator[bytes]:
    for _ in range(_MAX_CHUNKS):
        header = stream.read(4)
        # Metadata stands before the start of the scan (DA), behind which the pixels lie.
        if len(header) < 4 or header[0] != 0xFF or header[1] in (0xD9, 0xDA):
            return
        length = int.from_bytes(header[2:], "big") - 2
        if length < 0:
            return
        data = stream.read(length)
        if header[1] == 0xE1 and data.startswith(_JPEG_SIGNATURE):
            yield data[len(_JPEG_SIGNATURE) :]


def _webp_packets(stream: BinaryIO) -> Iterator[bytes]:
    for _ in range(_MAX_CHUNKS):
        header = stream.read(8)
        if len(header) < 8:
            return
        length = int.from_bytes(header[4:], "little")
        padded = length + length % 2
        if header[:4] == b"XMP " and length <= _MAX_XMP_BYTES:
            yield stream.read(length)
            padded -= length
        stream.seek(padded, os.SEEK_CUR)


def _packets_anywhere(stream: BinaryIO) -> Iterator[bytes]:
    """Of an AVIF or HEIC, whose boxes say in a roundabout way where it is."""
    data, end = stream.read(_MAX_SEARCHED), 0
    while (start := data.find(b"<x:xmpmeta", end)) >= 0:
        end = data.find(_XMP_END, start, start + _MAX_XMP_BYTES) + len(_XMP_END)
        if end < len(_XMP_END):
            return
        yield data[start:end]


def _parse_label(packet: bytes) -> MetadataLabel | None:
    values = read_properties(packet, (_SOURCE_TYPE, _TOOL, _SYSTEM))
    if _SOURCE_TYPE not in values:
        return None
    return MetadataLabel(values.get(_TOOL), values.get(_SYSTEM), values[_SOURCE_TYPE])
