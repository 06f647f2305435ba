"""Whose face is put in: people, each with photos, in one input for all tabs.

The page shows it in the tab that is open. people.js says what its value holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from simswap.demo.calls.arguments import UPLOADED, ListOf, Number, Parts, Pictures, declare
from simswap.demo.calls.failures import readable_errors
from simswap.demo.choices import DEFAULTS
from simswap.demo.look import theme
from simswap.demo.services import photos
from simswap.demo.services.allowances import OWN_LANE, in_lane, new_lane
from simswap.demo.services.photos import Person
from simswap.demo.tabs import face_strip

MOST = 6  # people
NOBODY: dict[str, object] = {
    "people": [{"id": 1, "photos": [], "face": None, "picture": None}],
    "open": 0,
}

# A tab that is opened for the first time is still being drawn.
SHOW_JS = """
() => {
  const people = document.getElementById("people");
  let tries = 100;
  const show = () => {
    const places = [...document.querySelectorAll(".people-place")];
    const place = places.find((one) => one.offsetParent !== null);
    if (place) place.append(people);
    else if (tries-- > 0) requestAnimationFrame(show);
  };
  show();
}
"""
# The tray changes itself, at once: a value that is handed over in turns would undo what a visitor
# has clicked meanwhile.
FILL_JS = """
(photos) => {
  document.dispatchEvent(new CustomEvent("simswap-photos", { detail: photos || [] }));
}
"""
MEANT_JS = """
(strip) => { document.dispatchEvent(new CustomEvent("simswap-meant", { detail: strip })); }
"""
OPENED_JS = "(tray) => [tray.people[tray.open].photos]"


@dataclass(frozen=True)
class People:
    """tray: an input of whatever needs people, for `all_of` and `chosen_of`."""

    tray: gr.HTML
    photos: gr.Gallery
    _all: gr.Column

    def build_place(self, is_first: bool = False) -> None:
        """Where a tab has it; is_first: the tab that is open at first."""
        with gr.Column(min_width=140, elem_classes="people-place"):
            if is_first:
                self._all.render()

    def show_in(self, tab: gr.Tab) -> None:
        """Bring it along when a tab is opened that has a place for it."""
        tab.select(fn=None, js=SHOW_JS, api_visibility="private")


def build(model: gr.Dropdown) -> People:
    """The input, shown where `build_place` is called first. model: the one that looks for faces."""
    with gr.Column(elem_id="people", render=False) as everything:
        gr.HTML(theme.heading("Source", "Whose face?"))
        source = gr.Gallery(
            label="Source photos",
            show_label=False,
            file_types=["image"],
            interactive=True,
            columns=2,
            height=230,
            object_fit="contain",  # "cover" cuts the head off a tall portrait
            buttons=[],
            elem_id="source",
            elem_classes="source",
        )
        tray = gr.HTML(
            NOBODY,
            html_template=theme.read("people.html"),
            js_on_load=theme.read("people.js"),
            most=MOST,
            elem_id="tray",
        )
        checked = theme.build_message()
        strip = face_strip.build("source-faces", face_strip.OF_SOURCE)
    declare(source, "source", Pictures())
    person = Parts(parts={"id": Number(), "photos": Pictures(), "face": Number()})
    declare(
        tray, "people", Parts(parts={"people": ListOf(item=person, most=MOST), "open": Number()})
    )
    private = {"api_visibility": "private", "show_progress": "hidden"}
    in_browser = {"fn": None, "api_visibility": "private"}
    source.change(js=FILL_JS, inputs=source, **in_browser)
    tray.choose(js=OPENED_JS, inputs=tray, outputs=source, **in_browser)
    strip.input(js=MEANT_JS, inputs=strip, **in_browser)
    checks = gr.on(
        [source.change, model.input],
        check_photos,
        [source, tray, model],
        [strip, checked],
        preprocess=False,
        trigger_mode="always_last",
        **OWN_LANE,
        **private,
    )
    checks.then(js=MEANT_JS, inputs=strip, **in_browser)
    return People(tray, source, everything)


@in_lane(new_lane())
def check_photos(source: list[dict] | None, tray: object, model: str) -> tuple[dict, str]:
    """The strip to pick one of several people in a single photo, and which photo has no face."""
    paths = _paths(source)
    try:
        with readable_errors():
            found = []
            for photo in photos.read_sources(paths) if paths else []:
                found.append((photo, photos.find_faces(photo.image, DEFAULTS.min_score, model)))
    except gr.Error as error:
        return face_strip.EMPTY, theme.message(error.message)
    bad = [number for number, (_, faces) in enumerate(found, start=1) if not faces]
    said = theme.message(*(theme.NO_SOURCE_FACE.format(number=number) for number in bad))
    if not found or not found[0][1]:
        return face_strip.EMPTY, said
    photo, faces = found[0]
    if len(found) > 1:  # a choice is offered in a single photo
        faces = faces[:1]
    meant = next((one.face for one in all_of(tray).values() if one.photos == paths), None) or 0
    only = meant if meant < len(faces) else 0
    return face_strip.show(photo.image, faces, paths[0], only), said


def of_photos(paths: list[str]) -> dict[str, object]:
    """The tray's value for one person with these photos, which are uploads."""
    photos = [{"image": {"path": path, "meta": UPLOADED}} for path in paths]
    return {"people": [{**NOBODY["people"][0], "photos": photos}], "open": 0}


def all_of(tray: object) -> dict[int, Person]:
    """Those who have photos, by their ids; of the value that the browser sends."""
    people = tray.get("people") if isinstance(tray, dict) else None
    return {
        one["id"]: Person(_paths(one["photos"]), _whole(one.get("face")))
        for one in people or []
        if one.get("photos") and "id" in one
    }


def chosen_of(tray: object) -> Person:
    """Whom a visitor has chosen where one is put in: the open one, or else the first."""
    present = all_of(tray)
    ids = [one.get("id") for one in tray.get("people") or []] if present else []
    place = _whole(tray.get("open")) if present else None
    opened = ids[place] if place is not None and 0 <= place < len(ids) else None
    return present.get(opened) or next(iter(present.values()), Person([]))


def _whole(number: object) -> int | None:
    return number if type(number) is int else None


def _paths(source: list[dict] | None) -> list[str]:
    return [item["image"]["path"] for item in source or []]
