"""A video's job on the page: waiting, at work, cancelled, at its end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import gradio as gr

from simswap.demo.calls import waiting_line
from simswap.demo.look import theme, video

PLACE_EVERY = 3  # s
CANCELLED = theme.message("Cancelled. Nothing was kept.")
# (said) -> progress, said, swap, cancel, clock: as `end` does, which Gradio leaves out here.
ENDED_JS = """
(said) => ["", %s, { __type__: "update", interactive: true },
  { __type__: "update", interactive: false }, { __type__: "update", active: false }]
"""
CANCELLED_JS = ENDED_JS % json.dumps(CANCELLED)
REFUSED_JS = ENDED_JS % f"said || {json.dumps(theme.message(waiting_line.BUSY))}"
SHOW_JS = """
() => document.getElementById("video-result")?.scrollIntoView({ block: "nearest" })
"""


def begin() -> tuple[object, ...]:
    """The page at the start of a job: an old result is gone, and it can be cancelled."""
    return (
        video.waiting(),
        gr.Video(None, visible=False),
        gr.DownloadButton(value=None, interactive=False),
        "",
        gr.Button(interactive=False),
        gr.Button(interactive=True),
        gr.Timer(active=True),
    )


def show_place(request: gr.Request) -> object:
    """How many videos come before the page's own, while it waits."""
    num_before = waiting_line.place("video", request.session_hash)
    return gr.skip() if num_before is None else video.waiting(num_before)


def end() -> tuple[str, gr.Button, gr.Button, gr.Timer]:
    """The page when a job has ended, however it did."""
    return "", gr.Button(interactive=True), gr.Button(interactive=False), gr.Timer(active=False)


def join(
    swap: gr.Button,
    cancel: gr.Button,
    work: Callable[..., Iterator[tuple[object, ...]]],
    given: list[gr.components.Component],
    outputs: list[gr.components.Component],
) -> None:
    """The events of a job, from its start to its end.

    work: given what `given` holds, yields what `outputs` show: how far it is, the player, the
    download, and what happened.
    """
    private = {"api_visibility": "private", "preprocess": False}
    at_once = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    progress, *_, said = outputs
    clock = gr.Timer(PLACE_EVERY, active=False)  # ticks while a job waits or is at work
    clock.tick(show_place, outputs=progress, **at_once)
    run = swap.click(begin, outputs=[*outputs, swap, cancel, clock], **at_once).then(
        work,
        given,
        outputs,
        concurrency_id="video",
        concurrency_limit=1,
        show_progress="hidden",
        **private,
    )
    run.then(end, outputs=[progress, swap, cancel, clock], **at_once)
    # Gradio calls a job that was cancelled a failed one too.
    in_browser = {"fn": None, "api_visibility": "private"}
    ended = {"inputs": said, "outputs": [progress, said, swap, cancel, clock]}
    run.failure(js=REFUSED_JS, **ended, **in_browser)
    run.success(js=SHOW_JS, **in_browser)
    cancel.click(js=CANCELLED_JS, cancels=[run], **ended, **in_browser)
