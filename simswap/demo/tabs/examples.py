"""The example photos, as a row of buttons that show a source and a target each."""

from __future__ import annotations

import shutil
from pathlib import Path

from PIL import Image

from simswap import OptionError
from simswap.demo.look.pictures import data_uri
from simswap.demo.services.uploads import new_folder

FOLDER = Path(__file__).parents[3] / "assets" / "examples"
PAIRS = (
    ("grace_hopper.jpg", "astronaut.jpg", "Grace Hopper's face in a portrait of Eileen Collins"),
    ("astronaut.jpg", "grace_hopper.jpg", "Eileen Collins' face in a portrait of Grace Hopper"),
    ("astronaut.jpg", "two_portraits.jpg", "Eileen Collins' face in a picture of two people"),
)

HTML = """
<p class="label">Or start from an example</p>
<div class="examples">
${value.map((example, number) => `
  <button type="button" data-example="${number}" aria-label="${example.name}">
    <img src="${example.source}" alt=""><span aria-hidden="true">&rarr;</span>
    <img src="${example.target}" alt="">
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
    """What the row shows."""
    return [
        {"source": _picture(source), "target": _picture(target), "name": name}
        for source, target, name in PAIRS
    ]


def copies(number: object) -> tuple[list[str], str]:
    """The source photos and the target photo of an example, copied to where uploads are.

    Raises OptionError if there is no such example.
    """
    if type(number) is not int or not 0 <= number < len(PAIRS):
        raise OptionError(f"There is no such example; they are numbered 0 to {len(PAIRS) - 1}.")
    folder = new_folder()
    source, target, _ = PAIRS[number]
    for name in (source, target):
        shutil.copyfile(FOLDER / name, folder / name)
    return [str(folder / source)], str(folder / target)


def _picture(name: str) -> str:
    with Image.open(FOLDER / name) as picture:
        return data_uri(picture)
