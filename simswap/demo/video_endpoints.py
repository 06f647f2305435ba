"""The endpoint for videos; its docstring is what the API page and an MCP client show."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace

import gradio as gr

from simswap import VideoProgress, VideoReport
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
from simswap.demo.choices import KEPT, VideoChoices
from simswap.demo.consent import check_said
from simswap.demo.services import videos
from simswap.demo.services.photos import Person
from simswap.demo.services.videos import Outcome
from simswap.video.output.writing import FORMATS

DEFAULTS = VideoChoices()


def swap_video(  # noqa: D417 (progress is no argument of callers)
    source: list[str] | None,
    target: str | None,
    faces: str = DEFAULTS.faces,
    start: float = DEFAULTS.start,
    end: float | None = DEFAULTS.end,
    format: str = DEFAULTS.format,
    crf: float | None = DEFAULTS.crf,
    detect_every: float = DEFAULTS.detect_every,
    match_colour: bool = DEFAULTS.match_colour,
    mask_softness: float = DEFAULTS.mask_softness,
    consent: bool = False,
    model: str | None = DEFAULTS.model,
    likeness: float = DEFAULTS.likeness,
    keep: str = "",
    occlusion_mask: bool = DEFAULTS.occlusion_mask,
    progress: gr.Progress = gr.Progress(),  # noqa: B008 (Gradio finds it by its default)
) -> Iterator[tuple[str | None, dict[str, object]]]:
    """Put one person's face into a video; its sound is kept, and it is marked as synthetic.

    Use it only with videos and photos of people who agreed. It takes some minutes per minute of
    video; how far it is comes as progress. Cancelling ends the work, and nothing is kept.

    Args:
        source: One photo of the person whose face goes in, or a list of up to 8.
        target: The video to change: MP4, MOV, WebM, MKV, AVI or an animated GIF, WebP or PNG.
        faces: "all", "largest" (by face area in all of it), or numbers such as "0,2" in that order.
        start: Where to begin, in seconds.
        end: Where to stop, in seconds; null is its end.
        format: "mp4", "mov" or "mkv" (H.264), "webm" (VP9), "gif" or "webp" (an animation).
        crf: Quality, lower is better and larger; null is 18, and 28 for webm; a gif, webp has none.
        detect_every: Look for faces in every n-th frame and follow them between; more is faster.
        match_colour: Match the new face's colours to the frame's light.
        mask_softness: Width of the soft edge, as a share of the face's square, 0 to 0.5.
        consent: Say that you have the right to use these faces; a public Space asks for it.
        model: Name of the model, of those that this server offers; null is its default.
        likeness: To the source, 0 (the target's own) to 1.5; above 1, less expression stays.
        keep: More that stays the target's: "glasses", "mouth" or "glasses,mouth".
        occlusion_mask: Keep hair, hands and things before the face, rather than paint over them.

    Returns:
        The new video, and a summary: frames, faces_swapped, frames_without_face, seconds, notices,
        frames_per_second. Until the end no video, and frames_done, frames_total, eta_seconds.
    """
    check_said(consent)
    choices = VideoChoices(faces=faces, start=start, end=end, format=format, crf=crf, model=model)
    looks = {"likeness": likeness, "match_colour": match_colour, "mask_softness": mask_softness}
    looks |= {"keep": keep, "occlusion_mask": occlusion_mask, "detect_every": detect_every}
    choices = replace(choices, **looks)
    yield from _answers(videos.swap_uploads([Person(source or [])], target, choices), progress)


def _answers(
    steps: Generator[VideoProgress | Outcome, None, None], progress: gr.Progress
) -> Iterator[tuple[str | None, dict[str, object]]]:
    with closing(steps):
        for step in steps:
            if isinstance(step, VideoProgress):
                progress((step.frames_done, step.frames_total), desc="Swapping", unit="frames")
                yield None, _how_far(step)
            else:
                yield step.path, _summary(step.report)


def _how_far(step: VideoProgress) -> dict[str, object]:
    eta = step.eta_seconds
    return {
        "frames_done": step.frames_done,
        "frames_total": step.frames_total,
        "frames_per_second": round(step.frames_per_second, 2),
        "eta_seconds": None if eta is None else round(eta, 1),
    }


def _summary(report: VideoReport) -> dict[str, object]:
    return {
        "frames": report.frames,
        "faces_swapped": report.faces_swapped,
        "frames_without_face": report.frames_without_face,
        "seconds": round(report.seconds, 2),
        "frames_per_second": round(report.frames_per_second, 2),
        "notices": list(report.notices),
    }


def build() -> None:
    """The endpoint with components of its own, which no page shows: they name the arguments."""
    build_endpoint(
        swap_video,
        {
            "source": Files("Source photos"),
            "target": File("Target video"),
            "faces": FaceNumbers("Faces", DEFAULTS.faces),
            "start": Number("Start, in seconds", DEFAULTS.start),
            "end": Number("End, in seconds", DEFAULTS.end),
            "format": Choice("Format", DEFAULTS.format, choices=FORMATS),
            "crf": Number("Quality (CRF)", DEFAULTS.crf),
            "detect_every": Number("Frames between two looks for faces", DEFAULTS.detect_every),
            "match_colour": Flag("Match colours", DEFAULTS.match_colour),
            "mask_softness": Number("Softness of the edge", DEFAULTS.mask_softness),
            "consent": Flag("I have the right to use these faces", False),
            "model": Choice("Model", DEFAULTS.model, choices=tuple(models.names())),
            "likeness": Number("Likeness", DEFAULTS.likeness, is_new=True),
            "keep": Choice("Kept parts of the target", "", choices=KEPT, is_new=True),
            "occlusion_mask": Flag("Keep what covers it", DEFAULTS.occlusion_mask, is_new=True),
        },
        [gr.File(label="Result"), gr.JSON(label="Summary")],
        concurrency_id="video",
        concurrency_limit=1,
    )
