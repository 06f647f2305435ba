"""The examples, as cards that show what comes of a tap."""

from __future__ import annotations

from functools import cache

import gradio as gr
import numpy as np
from PIL import Image
from spaces.config import Config

from simswap import SimSwapError
from simswap.demo import models
from simswap.demo.look.pictures import data_uri
from simswap.demo.services.shipped import FOLDER, PAIRS

# What is shown of a photo: left, top, right, bottom, in pixels.
CROPS = {
    "grace_hopper.jpg": (110, 50, 430, 370),
    "astronaut.jpg": (90, 0, 360, 270),
    "mona_lisa.jpg": (70, 25, 310, 265),
}
NAMES = {"grace_hopper.jpg": "Grace Hopper", "astronaut.jpg": "Eileen Collins"}  # of sources
TARGETS = (  # of PAIRS, below a picture, and in a sentence
    ("Eileen Collins", "a portrait of Eileen Collins"),
    ("Mona Lisa", "the Mona Lisa"),
    ("Mona Lisa", "the Mona Lisa"),
)
SIDE = 240  # px of a card's pictures, twice what the page shows

# Of each: { name, parts, outcome }, the latter two of { picture, word }.
HTML = """
<div class="examples">
${value.map((example, number) => `
  <button type="button" data-example="${number}" aria-label="Try: ${example.name}">
    ${example.parts.map(({ picture, word }, place) => `
    <span><img src="${picture}" alt=""><small>${word}</small></span>
    <b aria-hidden="true">${place + 1 < example.parts.length ? "+" : "="}</b>`).join("")}
    <span class="outcome"><img src="${example.outcome.picture}" alt=""><small>${
      example.outcome.word}</small></span>
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


def build(cards: list[dict[str, object]]) -> gr.HTML:
    """The cards, which say "select" with the number of the one that is tapped."""
    return gr.HTML(cards, html_template=HTML, js_on_load=JS)


def photos() -> list[dict[str, object]]:
    """A card for each pair of photos."""
    return [_card(number, words, word) for number, (word, words) in enumerate(TARGETS)]


def film() -> list[dict[str, object]]:
    """The example video's card."""
    return [_card(0, "a film of two seconds", "A film of 2 s")]


def person() -> list[dict[str, object]]:
    """Who can be put in at once."""
    source = PAIRS[0][0]
    face = _shown(source, _read(source), f"Try {NAMES[source]}'s face")
    return [{"name": f"{NAMES[source]}'s face", "parts": [], "outcome": face}]


def marked() -> list[dict[str, object]]:
    """What can be verified at once."""
    result = _outcome(*PAIRS[0], "A swapped photo: verify it")
    return [{"name": "a photo that is swapped here", "parts": [], "outcome": result}]


def _card(number: int, words: str, word: str) -> dict[str, object]:
    source, target = PAIRS[number]
    parts = [_shown(source, _read(source), NAMES[source]), _shown(target, _read(target), word)]
    outcome = _outcome(source, target, "Swapped: try it")
    return {"name": f"{NAMES[source]}'s face in {words}", "parts": parts, "outcome": outcome}


def _outcome(source: str, target: str, word: str) -> dict[str, str]:
    result = _swapped(source, target)
    if result is None:
        return _shown(target, _read(target), "Try it")
    return _shown(target, result, word)


def _shown(name: str, photo: np.ndarray, word: str) -> dict[str, str]:
    return {"picture": data_uri(Image.fromarray(photo).crop(CROPS[name]), SIDE), "word": word}


def _read(name: str) -> np.ndarray:
    with Image.open(FOLDER / name) as photo:
        return np.array(photo.convert("RGB"))


@cache
def _swapped(source: str, target: str) -> np.ndarray | None:
    """The swap, made when the page is built: none is shipped. None where it cannot be made."""
    if Config.zero_gpu:  # lent to visitors' calls only
        return None
    swapper = models.by_name(None)
    try:
        return swapper.swap_image(_read(target), swapper.identity_of(_read(source))).image
    except SimSwapError:  # a model that finds no face, or an operator who denies this one
        return None
