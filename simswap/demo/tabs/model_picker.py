"""The page's choice of a model, above the tabs; shown where there is more than one to choose."""

from __future__ import annotations

import gradio as gr

from simswap.demo import models, page_parts
from simswap.demo.calls.arguments import Text, declare

ELEM_ID = "model"


def build() -> gr.Dropdown:
    """The picker; build it before the tabs, which find it by `dropdown`."""
    names = models.names()
    picker = gr.Dropdown(
        names,
        value=names[0],
        label="Model",
        filterable=False,
        visible=len(names) > 1,
        elem_id=ELEM_ID,
    )
    declare(picker, "model", Text())
    return picker


def dropdown() -> gr.Dropdown:
    """The picker of the page that is being built: an input of whatever uses a model."""
    return page_parts.find(ELEM_ID)
