"""The Verify tab: a file in, what is known of it out."""

from __future__ import annotations

import gradio as gr

from demo import look, report_card, service
from demo.arguments import File, declare


def show(file: dict | None) -> str:
    """The report on an uploaded file (as the browser sends it), as HTML."""
    if file is None:
        return ""
    try:
        return report_card.show(service.verify_upload(file["path"]))
    except gr.Error as error:
        return report_card.show_error(error.message)


def build() -> None:
    """The tab's components and events; call it inside of its gr.Tab."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, elem_classes="half"):
            gr.HTML(look.heading("Verify", "Was a photo or video changed by a model?"))
            file = gr.File(
                label="Photo or video",
                show_label=False,
                file_types=["image", "video"],
                height=200,
                elem_id="verify-file",
            )
            declare(file, "file", File())
        with gr.Column(scale=6, elem_classes="half"):
            gr.HTML(look.heading("Report", "What its signature and its marks say."))
            report = gr.HTML(elem_id="report", js_on_load=look.LIVE_REGION_JS)
    file.change(
        show, file, report, api_visibility="private", preprocess=False, concurrency_id="verify"
    )
