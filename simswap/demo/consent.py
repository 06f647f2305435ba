"""Consent: whoever swaps says that they may use these faces.

On the page that is a checkbox above the tabs, ticked once a visit. A public Space asks callers of
its endpoints the same, as an argument; at home these need not say it.
"""

from __future__ import annotations

import gradio as gr

from simswap import SimSwapError
from simswap.demo.settings import is_public

WORDS = "I have the right to use these faces: they are mine, or their people have agreed."


class ConsentError(SimSwapError):
    """Nobody has said that the faces may be used, where that is asked for."""


def build() -> gr.Checkbox:
    """The page's checkbox: an input of whatever swaps."""
    return gr.Checkbox(False, label=WORDS, container=False, elem_id="consent")


def check_ticked(is_ticked: object) -> None:
    """Raise ConsentError unless a visitor has ticked the checkbox."""
    if is_ticked is not True:
        raise ConsentError("Tick the box at the top first: may you use these faces?")


def check_said(consent: object) -> None:
    """Raise ConsentError if a caller of a public Space did not say consent=True."""
    if is_public() and consent is not True:
        raise ConsentError(
            "Pass consent=True to say that you have the right to use these faces: that they are "
            "yours, or that their people have agreed."
        )
