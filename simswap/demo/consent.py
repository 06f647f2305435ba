"""Consent: whoever swaps says that they may use these faces.

On the page that is a checkbox beside each button that swaps, ticked once a visit; the shipped
example photos need none. A public Space asks callers of its endpoints the same, as an argument; at
home these need not say it.
"""

from __future__ import annotations

import gradio as gr

from simswap import SimSwapError
from simswap.demo.services import shipped
from simswap.demo.settings import is_public

WORDS = "I may use these faces: they are mine, or their people have agreed."


class ConsentError(SimSwapError):
    """Nobody has said that the faces may be used, where that is asked for."""


def build(elem_id: str) -> gr.Checkbox:
    """A checkbox of the page: an input of whatever swaps."""
    return gr.Checkbox(False, label=WORDS, container=False, elem_id=elem_id, elem_classes="consent")


def is_given(is_ticked: object, photos: list[str]) -> bool:
    """Whether a visitor has ticked the checkbox, or has given shipped photos only (uploads)."""
    return is_ticked is True or shipped.are_shipped(photos)


def check_ticked(is_ticked: object, photos: list[str] | None = None) -> None:
    """Raise ConsentError unless consent `is_given`."""
    if not is_given(is_ticked, photos or []):
        raise ConsentError("One thing is missing: tick the box that says you may use these faces.")


def check_said(consent: object) -> None:
    """Raise ConsentError if a caller of a public Space did not say consent=True."""
    if is_public() and consent is not True:
        raise ConsentError(
            "Pass consent=True to say that you have the right to use these faces: that they are "
            "yours, or that their people have agreed."
        )
