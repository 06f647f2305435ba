"""What a video's file is, by its first bytes: only some kinds are ever opened."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from simswap.errors import MediaError
from simswap.files import printable
from simswap.video.source.structure.gif import check_gif
from simswap.video.source.structure.mp4 import check_mp4

# Nothing but files of these and the kinds below is ever opened: a playlist that calls itself an
# MP4 could otherwise make the library fetch addresses or read other files.
_UNCHECKED = "mpegts,mpeg,flv,asf,ogg,nut,m4v,mp3,wav,flac,aac,aiff"  # sound too, to tell it apart
_MP4_STARTS = {
    *(b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"udta", b"uuid", b"styp"),
    *(b"moof", b"sidx", b"jP  ", b"junk"),
}
_PHOTO_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"II*\0", b"MM\0*")
_MAX_CHUNKS = 1_000  # of a PNG before its pixels
_WEBP_ANIMATION = 2  # of the flags in a WebP's first chunk


def demuxers_for(path: Path) -> str:
    """The names of libav's readers that a file may reach, by its own first bytes."""
    with path.open("rb") as stream:
        head = stream.read(12)
    if head[4:8] in _MP4_STARTS:
        return "mov,mp4,m4a,3gp,3g2,mj2"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska,webm"
    if head.startswith(b"GIF8"):
        return "gif"
    return "avi" if head.startswith(b"RIFF") and head[8:11] == b"AVI" else _UNCHECKED


def check_is_no_photo(path: Path) -> None:
    """Raise MediaError for a photo, by its first bytes."""
    with path.open("rb") as stream:
        head = stream.read(12)
    is_photo = head.startswith(_PHOTO_STARTS) or (head[:4] == b"RIFF" and head[8:] == b"WEBP")
    if is_photo and not is_animation(path):
        raise MediaError(
            f"{printable(path.name)} is not a video that can be read, but a photo. Give a video "
            "file."
        )


def check_structure(path: Path, max_decoded: int | None = None) -> None:
    """Raise MediaError for an MP4 or a GIF that claims more than its kind needs.

    max_decoded: pixels of all frames of a GIF together; None: any number.
    """
    name = printable(path.name)
    with path.open("rb") as stream:
        head = stream.read(12)
        stream.seek(0)
        if head[4:8] in _MP4_STARTS:
            check_mp4(stream, name)
        elif head.startswith(b"GIF8") and max_decoded is not None:
            check_gif(stream.read(), name, max_decoded)


def is_animation(path: Path) -> bool:
    """Whether a file says of itself that it is an animated WebP or PNG."""
    with path.open("rb") as stream:
        head = stream.read(21)
        if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X":
            return len(head) == 21 and bool(head[20] & _WEBP_ANIMATION)
        if not head.startswith(b"\x89PNG\r\n\x1a\n"):
            return False
        stream.seek(8)
        for _ in range(_MAX_CHUNKS):
            length, kind = struct.unpack(">I4s", stream.read(8).ljust(8, b"\0"))
            if kind in (b"acTL", b"IDAT", b"\0\0\0\0"):
                return kind == b"acTL"
            stream.seek(length + 4, os.SEEK_CUR)
    return False
