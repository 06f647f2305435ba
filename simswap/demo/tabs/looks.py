"""How the new face looks: what the tabs for photos and for videos both let a visitor choose."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.events import EventListener

from simswap.demo.calls.arguments import Argument, Choice, Flag, Number
from simswap.demo.choices import DEFAULTS, KEPT
from simswap.types import MOST_LIKENESS

# Of Choices, in the order of `Looks.components`.
SETTINGS: dict[str, Argument] = {
    "likeness": Number(default=DEFAULTS.likeness),
    "match_colour": Flag(default=DEFAULTS.match_colour),
    "mask_softness": Number(default=DEFAULTS.mask_softness),
    "keep": Choice(default="", choices=KEPT),
    "occlusion_mask": Flag(default=DEFAULTS.occlusion_mask),
}


@dataclass(frozen=True)
class Looks:
    """The components, inputs of whatever swaps."""

    likeness: gr.Slider
    match_colour: gr.Checkbox
    mask_softness: gr.Slider
    keep: gr.Dropdown
    occlusion_mask: gr.Checkbox

    @property
    def components(self) -> tuple[gr.components.Component, ...]:
        """In the order of SETTINGS."""
        return (
            self.likeness,
            self.match_colour,
            self.mask_softness,
            self.keep,
            self.occlusion_mask,
        )

    @property
    def changes(self) -> tuple[EventListener, ...]:
        """What happens when a visitor has changed one."""
        moved = self.likeness.release, self.mask_softness.release
        return *moved, self.match_colour.input, self.keep.input, self.occlusion_mask.input


def build(medium: str) -> Looks:
    """The components; medium: what the face's colours are matched to, in a word."""
    return Looks(
        gr.Slider(
            0,
            MOST_LIKENESS,
            DEFAULTS.likeness,
            step=0.05,
            label="Likeness: 0 keeps the face as it is; above 1 less of the expression stays",
        ),
        gr.Checkbox(DEFAULTS.match_colour, label=f"Match the face's colours to the {medium}"),
        gr.Slider(0, 0.5, DEFAULTS.mask_softness, step=0.01, label="Softness of the face's edge"),
        gr.Dropdown(
            [("nothing more", ""), *((name.replace(",", " and "), name) for name in KEPT[1:])],
            value="",
            label=f"More of the {medium} that stays",
        ),
        gr.Checkbox(
            DEFAULTS.occlusion_mask, label="Keep hair, hands and things that cover the face"
        ),
    )
