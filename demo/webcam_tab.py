"""The Webcam tab: the visitor's own camera, live, with somebody else's face.

The page's script (webcam_view.js) sends frames over a WebSocket where it can, else by Gradio's
`.stream`; both have one frame in flight, so a picture is never older than one swap.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import gradio as gr
from gradio.context import Context

from demo import (
    consent,
    live_service,
    look,
    model_picker,
    service,
    source_photos,
    waiting_line,
    webcam_socket,
)
from demo.arguments import Text, declare
from demo.live_sessions import MAX_SESSIONS
from simswap import MediaError, OptionError, SimSwapError
from simswap.media import Photo

CHOICES = [("All faces", "all"), ("Largest face", "largest")]
VIEW_HTML = Path(__file__).with_name("webcam_view.html").read_text(encoding="utf-8")
VIEW_JS = Path(__file__).with_name("webcam_view.js").read_text(encoding="utf-8")
STREAM_SECONDS = 300  # of one run of `.stream`; the page then begins another
DATA_URI = "data:image/jpeg;base64,"


# Callbacks of the page. What the view's value holds is said in webcam_view.js.


def begin(
    is_agreed: bool,
    source: list[dict] | None,
    faces: str,
    model: str,
    request: gr.Request,
) -> dict[str, object]:
    """Open the page's session; the view then asks for the camera."""
    try:
        with service.readable_errors():
            consent.check_ticked(is_agreed)
        session = live_service.open_session(
            request.session_hash, source_photos.paths(source), faces, model
        )
    except gr.Error as error:
        return {"refused": error.message}
    # A GPU that is lent call by call is lent to Gradio's own calls only.
    path = None if live_service.IS_GPU_LENT else webcam_socket.PATH
    return {"token": session.token, "socket": path}


def change_model(
    is_agreed: bool,
    source: list[dict] | None,
    faces: str,
    model: str,
    request: gr.Request,
) -> dict[str, object]:
    """Let the camera, if it is on, go on with another model; or end it and say why."""
    if not live_service.sessions.has(request.session_hash):
        return gr.skip()
    try:
        with service.readable_errors():
            consent.check_ticked(is_agreed)
        photos = source_photos.paths(source)
        live_service.change_session(request.session_hash, photos, faces, model)
    except gr.Error as error:
        return {"refused": error.message}
    return gr.skip()


def refuse() -> dict[str, object]:
    """The view when what it asked for was not taken; other refusals it is told in answer."""
    return {"refused": waiting_line.BUSY}


def swap_frame(sent: dict, request: gr.Request) -> dict[str, object]:
    """One frame over Gradio's stream."""
    try:
        session = live_service.sessions.of_page(request.session_hash)
        if not isinstance(sent, dict) or sent.get("token") != session.token:
            raise OptionError("This session has ended. Press Start camera to begin a new one.")
        frame = session.swap(_jpeg_of(sent.get("frame")))
    except SimSwapError as error:
        return {"refused": str(error)}
    return {
        "answers": sent.get("number"),
        "frame": DATA_URI + base64.b64encode(frame.jpeg).decode(),
        "faces": frame.num_faces,
        "swapped": frame.num_swapped,
    }


def take_snapshot(request: gr.Request) -> gr.Image:
    """The newest swapped frame as a marked photo, unmirrored, as others see the visitor."""
    with service.readable_errors():
        newest, model = live_service.sessions.of_page(request.session_hash).snapshot()
        path, _ = service.write_result(newest, Photo(newest), ".png", model)
    return gr.Image(path, visible=True)


def end(request: gr.Request) -> None:
    """Forget the page's session."""
    live_service.sessions.close(request.session_hash)


def build() -> None:
    """The tab's components and events; call it inside of its gr.Tab."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, elem_classes="half"):
            source = source_photos.build("webcam-source")
            faces = gr.Radio(CHOICES, value="all", label="Faces to swap")
            declare(faces, "faces", Text(default="all"))
            gr.HTML(look.message(*look.WEBCAM_HINTS), elem_classes="message")
        with gr.Column(scale=6, elem_classes="half"):
            gr.HTML(look.heading("Camera", "You see yourself as in a mirror."))
            view = gr.HTML({}, html_template=VIEW_HTML, js_on_load=VIEW_JS, elem_id="webcam")
            snapshot = gr.Image(
                label="Snapshot",
                type="filepath",
                interactive=False,
                visible=False,
                buttons=["download", "fullscreen"],
                elem_id="snapshot",
            )
    private = {"api_visibility": "private", "show_progress": "hidden"}
    model = model_picker.dropdown()
    asked = [consent.checkbox(), source, faces, model]
    # In turn: a change during the beginning finds the session that it is for.
    opening = {"preprocess": False, "concurrency_id": "camera", "concurrency_limit": 1}
    for asks in (
        view.begin(begin, asked, view, **opening, **private),
        model.input(change_model, asked, view, **opening, **private),
    ):
        asks.failure(refuse, outputs=view, queue=False, **private)
    view.stream(
        swap_frame,
        view,
        view,
        time_limit=STREAM_SECONDS,
        concurrency_limit=MAX_SESSIONS,
        **private,
    )
    view.snapshot(take_snapshot, None, snapshot, **private)
    view.end(end, queue=False, **private)
    Context.root_block.unload(end)


def _jpeg_of(data_uri: object) -> bytes:
    try:
        return base64.b64decode(str(data_uri).removeprefix(DATA_URI), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediaError("A camera frame is not a whole JPEG. Stop and start again.") from error
