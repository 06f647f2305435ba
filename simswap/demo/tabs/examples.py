"""The examples, as cards that show what comes of a tap: two photos and the swap."""

from __future__ import annotations

import numpy as np
from PIL import Image
from spaces.config import Config

from simswap import SimSwapError
from simswap.demo import models
from simswap.demo.look.pictures import data_uri
from simswap.demo.services.shipped import FOLDER, PAIRS, copies

__all__ = ["HTML", "JS", "copies", "show"]

# What is shown of a photo: left, top, right, bottom, in pixels.
CROPS = {
    "grace_hopper.jpg": (110, 50, 430, 370),
    "astronaut.jpg": (90, 0, 360, 270),
    "two_portraits.jpg": (90, 0, 960, 435),
}
NAMES = (
    ("Grace Hopper", "Eileen Collins", "Grace Hopper's face in a portrait of Eileen Collins"),
    ("Grace Hopper", "Two people", "Grace Hopper's face in a picture of two people"),
)
SIDE = 240  # px of a card's pictures, twice what the page shows

HTML = """
<div class="examples">
${value.map((example, number) => `
  <button type="button" data-example="${number}" aria-label="Try: ${example.name}">
    <span><img src="${example.source}" alt=""><small>${example.source_name}</small></span>
    <b aria-hidden="true">+</b>
    <span><img src="${example.target}" alt=""><small>${example.target_name}</small></span>
    <b aria-hidden="true">=</b>
    <span class="outcome"><img src="${example.result}" alt=""><small>${example.word}</small></span>
  </button>
`).join("")}
</div>
"""

JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-example]");
  if (button) trigger("select", { example: Number(button.dataset.example) });
});
"""


def show() -> list[dict[str, str]]:
    """What the cards show."""
    return [_card(*pair, *names) for pair, names in zip(PAIRS, NAMES, strict=True)]


def _card(
    source: str, target: str, source_name: str, target_name: str, name: str
) -> dict[str, str]:
    photos = {part: _read(part) for part in (source, target)}
    result = _swapped(photos[source], photos[target])
    return {
        "source": _picture(source, photos[source]),
        "target": _picture(target, photos[target]),
        "result": _picture(target, photos[target] if result is None else result),
        "word": "Try it" if result is None else "Swapped: try it",
        "source_name": source_name,
        "target_name": target_name,
        "name": name,
    }


def _read(name: str) -> np.ndarray:
    with Image.open(FOLDER / name) as photo:
        return np.array(photo.convert("RGB"))


def _swapped(source: np.ndarray, target: np.ndarray) -> np.ndarray | None:
    """The swap, made when the page is built: none is shipped. None where it cannot be made."""
    if Config.zero_gpu:  # lent to visitors' calls only
        return None
    swapper = models.by_name(None)
    try:
        return swapper.swap_image(target, swapper.identity_of(source)).image
    except SimSwapError:  # a model that finds no face, or an operator who denies this one
        return None


def _picture(name: str, photo: np.ndarray) -> str:
    return data_uri(Image.fromarray(photo).crop(CROPS[name]), SIDE)
