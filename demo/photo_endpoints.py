"""The endpoints for photos; their docstrings are what the API page and an MCP client show."""

from __future__ import annotations

import gradio as gr

from demo import service
from demo.consent import check_said
from demo.uploads import OneOrMoreFiles, read_upload
from simswap import SwapOptions

DEFAULTS = SwapOptions()


def swap_image(
    source: list[str] | None,
    target: str | None,
    faces: str = "all",
    format: str = "png",
    match_colour: bool = DEFAULTS.match_colour,
    mask_softness: float = DEFAULTS.mask_softness,
    consent: bool = False,
    model: str | None = None,
) -> tuple[str, dict[str, object]]:
    """Put one person's face into a photo of another; the result is marked as synthetic.

    The photo keeps its pose, expression, light and size; pixels away from the swapped faces do not
    change. Use it only with photos of people who agreed.

    Args:
        source: One photo of the person whose face goes in, or a list of up to 8.
        target: The photo to change.
        faces: Which of its faces: "all", "largest", or numbers such as "0,2", in the order of
            detect_faces (0 is the largest).
        format: "png" (lossless) or "jpeg".
        match_colour: Match the new face's colours to the photo's light.
        mask_softness: Width of the soft edge, as a share of the face's square, 0 to 0.5.
        consent: Say that you have the right to use these faces; a public Space asks for it.
        model: Name of the model, of those that this server offers; null is its default.

    Returns:
        The new photo, and a summary: num_faces (found), swapped (their numbers), seconds (taken),
        notices (worth reading).
    """
    with service.readable_errors():
        check_said(consent)
    return service.swap_uploads(
        source or [],
        target,
        faces=faces,
        format=format,
        match_colour=match_colour,
        mask_softness=mask_softness,
        model=model,
    )


def detect_faces(
    photo: str | None, min_score: float = DEFAULTS.min_score, model: str | None = None
) -> list[dict[str, object]]:
    """Find the faces in a photo, largest first.

    Args:
        photo: The photo to look at.
        min_score: The lowest confidence that counts, 0 to 1.
        model: Name of the model whose detector looks; null is this server's default.

    Returns:
        For each face its box [left, top, right, bottom], landmarks (left eye, right eye, nose, left
        and right corner of the mouth: each [x, y], as a viewer sees them) and score. Positions are
        pixels of the photo held upright.
    """
    with service.readable_errors():
        image = read_upload(photo).image
    return [
        {
            "box": face.box.astype(float).round(1).tolist(),
            "landmarks": face.landmarks.astype(float).round(1).tolist(),
            "score": round(float(face.score), 4),
        }
        for face in service.find_faces(image, min_score, model)
    ]


def build() -> None:
    """The endpoints with components of their own, which no page shows: they name the arguments."""
    sources = gr.File(file_count="multiple", label="Source photos")
    sources.data_model = OneOrMoreFiles
    photo = gr.File(label="Photo")
    faces = gr.Textbox("all", label="Faces")
    format = gr.Textbox("png", label="Format")
    match_colour = gr.Checkbox(DEFAULTS.match_colour, label="Match colours")
    mask_softness = gr.Number(DEFAULTS.mask_softness, label="Softness of the edge")
    consent = gr.Checkbox(False, label="I have the right to use these faces")
    min_score = gr.Number(DEFAULTS.min_score, label="Lowest confidence")
    model = gr.Textbox(None, label="Model")
    result, summary = gr.Image(label="Result"), gr.JSON(label="Summary")
    gr.Button().click(
        swap_image,
        [sources, photo, faces, format, match_colour, mask_softness, consent, model],
        [result, summary],
        api_name="swap_image",
        concurrency_id="swap",
    )
    gr.Button().click(detect_faces, [photo, min_score, model], summary, api_name="detect_faces")
