"""What of a photo's file its decoder is given: pictures and their colours, and nothing else.

Metadata, thumbnails and, where one picture is wanted, all further ones are cut out, without being
decoded, so that no library copies, unpacks or counts them. All that is left costs as much as its
pixels and its bytes.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass

from simswap.errors import MediaError
from simswap.files import search
from simswap.media.bmp_files import picture_in_bmp
from simswap.media.heif_files import MAX_PIXELS, SERIES, kind_of
from simswap.media.tiff_files import first_page, orientation_in

MAX_SCANS = 100  # of a JPEG; each passes over the whole picture, and programs write about ten
MAX_PIECES = 100_000  # segments, chunks or blocks that a file is walked through
MAX_HEADERS = 5_000  # segments before the first scan of a JPEG; a huge colour profile has 255
MAX_METADATA = 1 << 20  # bytes of EXIF or XMP that the orientation is looked for in
MAX_PROFILE_BYTES = 4_000_000  # of colours, as the file holds them
_MAX_WEBP = 30_000_000  # pixels; 16 bytes each at most while it is decoded
_WEBP_MEMORY = 580_000_000  # bytes, for its pixels and twice its file's bytes
_MAX_ANIMATION = 25_000_000  # pixels of each picture where all are wanted; they build on another
_MAX_SCANNED = {3: 46_000_000, 4: 40_000_000}  # pixels of a JPEG of several scans, by channels
_XMP_ORIENTATION = re.compile(rb'tiff:Orientation(?:="|>)([1-8])')
_JPEG_MARKER = re.compile(rb"\xff([^\x00\xff])")
_JPEG_SCAN_END = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
_JPEG_EXIF, _JPEG_XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_JPEG_FRAMES = {0xC0, 0xC1, 0xC2}  # baseline, extended, progressive; all with Huffman codes
_JPEG_OTHER_FRAMES = set(range(0xC0, 0xD0)) - _JPEG_FRAMES - {0xC4, 0xCC}
# Codes, quantisation, restarts; who tells of the colours. Nothing else is kept: Pillow looks for
# further segments within the bodies of some.
_JPEG_TABLES = {0xC4, 0xDB, 0xDD}
_JPEG_TOLD = {0xE0: b"JFIF", 0xEE: b"Adobe"}  # their first five bytes, but for a null
_MAX_TABLES = 1 << 20  # bytes; three thousand are as many as a picture can use
_RARE_JPEG = (
    "{} is a JPEG of a rare kind (arithmetic, lossless or hierarchical), which is not read here. "
    "Save it as an ordinary JPEG or a PNG."
)
_GIF_BLOCK = re.compile(rb"[\x21\x2c\x3b]")  # an extension, a picture, the end
_PNG_KEPT = {b"IHDR", b"PLTE", b"tRNS", b"iCCP", b"IDAT"}
_PNG_ANIMATED = {b"acTL", b"fcTL", b"fdAT"}
_PNG_REPEATED = {b"IDAT", b"fcTL", b"fdAT"}
_PNG_XMP = b"XML:com.adobe.xmp"
_PNG_TEXTS = {_PNG_XMP, b"Raw profile type exif"}  # unpacked where an orientation may be, once each
_WEBP_KEPT = {b"VP8X", b"ICCP", b"ANIM", b"ALPH", b"VP8 ", b"VP8L", b"ANMF"}


@dataclass(frozen=True, eq=False)
class Pictures:
    """One picture, or all of an animation, as a file of its own.

    kind: of file, "JPEG" or another; AVIF and HEIC are whole, and their decoders tell how to turn.
    orientation: as EXIF or XMP tell it, 1 to 8. has_more: whether there are further pictures.
    max_pixels: as many are taken, if they need much memory. num_left_out: bytes of a large profile.
    """

    kind: str
    data: bytes
    orientation: int = 1
    has_more: bool = False
    max_pixels: int | None = None
    num_left_out: int = 0


def pictures_in(data: bytes, name: str, *, every: bool = False) -> Pictures:
    """The first picture of a photo's file, or with `every` all of an animation's.

    name: of the file, for messages. Raises MediaError for a file that is no photo of a known kind,
    or whose picture costs more than its pixels tell; ValueError, LookupError or struct.error for a
    damaged one.
    """
    if data.startswith(b"\xff\xd8\xff"):
        return _jpeg(data, name)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(data, name, every)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data, name, every)
    if data.startswith(b"GIF8"):
        return _gif(data, name)
    if data.startswith(b"BM"):
        return Pictures("BMP", picture_in_bmp(data, name))
    if data[:4] in (b"II*\0", b"MM\0*"):
        reduced, orientation, has_more = first_page(data, name)
        return Pictures("TIFF", reduced, orientation or 1, has_more)
    if (kind := kind_of(data)) is not None:
        return Pictures(kind, data, 1, data[8:12] in SERIES, MAX_PIXELS[kind])
    what = "a video, not a photo" if data[4:8] == b"ftyp" else "not a photo in a known format"
    raise MediaError(f"{name} is {what}. Use JPEG, PNG, WebP, AVIF, HEIC, BMP or TIFF.")


def _too_many(name: str, what: str, limit: int) -> MediaError:
    return MediaError(
        f"{name} is made of more than {limit} {what}, which no program needs. Open it in a photo "
        "editor and save it anew."
    )


def _orientation(exif: bytes, xmp: bytes) -> int:
    """EXIF goes before XMP, as in other programs."""
    told = orientation_in(exif[:MAX_METADATA])
    in_xmp = None if told else _XMP_ORIENTATION.search(xmp[:MAX_METADATA])
    return told or (int(in_xmp[1]) if in_xmp else 1)


def _jpeg(data: bytes, name: str) -> Pictures:
    kept, profile, exif, xmp, frame = [], [], b"", b"", None
    position = 2
    for _ in range(MAX_HEADERS):
        found = search(_JPEG_MARKER, data, position)
        if found is None:
            raise ValueError("The JPEG ends before its picture begins.")
        marker, start = found[1][0], found.end()
        if marker == 0x01 or 0xD0 <= marker <= 0xD9:  # these stand alone
            position = start
            continue
        (length,) = struct.unpack_from(">H", data, start)
        position = start + max(length, 2)
        body = data[start + 2 : position]
        if marker == 0xDA:
            break
        if marker in _JPEG_OTHER_FRAMES:
            raise MediaError(_RARE_JPEG.format(name))
        segment = memoryview(data)[start - 2 : position]
        if marker in _JPEG_FRAMES:
            if frame is not None or len(body) != 6 + 3 * body[5]:
                raise ValueError("The JPEG's picture is described twice, or in a wrong length.")
            frame = marker, body
            kept.append(segment)
        elif marker in _JPEG_TABLES or body[:5].strip(b"\0") == _JPEG_TOLD.get(marker):
            kept.append(segment)
        elif marker == 0xE2 and body.startswith(b"ICC_PROFILE\0"):
            profile.append(segment)
        elif body.startswith(_JPEG_EXIF) and len(exif) < MAX_METADATA:
            exif += body[len(_JPEG_EXIF) :]
        elif body.startswith(_JPEG_XMP):
            xmp = xmp or body
    else:
        raise _too_many(name, "parts before its picture", MAX_HEADERS)
    if frame is None or not body:
        raise ValueError("The JPEG has no picture.")
    end, most = len(data), None
    # A picture in one scan is decoded as it comes; any other after all of its scans are in.
    if frame[0] == 0xC2 or body[0] < frame[1][5]:
        end = _end_of_scans(data, position, name)
        most = _MAX_SCANNED.get(frame[1][5])
    if sum(map(len, kept)) > _MAX_TABLES:
        raise _too_many(name, "bytes of tables", _MAX_TABLES)
    num_bytes = sum(map(len, profile))
    left_out = num_bytes if num_bytes > MAX_PROFILE_BYTES else 0
    parts = [data[:2], *([] if left_out else profile), *kept, memoryview(data)[start - 2 : end]]
    return Pictures("JPEG", b"".join(parts), _orientation(exif, xmp), False, most, left_out)


def _end_of_scans(data: bytes, position: int, name: str) -> int:
    """Where the picture ends whose first scan's data begin at `position`."""
    num_scans = 1
    for _ in range(MAX_PIECES):
        found = search(_JPEG_SCAN_END, data, position)
        if found is None:
            return len(data)
        marker, position = found[1][0], found.end()
        if marker == 0xD9:
            return position
        if marker in (0x01, 0xD8):
            continue
        num_scans += marker == 0xDA
        if num_scans > MAX_SCANS:
            raise _too_many(name, "scans", MAX_SCANS)
        position += max(int.from_bytes(data[position : position + 2], "big"), 2)
    raise _too_many(name, "parts", MAX_PIECES)


def _png(data: bytes, name: str, every: bool) -> Pictures:
    wanted = _PNG_KEPT | _PNG_ANIMATED if every else _PNG_KEPT
    kept, seen, exif, xmp, left_out = [data[:8]], set(), b"", b"", 0
    position = end = 8
    for _ in range(MAX_PIECES):
        if position + 8 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind == b"IEND" or end > len(data):
            break  # a chunk that is cut off goes to the decoder, which then tells
        if kind == b"iCCP" and length > MAX_PROFILE_BYTES:
            left_out = length
        elif kind in wanted and (kind in _PNG_REPEATED or kind not in seen):
            kept.append(memoryview(data)[position:end])
        elif kind == b"eXIf":
            exif = exif or data[position + 8 : min(end - 4, position + 8 + MAX_METADATA)]
        elif kind in (b"iTXt", b"zTXt", b"tEXt") and length <= MAX_METADATA:
            body = data[position + 8 : end - 4]
            keyword = body.partition(b"\0")[0]
            if keyword in _PNG_TEXTS and keyword not in seen:
                seen.add(keyword)
                text = _png_text(kind, body)
                xmp, exif = (text, exif) if keyword == _PNG_XMP else (xmp, exif or _unhexed(text))
        seen.add(kind)
        position = end
    else:
        raise _too_many(name, "chunks", MAX_PIECES)
    kept.append(memoryview(data)[position:end])
    is_animated = b"fdAT" in seen
    most = _MAX_ANIMATION if every and is_animated else None
    return Pictures("PNG", b"".join(kept), _orientation(exif, xmp), is_animated, most, left_out)


def _png_text(kind: bytes, body: bytes) -> bytes:
    """The text of a text chunk, as far as an orientation is looked for in it."""
    rest = body.partition(b"\0")[2]
    is_packed = kind == b"zTXt"
    if kind == b"iTXt":
        is_packed = rest[:1] == b"\1"
        rest = rest[2:].partition(b"\0")[2].partition(b"\0")[2]
    elif is_packed:
        rest = rest[1:]
    try:
        return zlib.decompressobj().decompress(rest, MAX_METADATA) if is_packed else rest
    except zlib.error:
        return b""


def _unhexed(text: bytes) -> bytes:
    """EXIF as ImageMagick wrote it: three lines, then digits."""
    digits = b"".join(text.split(b"\n", 3)[3:]).translate(None, b"\n")
    return bytes.fromhex(digits.decode("ascii"))


def _webp(data: bytes, name: str, every: bool) -> Pictures:
    kept, seen, exif, xmp, has_more, left_out = [], set(), b"", b"", False, 0
    position = 12
    for _ in range(MAX_PIECES):
        if position + 8 > len(data):
            break
        kind, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length + length % 2
        if kind == b"ICCP" and length > MAX_PROFILE_BYTES:
            left_out = length
        elif kind in _WEBP_KEPT and (kind not in seen or (every and kind == b"ANMF")):
            chunk = memoryview(data)[position:end]
            if kind == b"VP8X":  # no EXIF, no XMP
                chunk = b"".join([chunk[:8], bytes(b & ~0x0C for b in chunk[8:9]), chunk[9:]])
            kept.append(chunk)
        elif kind == b"EXIF":
            exif = exif or data[position + 8 : min(end, position + 8 + MAX_METADATA)]
        elif kind == b"XMP ":
            xmp = xmp or data[position + 8 : min(end, position + 8 + MAX_METADATA)]
        has_more = has_more or (kind == b"ANMF" and kind in seen)
        seen.add(kind)
        position = end
    else:
        raise _too_many(name, "chunks", MAX_PIECES)
    missing = max(position - len(data), 0)  # so that the decoder can tell that the file is cut off
    size = struct.pack("<I", len(b"WEBP") + sum(map(len, kept)) + missing)
    whole = b"".join([b"RIFF", size, b"WEBP", *kept])
    most = _MAX_ANIMATION if every and has_more else _MAX_WEBP
    most = min(most, (_WEBP_MEMORY - 2 * len(whole)) // 16)
    return Pictures("WebP", whole, _orientation(exif, xmp), has_more, most, left_out)


def _gif(data: bytes, name: str) -> Pictures:
    def colours(flags: int) -> int:
        return 3 << (flags & 7) + 1 if flags & 0x80 else 0

    position = 13 + colours(data[10])
    kept, control, has_more, num_blocks = [data[:position]], b"", False, 0
    while position < len(data):
        kind, start, num_blocks = data[position], position, num_blocks + 1
        has_more = kind == 0x2C and len(kept) > 1
        if has_more or kind == 0x3B:
            break
        if kind == 0x2C:
            position += 10 + colours(data[position + 9]) + 1
        elif kind == 0x21:
            position += 2
        else:  # stray bytes
            following = search(_GIF_BLOCK, data, position)
            position = following.start() if following else len(data)
            continue
        while position < len(data) and data[position] and num_blocks <= 10 * MAX_PIECES:
            position += 1 + data[position]
            num_blocks += 1
        if num_blocks > 10 * MAX_PIECES:
            raise _too_many(name, "blocks", 10 * MAX_PIECES)
        position += 1
        if kind == 0x2C:
            kept += [control, memoryview(data)[start:position]]
        elif data[start + 1] == 0xF9 and len(kept) == 1:
            control = data[start:position]
    return Pictures("GIF", b"".join(kept) + b";" * (position <= len(data)), 1, has_more)
