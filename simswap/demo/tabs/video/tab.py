"""The Video tab: photos and a video in, a video out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import gradio as gr

from simswap import VideoProgress
from simswap.demo import consent
from simswap.demo.calls.arguments import File, Number, Text, declare
from simswap.demo.calls.failures import readable_errors
from simswap.demo.choices import VideoChoices
from simswap.demo.look import theme, video
from simswap.demo.services import shipped, videos
from simswap.demo.services.videos import Outcome
from simswap.demo.tabs import examples, face_strip, looks, people
from simswap.demo.tabs.looks import Looks
from simswap.demo.tabs.shared import Shared, any_of
from simswap.demo.tabs.video import cast, job, part
from simswap.demo.tabs.video.cast import Seen
from simswap.video.output.writing import ANIMATION_FORMATS, Encoding

DEFAULTS = VideoChoices()
FORMATS = [("MP4", "mp4"), ("WebM", "webm"), ("GIF", "gif"), ("Animated WebP", "webp")]
KEEP = gr.skip()
# Of VideoChoices: what the tab's own components give.
SETTINGS = {
    "format": Text(default=DEFAULTS.format),
    "crf": Number(),
    "detect_every": Number(default=DEFAULTS.detect_every),
    **looks.SETTINGS,
}
# An address has one of the two places: a preview may take seven seconds.
PREVIEWS = {"concurrency_id": "preview", "concurrency_limit": 2, "trigger_mode": "always_last"}
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


def load_example() -> tuple[dict[str, object], list[str], str]:
    """Fill in one person, their photos, and the target."""
    source = shipped.copied_source()
    return people.of_photos(source), source, shipped.copied_clip()


def show_video(
    is_agreed: bool,
    tray: dict,
    target: dict | None,
    bar: dict | None,
    strip: dict,
    seen: Seen | None,
    model: str,
    *settings: object,
) -> tuple[object, ...]:
    """What a video holds, the film itself and its bar, once; and the frame at the bar.

    And who is seen in that, see `_look_at_frame`.
    """
    nothing = {}, {}, None, "", face_strip.EMPTY, None
    if target is None:  # no update: a tab not yet opened has nothing to keep
        return video.allowed(), *nothing
    path = target["path"]
    if part.is_of(bar, path):
        frame, said, longer, seen = _look_at_frame(
            is_agreed, tray, path, bar, strip, seen, model, *settings
        )
        return KEEP, KEEP, KEEP, frame, said, KEEP if longer is None else longer, seen
    try:
        with readable_errors():
            info = videos.look_at(path)
    except gr.Error as error:
        return theme.message(error.message), *nothing
    frame, said, longer, seen = _look_at_frame(
        is_agreed, tray, path, None, face_strip.EMPTY, None, model, *settings
    )
    film, bar = video.film(info, path, frame and frame["before"]), part.show(info, path)
    return video.found(info), film, bar, frame, said, longer or face_strip.EMPTY, seen


def show_quality(format: str) -> dict[str, object]:
    """The usual quality of a format, as the scales differ; an animation has none."""
    encoding = Encoding(format)
    return gr.update(visible=not encoding.is_animation, value=encoding.quality or CRF)


def _look_at_frame(
    is_agreed: bool,
    tray: dict,
    path: str,
    bar: dict | None,
    strip: dict,
    seen: Seen | None,
    model: str,
    *settings: object,
) -> tuple[dict[str, object] | None, str, dict[str, object] | None, Seen | None]:
    """A frame before and after (as it is, without consent), and what is in it.

    Then the strip of people, None if it stays as it is, and those who were seen.
    """
    try:
        with readable_errors():
            given, roles = cast.put_in(tray, strip, seen, path, model)
            photos = [photo for person in given for photo in person.photos]
            is_given = photos and consent.is_given(is_agreed, [*photos, path])
            shown, choices = given if is_given else [], _choices(model, settings)
            number = part.frame_of(bar, path)
            preview = videos.preview(shown, path, number, choices, roles)
    except gr.Error as error:
        return None, theme.message(error.message), None, seen
    seen, longer = cast.with_new(seen, strip, path, model, preview)
    shown = {"before": preview.before, "after": preview.after, "faces": []}
    return shown, video.previewed(preview), longer, seen


def swap_on_page(visit: str, *given: object) -> None:
    """Swap the video as the visit's job, by `_steps`; the page asks how far it is."""
    job.run(visit, _steps(*given))


def _steps(
    is_agreed: bool,
    tray: dict,
    target: dict | None,
    bar: dict | None,
    strip: dict,
    seen: Seen | None,
    model: str,
    *settings: object,
) -> Iterator[VideoProgress | Outcome]:
    path = target and target["path"]
    given, roles = cast.put_in(tray, strip, seen, path, model)
    photos = [photo for person in given for photo in person.photos]
    choices = _choices(model, settings, **part.part_of(bar, path))
    if photos and path:  # what else is missing comes first
        consent.check_ticked(is_agreed, [*photos, path])
    yield from videos.swap_uploads(given, path, choices, roles)


def _choices(model: str, settings: Sequence[object], **more: float | None) -> VideoChoices:
    """settings: of SETTINGS, in its order; more: what else is known of VideoChoices."""
    given = dict(zip(SETTINGS, settings, strict=True))
    if given["format"] in ANIMATION_FORMATS:
        given["crf"] = None  # its slider is hidden, and still sends a number
    return VideoChoices(model=model, **given, **more)


def build(above: Shared) -> None:
    """The tab's components and events; call it inside of its gr.Tab."""
    example = examples.build(examples.film())
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, elem_classes="half"):
            target, film, found = _build_inputs(above)
            with gr.Group(elem_classes="action"):
                agreed = above.build_consent("video-consent")
                swap = gr.Button("Swap the video", variant="primary", size="lg")
            said = theme.build_message()
            settings, look = _build_settings()
        with gr.Column(scale=6, elem_classes="half", elem_id="video-stage-column"):
            gr.HTML(theme.heading("Video", "Any frame, swapped at once; then the whole film."))
            stage, cancel, download = _build_stage()
            with gr.Column(elem_id="video-previewing"):
                bar, frame, said_of_frame, strip = _build_preview()
    seen = gr.State()
    private = {"api_visibility": "private", "preprocess": False}
    at_once = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    shown = {**private, **PREVIEWS, "show_progress_on": frame}
    format, crf, *_ = settings
    tray = above.people.tray
    given = [agreed, tray, target, bar, strip, seen, above.model, *settings]
    format.input(show_quality, format, crf, **at_once)
    redone = (tray.chosen, strip.input, *look.changes)
    # One event for all that changes a preview: of two, the older one's answer may come last.
    looked = gr.on(
        any_of(target.change, bar.look, agreed.change, above.model.input, *redone),
        show_video,
        given,
        [found, film, bar, frame, said_of_frame, strip, seen],
        **shown,
    )
    in_browser = {"fn": None, "api_visibility": "private"}
    for changed in (looked.then, tray.change):
        changed(js=face_strip.THE_OPEN_ONE_JS, inputs=[tray, strip], outputs=strip, **in_browser)
    for wanted in (target.change, *redone):
        wanted(js=PREVIEW_JS, inputs=target, **in_browser)
    filling = [tray, above.people.photos, target]
    filled = example.select(
        load_example, outputs=filling, api_visibility="private", show_progress="hidden"
    )
    asked = swap.click, filled.success
    job.join(asked, swap, cancel, above.clock, swap_on_page, given, [stage, download, said])


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


def _build_settings() -> tuple[tuple[gr.components.Component, ...], Looks]:
    """In the order of SETTINGS; and those of them that a preview shows."""
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
    settings = (format, crf, every, *look.components)
    for component, (name, argument) in zip(settings, SETTINGS.items(), strict=True):
        declare(component, name, argument)
    return settings, look


def _build_preview() -> tuple[gr.HTML, gr.HTML, gr.HTML, gr.HTML]:
    """The bar, the frame above it, what is in that, and who."""
    frame = theme.build_comparison("video-preview", "A frame of the video appears here.")
    bar = part.build()
    seen = theme.build_message()
    return bar, frame, seen, face_strip.build("video-faces", face_strip.OF_VIDEO)


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
