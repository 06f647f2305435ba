"""The Video tab: photos and a video in, a video out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import gradio as gr

from simswap import VideoProgress
from simswap.demo import consent
from simswap.demo.calls.arguments import File, Number, Text, declare
from simswap.demo.calls.failures import readable_errors
from simswap.demo.choices import VideoChoices
from simswap.demo.look import theme, video
from simswap.demo.services import video_limits, videos
from simswap.demo.services.videos import Outcome
from simswap.demo.tabs import face_strip, looks
from simswap.demo.tabs.looks import Looks
from simswap.demo.tabs.shared import Shared
from simswap.demo.tabs.video import cast, job
from simswap.demo.tabs.video.cast import Seen
from simswap.demo.tabs.video.part import NO_PART, VideoPart
from simswap.video.output.writing import ANIMATION_FORMATS, Encoding

DEFAULTS = VideoChoices()
FORMATS = [("MP4", "mp4"), ("WebM", "webm"), ("GIF", "gif"), ("Animated WebP", "webp")]
KEEP = gr.skip()
# Of VideoChoices: what the tab's own components give. An emptied field comes as null.
SETTINGS = {
    "start": Number(),
    "end": Number(),
    "format": Text(default=DEFAULTS.format),
    "crf": Number(),
    "detect_every": Number(default=DEFAULTS.detect_every),
    **looks.SETTINGS,
}
CRF, MAX_CRF = Encoding(DEFAULTS.format).quality, 51
# Who changes what is put in wants to see that, not the last result. A page that opens has no video,
# and Gradio may tell of a change only after the click that begins a job.
PREVIEW_JS = """
(target) => {
  if (!target || document.querySelector("#video-stage .video-progress")) return;
  document.getElementById("video-stage-column").classList.add("previews");
}
"""


# Callbacks of the page. They take what the browser sends as it is (preprocess=False), since
# Gradio's own reading of a video may convert it.


def show_video(
    is_agreed: bool,
    tray: dict,
    target: dict | None,
    model: str,
    *settings: object,
) -> tuple[object, ...]:
    """What the video holds, the film itself, its start and end, the slider, its first frame.

    And who is seen in that, see `_look_at_frame`.
    """
    no_slider = gr.Slider(value=0, visible=False), gr.Row(visible=False)
    nothing = ({}, *NO_PART, *no_slider, None, "", face_strip.EMPTY, None)
    if target is None:
        return video.allowed(), *nothing
    try:
        with readable_errors():
            info = videos.look_at(target["path"])
    except gr.Error as error:
        return theme.message(error.message), *nothing
    has_many = info.num_frames > 1
    slider = gr.Slider(value=0, maximum=max(info.num_frames - 1, 1), visible=has_many)
    seconds = round(min(info.duration, video_limits.allowed_seconds()), 3)
    given = is_agreed, tray, target, 0, face_strip.EMPTY, None, model, *settings
    frame, said, strip, seen = _look_at_frame(*given)
    film = video.film(info, target["path"], frame and frame["before"])
    whole = gr.Number(0, interactive=True), gr.Number(seconds, interactive=True)
    shown = slider, gr.Row(visible=has_many), frame, said
    return video.found(info), film, *whole, *shown, strip or face_strip.EMPTY, seen


def show_quality(format: str) -> dict[str, object]:
    """The usual quality of a format, as the scales differ; an animation has none."""
    encoding = Encoding(format)
    return gr.update(visible=not encoding.is_animation, value=encoding.quality or CRF)


def _look_at_frame(
    is_agreed: bool,
    tray: dict,
    target: dict | None,
    number: int,
    strip: dict,
    seen: Seen | None,
    model: str,
    *settings: object,
) -> tuple[dict[str, object] | None, str, dict[str, object] | None, Seen | None]:
    """A frame before and after (as it is, without consent), and what is in it.

    Then the strip of people, None if it stays as it is, and those who were seen.
    """
    if target is None:
        return (
            None,
            "",
            face_strip.EMPTY,
            None,
        )  # no update: a tab not yet opened has nothing to keep
    path = target["path"]
    try:
        with readable_errors():
            given, roles = cast.put_in(tray, strip, seen, path, model)
            photos = [photo for person in given for photo in person.photos]
            is_given = photos and consent.is_given(is_agreed, [*photos, path])
            shown, choices = given if is_given else [], _choices(model, settings)
            preview = videos.preview(shown, path, number, choices, roles)
    except gr.Error as error:
        return None, theme.message(error.message), None, seen
    seen, longer = cast.with_new(seen, strip, path, model, preview)
    shown = {"before": preview.before, "after": preview.after, "faces": []}
    return shown, video.previewed(preview), longer, seen


def show_frame(*given: object) -> tuple[object, ...]:
    """As `_look_at_frame`; the strip on the page stays if nobody is new."""
    frame, said, strip, seen = _look_at_frame(*given)
    return frame, said, KEEP if strip is None else strip, seen


def swap_on_page(visit: str, *given: object) -> None:
    """Swap the video as the visit's job, by `_steps`; the page asks how far it is."""
    job.run(visit, _steps(*given))


def _steps(
    is_agreed: bool,
    tray: dict,
    target: dict | None,
    strip: dict,
    seen: Seen | None,
    model: str,
    *settings: object,
) -> Iterator[VideoProgress | Outcome]:
    path = target and target["path"]
    given, roles = cast.put_in(tray, strip, seen, path, model)
    photos = [photo for person in given for photo in person.photos]
    choices = _choices(model, settings)
    # The field shows 0 until the page has filled in the video's end, and a click may come before.
    choices = replace(choices, end=choices.end or None)
    if photos and path:  # what else is missing comes first
        consent.check_ticked(is_agreed, [*photos, path])
    yield from videos.swap_uploads(given, path, choices, roles)


def _choices(model: str, settings: Sequence[object]) -> VideoChoices:
    """settings: of SETTINGS, in its order."""
    given = dict(zip(SETTINGS, settings, strict=True))
    if given["format"] in ANIMATION_FORMATS:
        given["crf"] = None  # its slider is hidden, and still sends a number
    return VideoChoices(model=model, **given)


def build(above: Shared) -> None:
    """The tab's components and events; call it inside of its gr.Tab."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, elem_classes="half"):
            target, film, found = _build_inputs(above)
            agreed = above.build_consent("video-consent")
            swap = gr.Button("Swap the video", variant="primary", size="lg")
            said = theme.build_message()
            part = VideoPart()
            settings, look = _build_settings(part)
        with gr.Column(scale=6, elem_classes="half", elem_id="video-stage-column"):
            gr.HTML(theme.heading("Video", "Any frame, swapped at once; then the whole film."))
            stage, cancel, download = _build_stage()
            with gr.Column(elem_id="video-previewing"):
                slider, frame, said_of_frame, strip = _build_preview(part)
    seen = gr.State()
    private = {"api_visibility": "private", "preprocess": False}
    at_once = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    shown = {**private, "concurrency_id": "preview", "trigger_mode": "always_last"}
    start, stop, format, crf, *_ = settings
    tray = above.people.tray
    previewed = [frame, said_of_frame, strip, seen]
    looked = target.change(
        show_video,
        [agreed, tray, target, above.model, *settings],
        [found, film, start, stop, slider, part.cut, *previewed],
        **shown,
    )
    part.join(target, slider)
    format.input(show_quality, format, crf, **at_once)
    chosen = [strip, seen, above.model, *settings]
    framed = [agreed, tray, target, slider, *chosen]
    naming = {"js": face_strip.THE_OPEN_ONE_JS, "inputs": [tray, strip], "outputs": strip}
    in_browser = {"fn": None, "api_visibility": "private"}
    for changed in (tray.chosen, slider.change, agreed.change, above.model.input):
        framed_again = changed(show_frame, framed, previewed, **shown)
        framed_again.then(**naming, **in_browser)
    for changed in (strip.input, *look.changes):
        changed(show_frame, framed, previewed, **shown)
    for changed in (looked.then, tray.change):
        changed(**naming, **in_browser)
    for wanted in (target.change, tray.chosen, strip.input, *look.changes):
        wanted(js=PREVIEW_JS, inputs=target, **in_browser)
    given = [agreed, tray, target, *chosen]
    job.join(swap, cancel, above.clock, swap_on_page, given, [stage, download, said])


def _build_inputs(above: Shared) -> tuple[gr.File, gr.HTML, gr.HTML]:
    with gr.Row(elem_classes="inputs"):
        above.people.build_place()
        with gr.Column(min_width=140):
            gr.HTML(theme.heading("Target", "Into which video?"))
            # Not gr.Video: its editor fetches a program from elsewhere, and takes no GIF.
            target = gr.File(
                label="Target video",
                show_label=False,
                file_types=["video", ".gif", ".mkv", ".avi", ".webp", ".png", ".apng"],
                height=230,
                elem_id="video-target",
            )
            declare(target, "target", File())
            film = gr.HTML({}, html_template=video.FILM_HTML, elem_id="video-film")
            found = theme.build_message(video.allowed())
    return target, film, found


def _build_settings(part: VideoPart) -> tuple[tuple[gr.components.Component, ...], Looks]:
    """In the order of SETTINGS; and those of them that a preview shows."""
    start, end = part.build_fields()
    with gr.Accordion("Settings", open=False):
        format = gr.Radio(FORMATS, value=DEFAULTS.format, label="File format")
        crf = gr.Slider(
            0,
            MAX_CRF,
            CRF,
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
    settings = (start, end, format, crf, every, *look.components)
    for component, (name, argument) in zip(settings, SETTINGS.items(), strict=True):
        declare(component, name, argument)
    return settings, look


def _build_preview(part: VideoPart) -> tuple[gr.Slider, gr.HTML, gr.HTML, gr.HTML]:
    """The slider over the frames, what cuts there, the frame, what is in it, and who."""
    frame = theme.build_comparison("video-preview", "A frame of the video appears here.")
    slider = gr.Slider(0, 1, 0, step=1, label="Frame", visible=False, elem_id="video-frame")
    declare(slider, "frame", Number(default=0))
    seen = theme.build_message()
    part.build_buttons()
    return slider, frame, seen, face_strip.build("video-faces", face_strip.OF_VIDEO)


def _build_stage() -> tuple[gr.HTML, gr.Button, gr.DownloadButton]:
    """Where a video at work and its result are shown; until then, the preview is there."""
    stage = gr.HTML(
        {},
        html_template=theme.read("video_stage.html"),
        js_on_load=theme.read("video_stage.js"),
        elem_id="video-stage",
    )
    cancel = gr.Button("Cancel", visible=False, elem_id="video-cancel")
    download = gr.DownloadButton("Download the video", interactive=False, elem_id="video-download")
    return stage, cancel, download
