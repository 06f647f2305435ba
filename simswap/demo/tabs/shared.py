"""Where a visitor puts the photos of the person whose face goes in; each tab has one of its own."""

from __future__ import annotations

import gradio as gr

from simswap.demo.calls.arguments import Pictures, declare
from simswap.demo.look import theme


def build(elem_id: str) -> gr.Gallery:
    """The input, under its heading; `elem_id` is its name on the page."""
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
