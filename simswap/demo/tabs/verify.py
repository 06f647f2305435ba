"""The Verify tab: a file in, what is known of it out."""

from __future__ import annotations

import json

import gradio as gr

from simswap.demo.calls.arguments import File, declare
from simswap.demo.calls.failures import readable_errors
from simswap.demo.choices import Choices
from simswap.demo.look import report as report_card
from simswap.demo.look import theme
from simswap.demo.services import photos, shipped, verifying
from simswap.demo.services.allowances import SWAP_LANE, VERIFY_LANE
from simswap.demo.tabs import examples
from simswap.demo.tabs.shared import Shared


def show(file: dict | None) -> str:
    """The report on an uploaded file (as the browser sends it), as HTML."""
    if file is None:
        return ""
    try:
        with readable_errors():
            report = verifying.verify_upload(file["path"])
    except gr.Error as error:
        return report_card.show_error(error.message)
    return report_card.show(report, file["path"])


def load_example() -> str:
    """A photo to verify: swapped now, on the way that all take."""
    path, _ = photos.swap_uploads(*shipped.copies(0), Choices())
    return path


def build(above: Shared) -> None:
    """The tab's components and events; call it inside of its gr.Tab. It needs nothing above."""
    example = examples.build(examples.marked())
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, elem_classes="half"):
            gr.HTML(theme.heading("Verify", "Was a photo or video changed by a model?"))
            file = gr.File(
                label="Photo or video",
                show_label=False,
                file_types=["image", "video"],
                height=200,
                elem_id="verify-file",
            )
            declare(file, "file", File())
        with gr.Column(scale=6, elem_classes="half"):
            gr.HTML(theme.heading("Report", "What its signature and its marks say."))
            report = gr.HTML(elem_id="report", js_on_load=theme.LIVE_REGION_JS)
    example.select(
        load_example,
        outputs=file,
        api_visibility="private",
        show_progress="hidden",
        **SWAP_LANE,
    )
    # A new file's name does not stand beside the verdict on another.
    working = json.dumps(report_card.WORKING)
    file.change(
        fn=None,
        js=f"(file) => file ? {working} : ''",
        inputs=file,
        outputs=report,
        api_visibility="private",
    )
    file.change(
        show,
        file,
        report,
        api_visibility="private",
        preprocess=False,
        show_progress="hidden",
        **VERIFY_LANE,
    )
