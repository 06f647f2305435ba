"""The example photos, and where the repository and the development data lie."""

from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "assets" / "examples"
SHARED_DATA = ROOT.parent / "shared" / "data"


def read_example(name: str) -> np.ndarray:
    """An example photo, [H, W, 3] uint8 RGB, read-only because a whole session shares it."""
    image = np.array(Image.open(EXAMPLES / name).convert("RGB"))
    image.setflags(write=False)
    return image
