"""How the page looks and what it says; no faces are handled here."""

from __future__ import annotations

import html
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import gradio as gr

from simswap.media.photos import MAX_FILE_BYTES

FOLDER = Path(__file__).parent
PAGE_CSS = [FOLDER / "page.css", FOLDER / "video.css"]

MOST_MEGABYTES = MAX_FILE_BYTES // 1_000_000  # of a file; page.css says it, too
SYSTEM_FONTS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif")
SYSTEM_MONO_FONTS = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")

HEADER = """
<header>
  <svg viewBox="0 0 48 48" width="44" height="44" aria-hidden="true">
    <rect width="48" height="48" rx="12" fill="#115e59"/>
    <circle cx="19" cy="24" r="11" fill="#5eead4"/>
    <circle cx="29" cy="24" r="11" fill="#fdba74" fill-opacity="0.85"/>
  </svg>
  <div>
    <h1>SimSwap</h1>
    <p>Any face, in any photo: the new face keeps the old one's pose, expression and light.</p>
  </div>
</header>
"""

FINE_PRINT = """
<div class="fine-print">
<p>Runs on {machine} with {models}. Photos and results are deleted after about an hour and used for
nothing else. Use photos of people who have agreed, and say that a result is synthetic: each one is
marked as such, and the Verify tab reads the marks.</p>
<p class="links">{links}</p>
<details><summary>How results are marked</summary><p>Each result says in its metadata that a trained
model made it; larger faces also carry a watermark, which mostly outlives a screenshot.
{signing}</p></details>
</div>
"""

# Beside the paper, all are files of this repository: on a Space they lie beside the page.
PAPER = "https://arxiv.org/abs/2106.06340"
PAGES = {
    "Model card": "assets/models/simswap-lite-128/README.md",
    "Licence": "LICENSE",
    "Responsible use": "README.md#responsible-use",
}

NO_FACE = "No face found in this photo. Try a larger, sharper, front-facing one."
NO_SOURCE_FACE = "No face found in source photo {number}. Try a larger, sharper, front-facing one."
MISSING_PHOTO = {
    "source": "There is no source photo yet. Add one of the person to put in.",
    "target": "There is no target photo yet. Add the photo to put the face into.",
}

WEBCAM_HINTS = (
    "Add a photo of the person whose face you want, then start the camera. Your browser asks you "
    "before it gives this page any picture.",
    "Frames are swapped and sent back to you at once; this server keeps none of them. Only a "
    "snapshot that you take is written to a file, marked as synthetic.",
)

# A live region: screen readers say what appears in it.
LIVE_REGION_JS = 'element.setAttribute("role", "status");'


def theme() -> gr.themes.Base:
    """Quiet greys and one teal accent, in the visitor's own system font: nothing is downloaded."""
    return gr.themes.Base(
        primary_hue=gr.themes.colors.teal,
        neutral_hue=gr.themes.colors.stone,
        radius_size=gr.themes.sizes.radius_md,
        font=SYSTEM_FONTS,
        font_mono=SYSTEM_MONO_FONTS,
    ).set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        color_accent="*primary_600",
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_border_width="1px",
        block_shadow="none",
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        button_primary_background_fill_dark="*primary_700",
        button_primary_background_fill_hover_dark="*primary_800",
        button_primary_text_color="white",
        button_large_text_weight="600",
        # What can be filled in or chosen has an edge that is seen (3:1).
        button_border_width="1px",
        button_secondary_border_color="var(--control)",
        button_secondary_border_color_dark="var(--control)",
        input_border_width="1px",
        input_border_color="var(--control)",
        input_border_color_dark="var(--control)",
        checkbox_label_border_width="1px",
        checkbox_label_border_color="var(--control)",
        checkbox_label_border_color_dark="var(--control)",
    )


def read(name: str) -> str:
    """A template or script of this folder."""
    return (FOLDER / name).read_text(encoding="utf-8")


def page_js() -> str:
    """The script of the whole page."""
    return f"() => ({read('page.js')})({MAX_FILE_BYTES})"


def heading(title: str, hint: str) -> str:
    """A part of the page and what to do there, as HTML."""
    return f'<div class="heading"><h2>{title}</h2><p>{hint}</p></div>'


def build_message(said: str = "") -> gr.HTML:
    """A line for the visitor, empty at first or not, which screen readers say when it comes."""
    return gr.HTML(
        said,
        html_template="${value ?? ''}",  # on a busy page Gradio may have no value yet
        elem_classes="message",
        js_on_load=LIVE_REGION_JS,
    )


def build_comparison(elem_id: str, hint: str) -> gr.HTML:
    """A picture before and after, whole at first; hint: what stands there before the first.

    comparison.js says what its value holds.
    """
    return gr.HTML(
        {},
        html_template=read("comparison.html"),
        js_on_load=read("comparison.js"),
        hint=hint,
        elem_id=elem_id,
    )


def build_history() -> gr.HTML:
    """The results of the visit, which its browser keeps; history.js says how they come there."""
    return gr.HTML(
        html_template=read("history.html"), js_on_load=read("history.js"), elem_id="history"
    )


def message(*lines: str) -> str:
    """Lines for the visitor, as HTML; they may hold names of uploads."""
    return "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def summary(facts: Mapping[str, Any]) -> list[str]:
    """What a swap did, from the service's summary."""
    swapped, found = len(facts["swapped"]), facts["num_faces"]
    of_all = "" if swapped == found else f" of {found}"
    seconds = max(facts["seconds"], 0.01)
    return [f"Swapped {swapped}{of_all} {_faces(found)} in {seconds:.2f} s.", *facts["notices"]]


def fine_print(machine: str, models: Sequence[str], signing: str) -> str:
    """What the page runs on, what to use it for, what to read, and who signs."""
    named = f"the model{'s' if len(models) > 1 else ''} {', '.join(models)}"
    texts = {"machine": machine, "models": named, "signing": signing}
    safe = {name: html.escape(text) for name, text in texts.items()}
    return FINE_PRINT.format(links=_links(), **safe)


def _links() -> str:
    """To the paper; and to this code's own pages, where it runs as a Space that has them."""
    links = {"Paper": PAPER}
    if space := os.environ.get("SPACE_ID"):
        place = f"https://huggingface.co/spaces/{quote(space)}"
        links |= {name: f"{place}/blob/main/{file}" for name, file in PAGES.items()}
        links["Duplicate this Space"] = f"{place}?duplicate=true"
    return " · ".join(
        f'<a href="{address}" target="_blank" rel="noopener">{name}</a>'
        for name, address in links.items()
    )


def _faces(number: int) -> str:
    return "face" if number == 1 else "faces"
