"""The endpoint that verifies; its docstring is what the API page and an MCP client show."""

from __future__ import annotations

import gradio as gr

from simswap.demo.calls.arguments import File, build_endpoint
from simswap.demo.services import verifying
from simswap.demo.services.allowances import VERIFY_LANE


def verify(file: str | None) -> dict[str, object]:
    """Tell what a photo or video says of how it was made: its signature and its marks.

    Args:
        file: A photo (PNG, JPEG, WebP, AVIF, HEIC) or a video.

    Returns:
        verdict: "marked" (as synthetic), "altered" (changed after it was signed), "unchecked"
        (signed by another program, or more is in it than is looked at) or "unmarked", which does
        not prove that it is real.
        headline and details: the same in plain words; what the file says of itself stands in
        quotation marks. Then the facts: kind ("photo" or "video"), credentials (failures, signer,
        standing, times, software, model, source_types), label (in the metadata) and watermark
        (num_pictures and num_films in the file, seconds of each frame or picture that was looked
        at, is_marked of each, model, false_positive), null where there is none.
    """
    return verifying.verify_upload(file).as_json()


def build() -> None:
    """The endpoint with a component of its own, which no page shows."""
    report = gr.JSON(label="Report")
    build_endpoint(verify, {"file": File("Photo or video")}, report, **VERIFY_LANE)
