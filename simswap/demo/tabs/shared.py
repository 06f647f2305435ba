"""What the tabs share: the parts above them, and the input for source photos that each has."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from simswap.demo import consent, models
from simswap.demo.calls.arguments import Pictures, Text, declare
from simswap.demo.look import theme


@dataclass(frozen=True)
class Shared:
    """What stands above the tabs.

    consent: an input of whatever swaps. model: an input of whatever uses a model, for its name.
    """

    consent: gr.Checkbox
    model: gr.Dropdown


def build() -> Shared:
    """The parts above the tabs; the models are shown where there is more than one to choose."""
    is_agreed, names = consent.build(), models.names()
    model = gr.Dropdown(
        names,
        value=names[0],
        label="Model",
        filterable=False,
        visible=len(names) > 1,
        elem_id="model",
    )
    declare(model, "model", Text())
    return Shared(is_agreed, model)


def build_sources(elem_id: str) -> gr.Gallery:
    """Where the photos of the person go whose face is put in; `elem_id`: its name on the page."""
    gr.HTML(theme.heading("Source", "One or more photos of one person."))
    photos = gr.Gallery(
        label="Source photos",
        show_label=False,
        file_types=["image"],
        interactive=True,
        columns=2,
        height=260,
        object_fit="contain",  # "cover" cuts the head off a tall portrait
        buttons=[],
        elem_id=elem_id,
        elem_classes="source",
    )
    declare(photos, "source", Pictures())
    return photos


def paths(value: list[dict] | None) -> list[str]:
    """The uploaded photos of an input's value as the browser sends it (preprocess=False)."""
    return [item["image"]["path"] for item in value or []]
