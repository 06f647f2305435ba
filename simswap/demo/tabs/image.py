"""The Image tab: photos in, a photo out."""

from __future__ import annotations

from dataclasses import replace

import gradio as gr

from simswap.demo import consent, models
from simswap.demo.calls.arguments import File, Flag, Number, Numbers, Parts, Text, declare
from simswap.demo.calls.failures import readable_errors, thrifty
from simswap.demo.choices import DEFAULTS, Choices
from simswap.demo.look import theme
from simswap.demo.services import photos
from simswap.demo.services.uploads import read_upload
from simswap.demo.tabs import examples, face_strip, shared
from simswap.demo.tabs.shared import Shared

CHOICES = [("All faces", "all"), ("Largest face", "largest"), ("Faces I pick", "picked")]
FORMATS = [("PNG", "png"), ("JPEG", "jpeg")]
# Of Choices: what the tab's own components give.
SETTINGS = {
    "faces": Text(default="all"),
    "format": Text(default="png"),
    "match_colour": Flag(default=DEFAULTS.match_colour),
    "mask_softness": Number(default=DEFAULTS.mask_softness),
}


# Callbacks of the page. They take what the browser sends as it is (preprocess=False), since
# Gradio's own reading of an image would come before our limits on what may be decoded.


def load_example(event: gr.EventData) -> tuple[list[str], str]:
    """Fill in the source and the target."""
    data = event._data
    return examples.copies(data.get("example") if isinstance(data, dict) else None)


@thrifty
def show_faces(target: dict | None, choice: str, model: str) -> tuple[dict, str, str]:
    """The strip of faces, a message, and the choice (picks are gone with their photo)."""
    choice = "largest" if choice == "largest" else "all"
    if target is None:
        return face_strip.EMPTY, "", choice
    try:
        with readable_errors():
            image = read_upload(target["path"]).image
            faces = photos.find_faces(image, DEFAULTS.min_score, model)
    except gr.Error as error:
        return face_strip.EMPTY, theme.message(error.message), choice
    return face_strip.show(image, faces, choice), theme.message(theme.count(len(faces))), choice


def swap_on_page(
    is_agreed: bool,
    source: list[dict] | None,
    target: dict | None,
    strip: dict,
    model: str,
    *settings: object,
) -> tuple[tuple[str, str], tuple[str, str], gr.DownloadButton, str]:
    """The before/after pair, the result (see `offer`), its download, and what happened."""
    consent.check_ticked(is_agreed)
    model = models.by_name(model).name
    choices = Choices(model=model, **dict(zip(SETTINGS, settings, strict=True)))
    if choices.faces == "picked":
        choices = replace(choices, faces=face_strip.picked(strip))
    photos.suffix_of(choices.format)  # refused before the work
    path = target and target["path"]
    lossless = replace(choices, format="png")  # what is compared; the download may be another
    swapped, summary = photos.swap_uploads(shared.paths(source), path, lossless)
    result, lines = (swapped, model), theme.summary(summary)
    return (path, swapped), result, offer(result, choices.format), theme.message(*lines)


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
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, elem_classes="half"):
            source, target = build_photo_inputs()
            found = theme.build_message()
            strip = gr.HTML(
                face_strip.EMPTY,
                html_template=face_strip.HTML,
                js_on_load=face_strip.JS,
                elem_id="faces",
            )
            declare(strip, "strip", Parts(parts={"picked": Numbers()}))
            choice = gr.Radio(CHOICES, value="all", label="Faces to swap")
            colour, softness = build_settings()
            swap = gr.Button("Swap", variant="primary", size="lg")
        with gr.Column(scale=6, elem_classes="half"):
            gr.HTML(theme.heading("Result", "Drag the handle to compare."))
            slider = theme.build_comparison("result", max_height=560)
            said = theme.build_message()
            with gr.Row(elem_id="save"):
                format = gr.Radio(
                    FORMATS, value="png", label="File format", show_label=False, container=False
                )
                download = gr.DownloadButton("Download PNG", interactive=False, min_width=150)
            example = gr.HTML(examples.show(), html_template=examples.HTML, js_on_load=examples.JS)
    settings = (choice, format, colour, softness)
    for component, (name, argument) in zip(settings, SETTINGS.items(), strict=True):
        declare(component, name, argument)
    result = gr.State()
    private = {"api_visibility": "private", "preprocess": False}
    in_browser = {"fn": None, "api_visibility": "private"}
    example.select(load_example, outputs=[source, target], api_visibility="private")
    for changed in (target.change, above.model.input):
        changed(show_faces, [target, choice, above.model], [strip, found, choice], **private)
    choice.input(
        js=face_strip.PICK_BY_CHOICE_JS, inputs=[choice, strip], outputs=strip, **in_browser
    )
    strip.input(js="() => 'picked'", outputs=choice, **in_browser)
    swap.click(
        swap_on_page,
        [above.consent, source, target, strip, above.model, *settings],
        [slider, result, download, said],
        concurrency_id="swap",
        **private,
    )
    format.input(offer, [result, format], download, **private)


def build_photo_inputs() -> tuple[gr.Gallery, gr.Image]:
    """Where the source photos and the target photo go."""
    with gr.Row():
        with gr.Column(min_width=160):
            source = shared.build_sources("source")
        with gr.Column(min_width=160):
            gr.HTML(theme.heading("Target", "The photo to put the face into."))
            target = gr.Image(
                label="Target photo",
                show_label=False,
                sources=["upload", "clipboard"],
                height=260,
                buttons=[],
                elem_id="target",
            )
            declare(target, "target", File())
    return source, target


def build_settings() -> tuple[gr.Checkbox, gr.Slider]:
    """What few visitors change."""
    with gr.Accordion("Settings", open=False):
        colour = gr.Checkbox(DEFAULTS.match_colour, label="Match the face's colours to the photo")
        softness = gr.Slider(
            0, 0.5, DEFAULTS.mask_softness, step=0.01, label="Softness of its edge"
        )
    return colour, softness
