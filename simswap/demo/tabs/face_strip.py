"""A row of toggle buttons, one for each face of the target photo.

Its value is {"faces": [image URIs], "picked": [face numbers]}.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from simswap import Face, OptionError
from simswap.demo.look.pictures import data_uri

EMPTY: dict[str, list] = {"faces": [], "picked": []}
MARGIN = 0.25  # of the face's longer side, on each side of it

HTML = """
<div class="face-strip" role="group" aria-label="Faces in the target photo">
${value.faces.map((uri, number) => `
  <button type="button" data-face="${number}" aria-label="Face ${number + 1}"
    aria-pressed="${value.picked.includes(number)}"><img src="${uri}" alt=""></button>
`).join("")}
</div>
"""

# The template is drawn anew after each change, so the pressed button gets its focus back.
JS = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("[data-face]");
  if (!button) return;
  const face = Number(button.dataset.face);
  const others = props.value.picked.filter((number) => number !== face);
  const picked = others.length < props.value.picked.length ? others : [...others, face];
  props.value = { faces: props.value.faces, picked: picked };
  trigger("input");
  requestAnimationFrame(() => element.querySelector(`[data-face="${face}"]`)?.focus());
});
"""

# (choice, strip) -> strip: show which faces a choice means.
PICK_BY_CHOICE_JS = """
(choice, strip) => {
  const all = strip.faces.map((_, number) => number);
  const picked = { all: all, largest: all.slice(0, 1) }[choice] ?? strip.picked;
  return { faces: strip.faces, picked: picked };
}
"""


def show(image: np.ndarray, faces: Sequence[Face], choice: str) -> dict[str, list]:
    """The strip for a photo ([H, W, 3] uint8 RGB) and its faces, all or the largest picked."""
    picked = list(range(len(faces)))
    return {
        "faces": [_picture(image, face) for face in faces],
        "picked": picked[:1] if choice == "largest" else picked,
    }


def picked(strip: object) -> str:
    """The faces that a visitor has picked, as `parse_faces` reads them.

    Raises OptionError if the browser sent something else.
    """
    numbers = strip.get("picked") if isinstance(strip, dict) else None
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        raise OptionError("Which faces were picked cannot be read. Choose the photo again.")
    return ",".join(map(str, numbers))


def _picture(image: np.ndarray, face: Face) -> str:
    """A square around the face, as the data URI of a JPEG."""
    x0, y0, x1, y1 = face.box
    half = (0.5 + MARGIN) * max(x1 - x0, y1 - y0)
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    height, width = image.shape[:2]
    left, top = max(int(x - half), 0), max(int(y - half), 0)
    right, bottom = min(int(x + half) + 1, width), min(int(y + half) + 1, height)
    return data_uri(Image.fromarray(image[top:bottom, left:right]))
