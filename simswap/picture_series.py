"""Pictures of a photo file that holds several: an animation, pages, or a photo and its previews."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from simswap.errors import MediaError
from simswap.media import check_size, opened_photo
from simswap.pixels import DECODE_ERRORS, to_rgb, turn_upright

# Of all pictures up to the last that is looked at: to show one, an animation decodes those before.
MAX_DECODED_PIXELS = 300_000_000


def read_pictures(path: str | os.PathLike[str], most: int) -> Iterator[tuple[np.ndarray, int]]:
    """Up to `most` pictures, evenly spread, each [H, W, 3] uint8 RGB; and how many the file has.

    Of large and long animations only the beginning is looked at. Pictures that are damaged, or too
    large or small to be looked at, are left out, but for the first.
    Raises MediaError as read_photo does.
    """
    with opened_photo(Path(path)) as (decoded, name):
        count = max(getattr(decoded, "n_frames", 1), 1)
        reach = MAX_DECODED_PIXELS // (decoded.width * decoded.height)
        reach = max(min(reach, count), 1)
        for number in dict.fromkeys(np.linspace(0, reach - 1, min(most, reach)).round().tolist()):
            try:
                if number:
                    decoded.seek(int(number))
                    check_size(decoded.size, name)
                decoded.load()
                icc_profile = decoded.info.get("icc_profile")
                yield to_rgb(turn_upright(decoded), icc_profile)[0], count
            except (*DECODE_ERRORS, MediaError):
                if not number:
                    raise
