"""Photos and folders of frames, read and written."""

from simswap.media.decoding import MAX_PIXELS, MIN_SIDE, Photo
from simswap.media.photos import MAX_FILE_BYTES, check_output, read_photo, write_photo

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_PIXELS",
    "MIN_SIDE",
    "Photo",
    "check_output",
    "read_photo",
    "write_photo",
]
