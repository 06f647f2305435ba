"""What kind of file C2PA's library has before it."""

from __future__ import annotations

UNKNOWN_TYPE = "application/octet-stream"
_SIGNATURES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF8": "image/gif",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
}
_BRANDS = {  # of files that are made of boxes as an MP4 is
    b"qt  ": "video/quicktime",
    **dict.fromkeys((b"avif", b"avis"), "image/avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis"), "image/heic"),
    b"mif1": "image/heif",
}
_FORMS = {b"WEBP": "image/webp", b"AVI ": "video/avi"}  # of RIFF files


def media_type_of(head: bytes) -> str:
    """What a file is, by its first 12 bytes: a type that C2PA knows, or UNKNOWN_TYPE."""
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12], "video/mp4")
    if head.startswith(b"RIFF"):
        return _FORMS.get(head[8:12], UNKNOWN_TYPE)
    found = (kind for start, kind in _SIGNATURES.items() if head.startswith(start))
    return next(found, UNKNOWN_TYPE)
