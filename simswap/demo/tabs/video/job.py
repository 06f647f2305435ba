"""A video's job on the page: waiting, at work, cancelled, at its end; also after a reload.

The job goes on by itself, and the page asks now and then how far it is: by the token of the visit
(see calls/remembered.py), which its browser makes at the first video and keeps until it is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Sequence
from contextlib import closing

import gradio as gr
from gradio.events import EventListener

from simswap import VideoProgress
from simswap.demo.calls import remembered
from simswap.demo.calls.arguments import Text, declare
from simswap.demo.calls.failures import readable_errors
from simswap.demo.calls.queue import waiting_line
from simswap.demo.look import theme, video
from simswap.demo.server.visitors import visitor_of
from simswap.demo.services.cancelling import as_long_as_needed, stop_if_cancelled
from simswap.demo.services.videos import Outcome

ASK_EVERY, ASK_WHILE_WAITING = 1.5, 3.0  # s
LOST_SECONDS = 5.0  # neither in line nor at work, after which a job was not taken
CANCELLED = "Cancelled. Nothing was kept."
REPLACED = "Another video of this visit was begun."
NOBODY_ASKED = "The video was ended, as no page asked for it any more."

# (...given) -> ...given, of which the first is the visit's token; the first video makes it.
VISIT_JS = """
(_, ...given) => [sessionStorage.getItem("simswap-visit") || "", ...given]
"""
BEGIN_JS = """
() => {
  if (!sessionStorage.getItem("simswap-visit")) {
    const bytes = crypto.getRandomValues(new Uint8Array(24));
    const token = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
    sessionStorage.setItem("simswap-visit", token);
  }
  return [sessionStorage.getItem("simswap-visit")];
}
"""
# -> clock: it ticks if there may be something to find again.
FIND_JS = """
() => ({ __type__: "update", active: Boolean(sessionStorage.getItem("simswap-visit")) })
"""

Steps = Generator[VideoProgress | Outcome, None, None]


def begin(visit: str, request: gr.Request) -> tuple[object, ...]:
    """The page at the start of a job: an old result is gone, and it can be cancelled."""
    address = visitor_of(request.request.scope).address
    try:
        with readable_errors():
            remembered.jobs.begin(visit, request.session_hash, address, REPLACED)
    except gr.Error as error:
        return _page({}, theme.message(error.message))
    return _page(video.waiting(), at_work=True, seconds=ASK_WHILE_WAITING)


def run(visit: str, steps: Steps) -> None:
    """Carry a visit's job out, and let it be seen how far it is."""
    job = remembered.jobs.of(visit)
    if job is None or job.newest is not None:  # cancelled before its turn
        return
    job.is_begun = True

    def is_needless() -> bool:
        is_wanted = job.is_asked_for or waiting_line.is_connected(job.session)
        return job.has_ended or not is_wanted

    try:
        with readable_errors(), closing(steps), as_long_as_needed(is_needless):
            for step in steps:
                stop_if_cancelled()
                job.newest = step
    except gr.Error as error:
        job.end(error.message)
    except asyncio.CancelledError:
        job.end(CANCELLED if job.is_asked_for else NOBODY_ASKED)


def follow(visit: str) -> tuple[object, ...]:
    """The page as its visit's job is now."""
    job = remembered.jobs.of(visit)
    if job is None:
        return _page({})
    if job.newest is None:
        if job.is_begun:
            return _page(video.beginning(), at_work=True)
        num_before = waiting_line.place(job.session)
        if num_before is None and remembered.clock() - job.waited > LOST_SECONDS:
            job.end(waiting_line.BUSY)
        elif num_before is not None:
            job.waited = remembered.clock()
        if job.newest is None:
            shown = video.waiting(num_before or 0)
            return _page(shown, at_work=True, seconds=ASK_WHILE_WAITING)
    if isinstance(job.newest, str):
        return _page({}, theme.message(job.newest))
    if isinstance(job.newest, Outcome):
        return _page(video.result(job.newest), result=job.newest.path)
    return _page(video.progress(job.newest), at_work=True)


def cancel(visit: str) -> tuple[object, ...]:
    """The page once its job was told to end."""
    if job := remembered.jobs.of(visit):
        job.end(CANCELLED)
    return follow(visit)


def _page(
    shown: dict[str, object],
    said: str = "",
    *,
    result: str | None = None,
    at_work: bool = False,
    seconds: float = ASK_EVERY,
) -> tuple[object, ...]:
    """Values of the stage, the download, the message, both buttons and the clock."""
    return (
        shown,
        gr.DownloadButton(value=result, interactive=result is not None),
        said,
        gr.Button(interactive=not at_work),
        gr.Button(visible=at_work),
        gr.Timer(seconds, active=at_work),
    )


def build_clock() -> gr.Timer:
    """What makes the page ask; in no tab, for those that were never opened are not there."""
    return gr.Timer(ASK_EVERY, active=False)


def join(
    asked: Sequence[EventListener],
    swap: gr.Button,
    stop: gr.Button,
    clock: gr.Timer,
    work: Callable[..., None],
    given: list[gr.components.Component],
    shown: list[gr.components.Component],
) -> None:
    """The events of a job, from its start to its end.

    asked: what begins one. swap: the button that rests meanwhile. work: given the visit's token and
    what `given` holds, calls `run`. shown: the stage, the download, and a message.
    """
    private = {"api_visibility": "private", "preprocess": False}
    at_once = {"api_visibility": "private", "queue": False, "show_progress": "hidden"}
    visit = gr.Textbox(visible=False)  # filled by the scripts, at each call
    declare(visit, "visit", Text(default=""))
    outputs = [*shown, swap, stop, clock]
    line = {"concurrency_id": waiting_line.VIDEO, "concurrency_limit": 1}
    jobs = [
        event(begin, visit, outputs, js=BEGIN_JS, **at_once).then(
            work, [visit, *given], js=VISIT_JS, show_progress="hidden", **line, **private
        )
        for event in asked
    ]
    for event in (clock.tick, *(job.then for job in jobs)):
        event(follow, visit, outputs, js=VISIT_JS, **at_once)
    stop.click(cancel, visit, outputs, js=VISIT_JS, cancels=jobs, **at_once)
    gr.on(fn=None, js=FIND_JS, outputs=clock, api_visibility="private")
