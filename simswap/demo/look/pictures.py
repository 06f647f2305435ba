"""Small pictures inside the page itself."""

from __future__ import annotations

import base64
import io

from PIL import Image

SIDE = 144  # px, twice what the page shows, for dense screens


def data_uri(picture: Image.Image, side: int = SIDE) -> str:
    """A picture, made small (its longer side to `side` px), as the data URI of a JPEG."""
    small = picture.convert("RGB")
    small.thumbnail((side, side))
    encoded = io.BytesIO()
    small.save(encoded, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(encoded.getvalue()).decode()}"
