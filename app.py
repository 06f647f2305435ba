"""The demo: a Gradio page and its named endpoints.

Run `python app.py` and open the address it prints; nothing is fetched from the network.
SIMSWAP_MODEL names another model than the bundled one: a folder, or a repo id on the Hub.
"""

from __future__ import annotations

import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported

import gradio as gr

from demo import examples, face_strip, look, service
from demo.uploads import OneOrMoreFiles, read_upload
from simswap import SwapOptions
from simswap.media import MAX_FILE_BYTES

HOUR = 3600  # seconds
DEFAULTS = SwapOptions()
CHOICES = [("All faces", "all"), ("Largest face", "largest"), ("Faces I pick", "picked")]
FORMATS = [("PNG", "png"), ("JPEG", "jpeg")]


# Endpoints. Their docstrings are what the API page and an MCP client show.


def swap_image(
    source: list[str] | None,
    target: str | None,
    faces: str = "all",
    format: str = "png",
    match_colour: bool = DEFAULTS.match_colour,
    mask_softness: float = DEFAULTS.mask_softness,
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

    Returns:
        The new photo, and a summary: num_faces (found), swapped (their numbers), seconds (taken),
        notices (worth reading).
    """
    return service.swap_uploads(
        source or [],
        target,
        faces=faces,
        format=format,
        match_colour=match_colour,
        mask_softness=mask_softness,
    )


def detect_faces(
    photo: str | None, min_score: float = DEFAULTS.min_score
) -> list[dict[str, object]]:
    """Find the faces in a photo, largest first.

    Args:
        photo: The photo to look at.
        min_score: The lowest confidence that counts, 0 to 1.

    Returns:
        For each face its box [left, top, right, bottom], landmarks (left eye, right eye, nose, left
        and right corner of the mouth: each [x, y], as a viewer sees them) and score. Positions are
        pixels of the photo held upright.
    """
    with service.readable_errors():
        image = read_upload(photo).image
    return [
        {
            "box": face.box.round(1).tolist(),
            "landmarks": face.landmarks.round(1).tolist(),
            "score": round(float(face.score), 4),
        }
        for face in service.find_faces(image, min_score)
    ]


# Callbacks of the page. They take what the browser sends as it is (preprocess=False), since
# Gradio's own reading of an image would come before our limits on what may be decoded.


def load_example(event: gr.EventData) -> tuple[list[str], str]:
    """Fill in the source and the target."""
    return examples.paths(event.example)


def show_faces(target: dict | None, choice: str) -> tuple[dict, str, str]:
    """The strip of faces, a message, and the choice (picks are gone with their photo)."""
    choice = "largest" if choice == "largest" else "all"
    if target is None:
        return face_strip.EMPTY, "", choice
    try:
        with service.readable_errors():
            image = read_upload(target["path"]).image
        faces = service.find_faces(image, DEFAULTS.min_score)
    except gr.Error as error:
        return face_strip.EMPTY, look.message(error.message), choice
    return face_strip.show(image, faces, choice), look.message(look.count(len(faces))), choice


def swap_on_page(
    source: list[dict] | None,
    target: dict | None,
    choice: str,
    strip: dict,
    format: str,
    match_colour: bool,
    mask_softness: float,
) -> tuple[tuple[str, str], str, gr.DownloadButton, str]:
    """The before/after pair, the lossless result, its download, and what happened."""
    sources = [item["image"]["path"] for item in source or []]
    faces = ",".join(map(str, strip["picked"])) if choice == "picked" else choice
    path = target and target["path"]
    options = {"match_colour": match_colour, "mask_softness": mask_softness}
    result, summary = service.swap_uploads(sources, path, faces=faces, format="png", **options)
    return (path, result), result, offer(result, format), look.message(*look.tell(summary))


def offer(result: str | None, format: str) -> gr.DownloadButton:
    """The download button for a result (a path, or None before the first), in `format`."""
    label = f"Download {format.upper()}"
    if result is None:
        return gr.DownloadButton(label, interactive=False)
    path = result if format == "png" else service.convert_result(result, format)
    return gr.DownloadButton(label, value=path, interactive=True)


def build_page() -> gr.Blocks:
    """The page, with its events and endpoints."""
    with gr.Blocks(title="SimSwap", delete_cache=(HOUR // 6, HOUR)) as page:
        gr.HTML(look.HEADER)
        with gr.Tabs(), gr.Tab("Image"):
            build_image_tab()
        gr.HTML(look.fine_print(service.machine(), service.swapper.name))
        build_endpoints()
    return page


def build_image_tab() -> None:
    """Photos in, a photo out."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, elem_classes="half"):
            source, target = build_photo_inputs()
            found = build_message()
            strip = gr.HTML(
                face_strip.EMPTY,
                html_template=face_strip.HTML,
                js_on_load=face_strip.JS,
                elem_id="faces",
            )
            choice = gr.Radio(CHOICES, value="all", label="Faces to swap")
            settings = build_settings()
            swap = gr.Button("Swap", variant="primary", size="lg")
        with gr.Column(scale=6, elem_classes="half"):
            gr.HTML(look.heading("Result", "Drag the handle to compare."))
            slider = gr.ImageSlider(
                show_label=False,
                type="filepath",
                interactive=False,
                buttons=["fullscreen"],
                max_height=560,
                elem_id="result",
            )
            told = build_message()
            with gr.Row(elem_id="save"):
                format = gr.Radio(
                    FORMATS, value="png", label="File format", show_label=False, container=False
                )
                download = gr.DownloadButton("Download PNG", interactive=False, min_width=150)
            example = gr.HTML(examples.show(), html_template=examples.HTML, js_on_load=examples.JS)
    result = gr.State()  # path of the lossless one
    private = {"api_visibility": "private", "preprocess": False}
    in_browser = {"fn": None, "api_visibility": "private"}
    example.select(load_example, outputs=[source, target], api_visibility="private")
    target.change(show_faces, [target, choice], [strip, found, choice], **private)
    choice.input(
        js=face_strip.PICK_BY_CHOICE_JS, inputs=[choice, strip], outputs=strip, **in_browser
    )
    strip.input(js="() => 'picked'", outputs=choice, **in_browser)
    swap.click(
        swap_on_page,
        [source, target, choice, strip, format, *settings],
        [slider, result, download, told],
        concurrency_id="swap",
        **private,
    )
    format.input(offer, [result, format], download, **private)


def build_photo_inputs() -> tuple[gr.Gallery, gr.Image]:
    """Where the source photos and the target photo go."""
    with gr.Row():
        with gr.Column(min_width=160):
            gr.HTML(look.heading("Source", "One or more photos of one person."))
            source = gr.Gallery(
                label="Source photos",
                show_label=False,
                file_types=["image"],
                interactive=True,
                columns=2,
                height=260,
                object_fit="contain",  # "cover" cuts the head off a tall portrait
                buttons=[],
                elem_id="source",
            )
        with gr.Column(min_width=160):
            gr.HTML(look.heading("Target", "The photo to put the face into."))
            target = gr.Image(
                label="Target photo",
                show_label=False,
                sources=["upload", "clipboard"],
                height=260,
                buttons=[],
                elem_id="target",
            )
    return source, target


def build_settings() -> tuple[gr.Checkbox, gr.Slider]:
    """What few visitors change, in the order of swap_on_page's last arguments."""
    with gr.Accordion("Settings", open=False):
        return (
            gr.Checkbox(DEFAULTS.match_colour, label="Match the face's colours to the photo"),
            gr.Slider(0, 0.5, DEFAULTS.mask_softness, step=0.01, label="Softness of its edge"),
        )


def build_message() -> gr.HTML:
    """A line for the visitor, empty as yet, which screen readers say when it comes."""
    return gr.HTML(elem_classes="message", js_on_load=look.LIVE_REGION_JS)


def build_endpoints() -> None:
    """The endpoints' own components, which no page shows: they describe the arguments."""
    with gr.Row(visible=False):
        sources = gr.File(file_count="multiple", label="Source photos")
        sources.data_model = OneOrMoreFiles
        photo = gr.File(label="Photo")
        faces = gr.Textbox("all", label="Faces")
        format = gr.Textbox("png", label="Format")
        match_colour = gr.Checkbox(DEFAULTS.match_colour, label="Match colours")
        mask_softness = gr.Number(DEFAULTS.mask_softness, label="Softness of the edge")
        min_score = gr.Number(DEFAULTS.min_score, label="Lowest confidence")
        result, summary = gr.Image(label="Result"), gr.JSON(label="Summary")
        gr.Button().click(
            swap_image,
            [sources, photo, faces, format, match_colour, mask_softness],
            [result, summary],
            api_name="swap_image",
            concurrency_id="swap",
        )
        gr.Button().click(detect_faces, [photo, min_score], summary, api_name="detect_faces")


if __name__ == "__main__":
    build_page().queue(max_size=32, default_concurrency_limit=1).launch(
        theme=look.theme(),
        css_paths=look.PAGE_CSS,
        max_file_size=MAX_FILE_BYTES,
        allowed_paths=[str(examples.FOLDER)],
        footer_links=["api"],
        ssr_mode=False,
    )
