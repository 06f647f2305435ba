"""A row of toggle buttons, one for each face of a photo, left to right as the photo shows them.

Its value is {"of": path of the photo, "faces": [image URIs], "numbers": [face numbers, as detection
counts them], "picked": [face numbers]}; "faces" and "numbers" belong together. It may also have
"people": [{"id", "place", "picture"}], those who can be put in, "who": [id for each of "numbers"],
and "isMapped": whether the visitor had a say in that.
"""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr
import numpy as np
from PIL import Image

from simswap import Face, OptionError
from simswap.demo.calls.arguments import Flag, Number, Numbers, Parts, Text, declare
from simswap.demo.look import theme
from simswap.demo.look.pictures import SIDE, data_uri
from simswap.demo.services.photos import left_to_right
from simswap.geometry import cut_square

EMPTY: dict[str, object] = {"of": None, "faces": [], "numbers": [], "picked": []}
MARGIN = 0.25  # of the face's longer side, on each side of it

# (tray, strip) -> strip: until the visitor says otherwise, faces get who stands for OTHERWISE.
# Nothing where that is so already: the buttons are not drawn anew.
NAME_JS = """
(tray, strip) => {
  const people = tray.people
    .map((one, place) => ({ ...one, place: place + 1 }))
    .filter((one) => one.photos.length)
    .map(({ id, place, picture }) => ({ id, place, picture }));
  const ids = people.map((one) => one.id);
  const open = tray.people[tray.open].id;
  const isMapped = Boolean(strip.isMapped) && ids.length > 1;
  const kept = (place) => isMapped && ids.includes(strip.who[place]);
  const who = strip.numbers.map((_, place) =>
    kept(place) ? strip.who[place] : OTHERWISE ?? null);
  const named = { ...strip, people, who, isMapped };
  if (JSON.stringify(named) !== JSON.stringify(strip)) return named;
}
"""
IN_TURN_JS = NAME_JS.replace("OTHERWISE", "ids[place % ids.length]")
THE_OPEN_ONE_JS = NAME_JS.replace("OTHERWISE", "(ids.includes(open) ? open : ids[0])")

OF_TARGET = {
    "group": "Faces in the target photo",
    "one": "1 face found.",
    "many": "faces will be swapped. Tap a face to change that.",
    "mapped": "Tap a face to choose who goes there.",
    "all": True,
}
OF_VIDEO = {
    "group": "People seen in the video",
    "one": "1 person seen so far. Other frames may show more.",
    "many": "people seen so far will be swapped. Leave one out, and who is not seen here stays.",
    "mapped": "Tap a person to choose whose face they get. Then who is not seen here stays.",
}
OF_SOURCE = {
    "group": "Faces in the source photo",
    "one": "",
    "many": "faces is used. Tap another to use that.",
    "single": True,
}


def build(elem_id: str, words: dict[str, object]) -> gr.HTML:
    """A strip, empty as yet; words: what it says, and how many faces may be picked."""
    strip = gr.HTML(
        EMPTY,
        html_template=theme.read("face_strip.html"),
        js_on_load=theme.read("face_strip.js"),
        elem_id=elem_id,
        elem_classes="strip",
        words=words,
    )
    lists = {name: Numbers() for name in ("numbers", "picked", "who")}
    parts = {"of": Text(), "isMapped": Flag(default=False), "taps": Number(default=0), **lists}
    declare(strip, elem_id, Parts(parts=parts))
    return strip


def show(
    image: np.ndarray, faces: Sequence[Face], path: str, only: int | None = None
) -> dict[str, object]:
    """The strip for a photo ([H, W, 3] uint8 RGB) and its faces; all picked, or one (by number)."""
    numbers = left_to_right(faces)
    return {
        "of": path,
        "faces": [picture(image, faces[number]) for number in numbers],
        "numbers": numbers,
        "picked": numbers if only is None else [only],
    }


def picked(strip: object, path: str) -> str:
    """The faces that a visitor has picked in a photo, as `parse_faces` reads them.

    That is all as long as the strip is of another photo: this one's faces are on their way.
    Raises OptionError for none, or if the browser sent something else.
    """
    values = strip if isinstance(strip, dict) else {}
    numbers, found = values.get("picked"), values.get("numbers")
    if not _are_numbers(numbers) or not _are_numbers(found):
        raise OptionError("Which faces were picked cannot be read. Choose the photo again.")
    if values.get("of") != path:
        return "all"
    if set(numbers) == set(found):
        return "all"
    if not numbers:
        raise OptionError("Pick at least one face to swap.")
    return ",".join(map(str, numbers))


def assigned(strip: object, path: str, ids: list[int]) -> dict[int, int] | None:
    """Of a photo's faces, by number: the place in `ids` of the person who goes there.

    None as long as the strip is of another photo. Raises OptionError for a person who is not there.
    """
    values = strip if isinstance(strip, dict) else {}
    numbers, who = values.get("numbers"), values.get("who")
    if len(ids) < 2 or values.get("of") != path:
        return None
    if not _are_numbers(who) or len(who) != len(numbers) or not set(who) <= set(ids):
        raise OptionError("Who goes where cannot be read. Tap the faces again.")
    return {face: ids.index(person) for face, person in zip(numbers, who, strict=True)}


def _are_numbers(value: object) -> bool:
    return isinstance(value, list) and all(type(number) is int for number in value)


def picture(image: np.ndarray, face: Face) -> str:
    """A square around the face, as the data URI of a JPEG; the photo's border goes on beyond it."""
    box = face.box.reshape(2, 2)
    side = (1 + 2 * MARGIN) * float((box[1] - box[0]).max())
    return data_uri(Image.fromarray(cut_square(image, box.mean(axis=0), side, SIDE)))
