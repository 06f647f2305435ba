"""The endpoints for photos; their docstrings are what the API page and an MCP client show."""

from __future__ import annotations

import gradio as gr

from simswap.demo import models
from simswap.demo.calls.arguments import (
    Choice,
    FaceNumbers,
    File,
    Files,
    Flag,
    Number,
    build_endpoint,
)
from simswap.demo.choices import DEFAULTS, KEPT, Choices
from simswap.demo.consent import check_said
from simswap.demo.services import photos
from simswap.demo.services.allowances import OWN_LANE, SWAP_LANE, in_lane, new_lane
from simswap.demo.services.uploads import read_upload


def swap_image(
    source: list[str] | None,
    target: str | None,
    faces: str = "all",
    format: str = "png",
    match_colour: bool = DEFAULTS.match_colour,
    mask_softness: float = DEFAULTS.mask_softness,
    consent: bool = False,
    model: str | None = None,
    likeness: float = DEFAULTS.likeness,
    keep: str = "",
    occlusion_mask: bool = DEFAULTS.occlusion_mask,
) -> tuple[str, dict[str, object]]:
    """Put one person's face into a photo of another; the result is marked as synthetic.

    The photo keeps its pose, expression, light and size; pixels away from the swapped faces do not
    change. Use it only with photos of people who agreed.

    Args:
        source: One photo of the person whose face goes in, or a list of up to 8.
        target: The photo to change.
        faces: Which of its faces: "all", "largest", or numbers such as "0,2" or [0, 2], in the
            order of detect_faces (0 is the largest).
        format: "png" (lossless) or "jpeg".
        match_colour: Match the new face's colours to the photo's light.
        mask_softness: Width of the soft edge, as a share of the face's square, 0 to 0.5.
        consent: Say that you have the right to use these faces; a public Space asks for it.
        model: Name of the model, of those that this server offers; null is its default.
        likeness: To the source, 0 to 1.5: 0 keeps the target's own identity, 1 is the usual one;
            with more, less of the target's expression stays.
        keep: More that stays the target's: "glasses", "mouth" or "glasses,mouth".
        occlusion_mask: Keep hair, hands and things before the face, rather than paint over them.

    Returns:
        The new photo, and a summary: num_faces (found), swapped (their numbers), seconds (taken),
        notices (worth reading).
    """
    check_said(consent)
    choices = Choices(
        faces=faces,
        format=format,
        match_colour=match_colour,
        mask_softness=mask_softness,
        model=model,
        likeness=likeness,
        keep=keep,
        occlusion_mask=occlusion_mask,
    )
    return photos.swap_uploads(source or [], target, choices)


@in_lane(new_lane())
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
    image = read_upload(photo).image
    return [
        {
            "box": face.box.astype(float).round(1).tolist(),
            "landmarks": face.landmarks.astype(float).round(1).tolist(),
            "score": round(float(face.score), 4),
        }
        for face in photos.find_faces(image, min_score, model)
    ]


def build() -> None:
    """The endpoints with components of their own, which no page shows: they name the arguments."""
    summary, model = gr.JSON(label="Summary"), Choice("Model", choices=tuple(models.names()))
    build_endpoint(
        swap_image,
        {
            "source": Files("Source photos"),
            "target": File("Photo"),
            "faces": FaceNumbers("Faces", "all"),
            "format": Choice("Format", "png", choices=tuple(photos.SUFFIXES)),
            "match_colour": Flag("Match colours", DEFAULTS.match_colour),
            "mask_softness": Number("Softness of the edge", DEFAULTS.mask_softness),
            "consent": Flag("I have the right to use these faces", False),
            "model": model,
            "likeness": Number("Likeness", DEFAULTS.likeness, is_new=True),
            "keep": Choice("Kept parts of the target", "", choices=KEPT, is_new=True),
            "occlusion_mask": Flag("Keep what covers it", DEFAULTS.occlusion_mask, is_new=True),
        },
        [gr.Image(label="Result"), summary],
        **SWAP_LANE,
    )
    build_endpoint(
        detect_faces,
        {
            "photo": File("Photo"),
            "min_score": Number("Lowest confidence", DEFAULTS.min_score),
            "model": model,
        },
        summary,
        **OWN_LANE,
    )
