"""Photos of one colour, as small as a test of limits wants them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

PIXELS = 64 * 64  # that they have


def written(folder: Path, name: str) -> str:
    """The path of a new one."""
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(folder / name)
    return str(folder / name)
