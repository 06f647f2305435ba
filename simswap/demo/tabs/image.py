"""The Image tab: photos in, a photo out.

comparison.js says when to swap: at a click, and by itself once something has changed after that.
"""

from __future__ import annotations

import json
from dataclasses import replace

import gradio as gr

from simswap import OptionError
from simswap.demo import consent, models
from simswap.demo.calls.arguments import File, Number, Parts, Text, declare
from simswap.demo.calls.failures import readable_errors
from simswap.demo.calls.queue import waiting_line
from simswap.demo.choices import DEFAULTS, Choices
from simswap.demo.look import theme
from simswap.demo.services import photos, shipped
from simswap.demo.services.allowances import OWN_LANE, SWAP_LANE, in_lane, new_lane
from simswap.demo.services.uploads import read_upload
from simswap.demo.tabs import examples, face_strip, looks, people
from simswap.demo.tabs.shared import Shared

FORMATS = [("PNG", "png"), ("JPEG", "jpeg")]
# Of Choices: what the tab's own components give.
SETTINGS = {"format": Text(default="png"), **looks.SETTINGS}
# (shown, tray, target) -> shown, download, said: what was there is out of date.
CHANGED_JS = """
(shown, tray, target) => [
  {
    ...shown,
    version: Math.random(),
    ready: Boolean(tray.people.some((one) => one.photos.length) && target),
    isAsked: %s,
  },
  { __type__: "update", interactive: false },
  "",
]
"""
# The box matters to nothing that is swapped already: only to what waits, or lacked it.
AGREED_JS = f"""
(shown, ...given) => "ready" in shown || "missing" in shown
  ? ({CHANGED_JS.strip() % "false"})(shown, ...given)
  : Array(3).fill({{ __type__: "update" }})
"""
REFUSED_JS = f"""(shown) => [
    {{ version: shown?.version, missing: "" }},
    {json.dumps(theme.message(waiting_line.BUSY))},
]"""


# Callbacks of the page. They take what the browser sends as it is (preprocess=False), since
# Gradio's own reading of an image would come before our limits on what may be decoded.


def load_example(event: gr.EventData) -> tuple[dict, list[str], str]:
    """Fill in one person, their photos, and the target."""
    data = event._data
    source, target = shipped.copies(data.get("example") if isinstance(data, dict) else None)
    return people.of_photos(source), source, target


@in_lane(new_lane())
def show_faces(target: dict | None, model: str) -> tuple[dict, str]:
    """The strip of faces, and a message if there is none."""
    if target is None:
        return face_strip.EMPTY, ""
    try:
        with readable_errors():
            image = read_upload(target["path"]).image
            faces = photos.find_faces(image, DEFAULTS.min_score, model)
    except gr.Error as error:
        return face_strip.EMPTY, theme.message(error.message)
    strip = face_strip.show(image, faces, target["path"])
    return strip, "" if faces else theme.message(theme.NO_FACE)


def swap_on_page(
    shown: object,
    is_agreed: bool,
    tray: dict,
    target: dict | None,
    strip: dict,
    model: str,
    *settings: object,
) -> tuple[dict[str, object], tuple[str, str] | None, gr.DownloadButton, str]:
    """What the comparison shows, the result (see `offer`), its download, and what happened."""
    version = {"version": shown.get("version") if isinstance(shown, dict) else None}
    given, path = people.all_of(tray), target and target["path"]
    sources = [photo for person in given.values() for photo in person.photos]
    missing = ""
    try:
        with readable_errors():
            missing = "target" if given else "source"
            if not (given and path):
                raise OptionError(theme.MISSING_PHOTO[missing])
            missing = "consent"
            consent.check_ticked(is_agreed, [*sources, path])
            missing = "faces"
            model, faces = models.by_name(model).name, face_strip.picked(strip, path)
            who = face_strip.assigned(strip, path, list(given))
            missing = ""
            values = dict(zip(SETTINGS, settings, strict=True))
            choices = Choices(model=model, faces=faces, **values)
            photos.suffix_of(choices.format)  # refused before the work
            # What is compared is lossless; the download may be of another kind.
            lossless = replace(choices, format="png")
            swapped, summary, boxes = photos.swap_and_locate(
                list(given.values()), path, lossless, who
            )
            result = (swapped, model)
            download = offer(result, choices.format)
    except gr.Error as error:
        refusal = {**version, "missing": missing}
        return refusal, gr.skip(), gr.skip(), theme.message(error.message)
    compared = {**version, "before": path, "after": swapped, "faces": boxes}
    return compared, result, download, theme.message(*theme.summary(summary))


def offer(result: tuple[str, str] | None, format: str) -> gr.DownloadButton:
    """The download button, in `format`, for a result: its lossless file, and who made it.

    None is offered before the first.
    """
    label = f"Download {format.upper()}"
    if result is None:
        return gr.DownloadButton(label, interactive=False)
    path, model = result
    path = path if format == "png" else photos.convert_result(path, format, model)
    return gr.DownloadButton(label, value=path, interactive=True)


def build(above: Shared) -> None:
    """The tab's components and events; call it inside of its gr.Tab."""
    example = examples.build(examples.photos())
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, elem_classes="half"):
            target = build_photo_inputs(above)
            with gr.Group(elem_classes="action"):
                agreed = above.build_consent("consent")
                swap = gr.Button("Swap", variant="primary", size="lg", elem_id="swap")
            said = theme.build_message()
            found, strip = theme.build_message(), face_strip.build("faces", face_strip.OF_TARGET)
            with gr.Accordion("Settings", open=False):
                look = looks.build("photo")
        with gr.Column(scale=6, elem_classes="half"):
            gr.HTML(theme.heading("Result", "The swapped photo, whole."))
            shown = theme.build_comparison("result", "The swap appears here.")
            format, download = build_download()
    settings = (format, *look.components)
    for component, (name, argument) in zip(settings, SETTINGS.items(), strict=True):
        declare(component, name, argument)
    declare(shown, "shown", Parts(parts={"version": Number(default=0)}))
    result = gr.State()
    tray = above.people.tray
    private = {"api_visibility": "private", "preprocess": False, "show_progress": "hidden"}
    in_browser = {"fn": None, "api_visibility": "private"}
    given = [shown, agreed, tray, target, strip, above.model, *settings]
    run = shown.again(
        swap_on_page,
        given,
        [shown, result, download, said],
        trigger_mode="multiple",  # the one before is cancelled
        **SWAP_LANE,
        **private,
    )
    run.failure(js=REFUSED_JS, inputs=shown, outputs=[shown, said], **in_browser)
    marking = {"inputs": [shown, tray, target], "outputs": [shown, download, said]}
    changes = (target.change, tray.people, strip.input)
    for changed in (*changes, *look.changes, above.model.input):
        changed(js=CHANGED_JS % "false", cancels=run, **marking, **in_browser)
    agreed.change(js=AGREED_JS, cancels=run, **marking, **in_browser)
    filled = example.select(
        load_example,
        outputs=[tray, above.people.photos, target],
        api_visibility="private",
        show_progress="hidden",
    )
    for asked in (swap.click, filled.success):
        asked(js=CHANGED_JS % "true", cancels=run, **marking, **in_browser)
    format.input(offer, [result, format], download, **private)
    _join_strip(above, target, strip, found)


def _join_strip(above: Shared, target: gr.Image, strip: gr.HTML, found: gr.HTML) -> None:
    """Let the strip show the target's faces, and who goes there; found: a message beside it."""
    private = {"api_visibility": "private", "preprocess": False, "show_progress": "hidden"}
    tray = above.people.tray
    naming = {"fn": None, "js": face_strip.IN_TURN_JS, "inputs": [tray, strip], "outputs": strip}
    tray.change(**naming, api_visibility="private")
    shows = gr.on(
        [target.change, above.model.input],
        show_faces,
        [target, above.model],
        [strip, found],
        trigger_mode="always_last",
        **OWN_LANE,
        **private,
    )
    shows.then(**naming, api_visibility="private")


def build_photo_inputs(above: Shared) -> gr.Image:
    """Where the source photos and the target photo go."""
    with gr.Row(elem_classes="inputs"):
        above.people.build_place(is_first=True)
        with gr.Column(min_width=140):
            gr.HTML(theme.heading("Target", "Into which photo?"))
            target = gr.Image(
                label="Target photo",
                show_label=False,
                sources=["upload"],  # what else stands on a filled one deletes the photo
                height=230,
                buttons=[],
                placeholder=f"Drop a photo\nor tap to choose\nup to {theme.MOST_MEGABYTES} MB",
                elem_id="target",
            )
            declare(target, "target", File())
    return target


def build_download() -> tuple[gr.Radio, gr.DownloadButton]:
    """How the result is saved."""
    with gr.Row(elem_id="save"):
        format = gr.Radio(
            FORMATS, value="png", label="File format", show_label=False, container=False
        )
        return format, gr.DownloadButton("Download PNG", interactive=False, min_width=150)
