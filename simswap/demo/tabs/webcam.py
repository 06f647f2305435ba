"""The Webcam tab: the visitor's own camera, live, with somebody else's face.

The page's script (webcam_view.js) sends frames over a WebSocket where it can, else by Gradio's
`.stream`, one frame in flight. By the socket as many are as keep the server busy, and no more.
"""

from __future__ import annotations

import base64
import binascii
import contextlib

import gradio as gr

from simswap import MediaError, OptionError, SimSwapError
from simswap.demo import consent
from simswap.demo.calls.arguments import Number, Parts, Text, declare
from simswap.demo.calls.failures import readable_errors
from simswap.demo.calls.queue import waiting_line
from simswap.demo.choices import Choices
from simswap.demo.look import theme
from simswap.demo.server import webcam_socket
from simswap.demo.server.visitors import visitor_of
from simswap.demo.services import live, nsfw, photos, shipped
from simswap.demo.services.allowances import OWN_LANE
from simswap.demo.services.live_sessions import MAX_SESSIONS
from simswap.demo.tabs import examples, people
from simswap.demo.tabs.shared import Shared, any_of
from simswap.media.photos import Photo

CHOICES = [("All faces", "all"), ("Largest face", "largest")]
VIEW_HTML, VIEW_JS = theme.read("webcam_view.html"), theme.read("webcam_view.js")
STREAM_SECONDS = 300  # of one run of `.stream`; the page then begins another
DATA_URI = "data:image/jpeg;base64,"
MAX_URI = 1_000_000  # characters of a frame

# The snapshot is seen, and joins the visit's results.
TELL_JS = """
(snapshot) => {
  const detail = { url: snapshot.url, kind: "photo" };
  document.dispatchEvent(new CustomEvent("simswap-result", { detail }));
  const shown = document.getElementById("snapshot");
  const look = () => shown.scrollIntoView({ block: "nearest" });
  shown.addEventListener("load", look, { capture: true, once: true });
  look();
}
"""


# Callbacks of the page. What the view's value holds is said in webcam_view.js.


def load_example() -> tuple[dict[str, object], list[str]]:
    """Fill in one person and their photos."""
    source = shipped.copied_source()
    return people.of_photos(source), source


def begin(
    is_agreed: bool,
    tray: dict,
    faces: str,
    model: str,
    view: object,
    request: gr.Request,
) -> dict[str, object]:
    """Open the page's session, in place of its last; the view then asks for the camera."""
    # A call from this process comes from nowhere.
    address = visitor_of(request.request.scope).address if request.request else ""
    person = people.chosen_of(tray)
    missing = "webcam-consent" if person.photos else "source"
    try:
        with readable_errors():
            if person.photos:  # what else is missing comes first
                consent.check_ticked(is_agreed)
                missing = ""
            choices = Choices(faces=faces, model=model)
            session = live.open_session(_token(view), person, choices, address)
    except gr.Error as error:
        return {"refused": error.message, "missing": missing}
    # A GPU that is lent call by call is lent to Gradio's own calls only.
    path = None if live.IS_GPU_LENT else webcam_socket.PATH
    return {"token": session.token, "socket": path}


def change(
    is_agreed: bool,
    tray: dict,
    faces: str,
    model: str,
    view: object,
) -> dict[str, object]:
    """Let the camera, if it is on, go on with what was chosen; or end it and say why."""
    try:
        session = live.sessions.shown(_token(view))
    except OptionError:
        return gr.skip()
    try:
        with readable_errors():
            consent.check_ticked(is_agreed)
            choices = Choices(faces=faces, model=model)
            live.change_session(session, people.chosen_of(tray), choices)
    except gr.Error as error:
        return {"refused": error.message}
    return gr.skip()


def refuse() -> dict[str, object]:
    """The view when its request was not taken by the queue; other refusals come as answers."""
    return {"refused": waiting_line.BUSY}


def swap_frame(sent: object) -> dict[str, object]:
    """One frame over Gradio's stream."""
    try:
        session = live.sessions.shown(_token(sent))
        number, frame = sent.get("number"), session.swap(_jpeg_of(sent.get("frame")))
    except SimSwapError as error:
        return {"refused": str(error)}
    return {
        "token": session.token,
        "answers": number if isinstance(number, int) else None,
        "frame": DATA_URI + base64.b64encode(frame.jpeg).decode(),
        "faces": frame.num_faces,
        "swapped": frame.num_swapped,
    }


def take_snapshot(view: object) -> gr.Image:
    """The newest swapped frame as a marked photo, unmirrored, as others see the visitor."""
    session = live.sessions.shown(_token(view))
    newest, model = session.snapshot()
    nsfw.check(newest, "The snapshot")
    path, _ = photos.write_result(newest, Photo(newest), ".png", model)
    return gr.Image(path, visible=True)


def end(view: object) -> None:
    """Forget the page's session, if it still has one."""
    with contextlib.suppress(OptionError):
        live.sessions.end(live.sessions.shown(_token(view)))


def build(above: Shared) -> None:
    """The tab's components and events; call it inside of its gr.Tab."""
    example = examples.build(examples.person())
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, elem_classes="half"):
            above.people.build_place()
            faces = gr.Radio(CHOICES, value="all", label="Faces to swap")
            declare(faces, "faces", Text(default="all"))
            gr.HTML(theme.message(*theme.WEBCAM_HINTS), elem_classes="message")
        with gr.Column(scale=6, elem_classes="half"):
            gr.HTML(theme.heading("Camera", "You, live, with the new face."))
            agreed = above.build_consent("webcam-consent")
            view, snapshot = _build_view()
    private = {"api_visibility": "private", "show_progress": "hidden"}
    tray = above.people.tray
    example.select(load_example, outputs=[tray, above.people.photos], **private)
    asked = [agreed, tray, faces, above.model, view]
    # In turn, for each address. A change during the beginning knows no token of the session yet.
    opening = {"preprocess": False, "concurrency_id": "camera", **OWN_LANE}
    begun = view.begin(begin, asked, view, **opening, **private)
    following = {"trigger_mode": "always_last", **opening, **private}
    changes = any_of(tray.chosen, faces.input, agreed.change, above.model.input)
    changed = (
        begun.success(change, asked, view, **following),
        gr.on(changes, change, asked, view, **following),
    )
    for asks in (begun, *changed):
        asks.failure(refuse, outputs=view, queue=False, **private)
    view.stream(
        swap_frame,
        view,
        view,
        time_limit=STREAM_SECONDS,
        concurrency_limit=MAX_SESSIONS,
        **private,
    )
    taken = view.snapshot(take_snapshot, view, snapshot, **private)
    taken.success(js=TELL_JS, inputs=snapshot, fn=None, api_visibility="private")
    view.end(end, view, queue=False, **private)


def _build_view() -> tuple[gr.HTML, gr.Image]:
    """The camera's picture, and the newest snapshot below it."""
    view = gr.HTML({}, html_template=VIEW_HTML, js_on_load=VIEW_JS, elem_id="webcam")
    sent = {"token": Text(), "number": Number(), "frame": Text(max_length=MAX_URI)}
    declare(view, "view", Parts(parts=sent))
    snapshot = gr.Image(
        label="Snapshot",
        type="filepath",
        interactive=False,
        visible=False,
        buttons=["download", "fullscreen"],
        elem_id="snapshot",
    )
    return view, snapshot


def _token(view: object) -> object:
    """The token in the view's value; a page's hash, which stands in addresses, is no proof."""
    return view.get("token") if isinstance(view, dict) else None


def _jpeg_of(data_uri: object) -> bytes:
    try:
        return base64.b64decode(str(data_uri).removeprefix(DATA_URI), validate=True)
    except (binascii.Error, ValueError) as error:
        raise MediaError("A camera frame is not a whole JPEG. Stop and start again.") from error
