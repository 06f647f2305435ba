"""The Video tab: photos and a video in, a video out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace

import gradio as gr

from simswap import SimSwapError, VideoProgress
from simswap.demo import consent
from simswap.demo.calls.arguments import File, Number, Text, declare
from simswap.demo.calls.failures import readable_errors
from simswap.demo.choices import VideoChoices
from simswap.demo.look import theme, video
from simswap.demo.services import video_limits, videos
from simswap.demo.tabs import looks, people, video_job
from simswap.demo.tabs.looks import Looks
from simswap.demo.tabs.shared import Shared
from simswap.demo.tabs.video_part import VideoPart
from simswap.video.output.writing import Encoding

DEFAULTS = VideoChoices()
FACES = [("All faces", "all"), ("Largest face", "largest")]
FORMATS = [("MP4", "mp4"), ("WebM", "webm")]
KEEP = gr.skip()
# Of VideoChoices: what the tab's own components give. An emptied field comes as null.
SETTINGS = {
    "faces": Text(default=DEFAULTS.faces),
    "start": Number(),
    "end": Number(),
    "format": Text(default=DEFAULTS.format),
    "crf": Number(),
    "detect_every": Number(default=DEFAULTS.detect_every),
    **looks.SETTINGS,
}
MAX_CRF = 51


# Callbacks of the page. They take what the browser sends as it is (preprocess=False), since
# Gradio's own reading of a video may convert it.


def show_video(
    is_agreed: bool,
    tray: dict,
    target: dict | None,
    model: str,
    *settings: object,
) -> tuple[object, ...]:
    """What the video holds, the film itself, its start and end, the slider, its first frame."""
    no_slider = gr.Slider(value=0, visible=False), gr.Row(visible=False)
    if target is None:
        return video.allowed(), {}, 0, 0, *no_slider, None, ""
    try:
        with readable_errors():
            info = videos.look_at(target["path"])
    except gr.Error as error:
        return theme.message(error.message), {}, 0, 0, *no_slider, None, ""
    has_many = info.num_frames > 1
    slider = gr.Slider(value=0, maximum=max(info.num_frames - 1, 1), visible=has_many)
    seconds = round(min(info.duration, video_limits.allowed_seconds()), 3)
    frame, seen = show_frame(is_agreed, tray, target, 0, model, *settings)
    film = video.film(target["path"], frame and frame["before"])
    return video.found(info), film, 0, seconds, slider, gr.Row(visible=has_many), frame, seen


def show_quality(format: str) -> int:
    """The usual quality of a format: the scales differ."""
    return Encoding(format).quality


def show_frame(
    is_agreed: bool,
    tray: dict,
    target: dict | None,
    number: int,
    model: str,
    *settings: object,
) -> tuple[dict[str, object] | None, str]:
    """A frame before and after (as it is, without consent), and what is in it."""
    if target is None:
        return None, ""
    person = people.chosen_of(tray)
    try:
        is_given = consent.is_given(is_agreed, [*person.photos, target["path"]])
    except SimSwapError as error:  # an upload that is not there any more
        return None, theme.message(str(error))
    try:
        with readable_errors():
            shown = person if person.photos and is_given else None
            preview = videos.preview(shown, target["path"], number, _choices(model, settings))
    except gr.Error as error:
        return None, theme.message(error.message)
    shown = {"before": preview.before, "after": preview.after, "faces": []}
    return shown, video.previewed(preview)


def swap_on_page(
    is_agreed: bool,
    tray: dict,
    target: dict | None,
    model: str,
    *settings: object,
) -> Iterator[tuple[object, ...]]:
    """How far it is, then the result, its download, and what happened."""
    person, path = people.chosen_of(tray), target and target["path"]
    choices = _choices(model, settings)
    # The field shows 0 until the page has filled in the video's end, and a click may come before.
    choices = replace(choices, end=choices.end or None)
    steps = videos.swap_uploads(person, path, choices)
    try:
        with readable_errors(), closing(steps):
            if person.photos and path:  # what else is missing comes first
                consent.check_ticked(is_agreed, [*person.photos, path])
            for step in steps:
                if isinstance(step, VideoProgress):
                    yield video.progress(step), KEEP, KEEP, KEEP
                else:
                    download = gr.DownloadButton(value=step.path, interactive=True)
                    player = gr.Video(step.path, visible=True)
                    yield "", player, download, video.summary(step.report)
    except gr.Error as error:  # raised, it would end the chain that makes the page ready again
        yield "", KEEP, KEEP, theme.message(error.message)


def _choices(model: str, settings: Sequence[object]) -> VideoChoices:
    """settings: of SETTINGS, in its order."""
    return VideoChoices(model=model, **dict(zip(SETTINGS, settings, strict=True)))


def build(above: Shared) -> None:
    """The tab's components and events; call it inside of its gr.Tab."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, elem_classes="half"):
            target, film, found = _build_inputs(above)
            agreed = above.build_consent("video-consent")
            with gr.Row():
                swap = gr.Button("Swap the video", variant="primary", size="lg", scale=2)
                cancel = gr.Button("Cancel", size="lg", interactive=False, min_width=90)
            progress, said = gr.HTML(elem_classes="message"), theme.build_message()
            part = VideoPart()
            settings, look = _build_settings(part)
        with gr.Column(scale=6, elem_classes="half"):
            player, download = _build_result()
            slider, frame, seen = _build_preview(part)
    private = {"api_visibility": "private", "preprocess": False}
    at_once = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    shown = {**private, "concurrency_id": "preview", "trigger_mode": "always_last"}
    faces, start, stop, format, crf, *_ = settings
    tray = above.people.tray
    given = [agreed, tray, target, above.model, *settings]
    target.change(
        show_video,
        given,
        [found, film, start, stop, slider, part.cut, frame, seen],
        **shown,
    )
    part.join(target, slider)
    format.input(show_quality, format, crf, **at_once)
    framed = [agreed, tray, target, slider, above.model, *settings]
    events = (
        *(tray.chosen, slider.change, agreed.change, above.model.input),
        *(faces.input, *look.changes),
    )
    for changed in events:
        changed(show_frame, framed, [frame, seen], **shown)
    video_job.join(swap, cancel, swap_on_page, given, [progress, player, download, said])


def _build_inputs(above: Shared) -> tuple[gr.File, gr.HTML, gr.HTML]:
    with gr.Row(elem_classes="inputs"):
        above.people.build_place()
        with gr.Column(min_width=140):
            gr.HTML(theme.heading("Target", "Into which video?"))
            # Not gr.Video: its editor fetches a program from elsewhere, and takes no GIF.
            target = gr.File(
                label="Target video",
                show_label=False,
                file_types=["video", ".gif", ".mkv", ".avi"],
                height=230,
                elem_id="video-target",
            )
            declare(target, "target", File())
            film = gr.HTML({}, html_template=video.FILM_HTML, elem_id="video-film")
            found = theme.build_message(video.allowed())
    return target, film, found


def _build_settings(part: VideoPart) -> tuple[tuple[gr.components.Component, ...], Looks]:
    """In the order of SETTINGS; and those of them that a preview shows."""
    faces = gr.Radio(FACES, value=DEFAULTS.faces, label="Faces to swap")
    start, end = part.build_fields()
    with gr.Accordion("Settings", open=False):
        format = gr.Radio(FORMATS, value=DEFAULTS.format, label="File format")
        crf = gr.Slider(
            0,
            MAX_CRF,
            show_quality(DEFAULTS.format),
            step=1,
            label="Quality: 0 is best, and the largest file",
        )
        every = gr.Slider(
            1,
            10,
            DEFAULTS.detect_every,
            step=1,
            label="Look for faces in each n-th frame",
        )
        look = looks.build("video")
    settings = (faces, start, end, format, crf, every, *look.components)
    for component, (name, argument) in zip(settings, SETTINGS.items(), strict=True):
        declare(component, name, argument)
    return settings, look


def _build_preview(part: VideoPart) -> tuple[gr.Slider, gr.HTML, gr.HTML]:
    """The slider over the frames, what cuts there, the frame, and what is in it."""
    gr.HTML(theme.heading("Preview", "Any frame, swapped."))
    frame = theme.build_comparison("video-preview", "A frame of the video appears here.")
    slider = gr.Slider(0, 1, 0, step=1, label="Frame", visible=False, elem_id="video-frame")
    declare(slider, "frame", Number(default=0))
    seen = theme.build_message()
    part.build_buttons()
    return slider, frame, seen


def _build_result() -> tuple[gr.Video, gr.DownloadButton]:
    player = gr.Video(
        label="Result, with its sound",
        interactive=False,
        visible=False,
        height=360,
        elem_id="video-result",
    )
    download = gr.DownloadButton("Download the video", interactive=False, elem_id="video-download")
    return player, download
