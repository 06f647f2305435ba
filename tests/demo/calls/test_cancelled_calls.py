"""A cancelled call stops at its next step and leaves no file; the next one waits for its end."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress

import gradio as gr
import httpx
import pytest
from gradio.utils import set_task_name

from simswap import SimSwapError
from simswap.demo.calls.page import Page
from simswap.demo.calls.queue import job_routes, waiting_line
from simswap.demo.server.door import Application
from simswap.demo.services import cancelling, uploads
from tests.support.waiting import wait_until

LONG = 20.0  # s that no test waits for


class Work:
    """What a function of the page does, in steps of a test's choosing."""

    def __init__(self) -> None:
        self.has_begun, self.may_end = threading.Event(), threading.Event()
        self.num_at_once = self.most_at_once = self.num_done = 0

    def step(self) -> None:
        self.num_at_once += 1
        self.most_at_once = max(self.most_at_once, self.num_at_once)
        self.has_begun.set()
        assert self.may_end.wait(LONG)
        self.num_at_once -= 1
        self.num_done += 1


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.may_end.set()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    return tmp_path


def cancelled(function: Callable, work: Work) -> None:
    """Call a function, cancel that twice while it is at work, and see that it is waited for."""
    with Page() as page:
        gr.Button().click(function, outputs=gr.Textbox())

    async def run() -> None:
        call = asyncio.create_task(page.process_api(page.fns[0], []))
        await asyncio.to_thread(work.has_begun.wait, LONG)
        for _ in range(2):
            call.cancel()
            await asyncio.sleep(0.05)
        assert not call.done()
        work.may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(run())


def test_it_is_waited_for_until_its_thread_has_ended(work):
    cancelled(work.step, work)
    assert work.num_done == 1


def test_what_it_writes_after_that_is_removed(work, folder):
    def write() -> str:
        work.step()
        (uploads.new_folder() / "late.png").write_bytes(b"x")
        return "written"

    cancelled(write, work)
    assert work.num_done == 1
    assert not list(folder.iterdir())


def test_no_further_photo_is_read_for_it(work, folder):
    (folder / "photo.jpg").write_bytes(b"x")

    def read() -> None:
        work.step()
        uploads.read_upload(str(folder / "photo.jpg"))
        work.step()

    cancelled(read, work)
    assert work.num_done == 1


def test_its_mistake_is_told_to_nobody(work, caplog):
    def fail() -> None:
        work.step()
        raise SimSwapError("No.")

    cancelled(fail, work)
    assert not caplog.records


def test_a_call_of_many_answers_ends_at_its_next_one_and_is_closed(work):
    is_closed = threading.Event()

    def count() -> Iterator[str]:
        try:
            while True:
                work.step()
                yield "one more"
        finally:
            is_closed.set()

    cancelled(count, work)
    assert is_closed.wait(LONG)
    assert work.num_done == 1


def test_what_a_cancelled_call_has_begun_is_closed_in_a_thread_before_its_end(work):
    closed_in = []

    def count() -> Iterator[str]:
        try:
            work.step()
            yield "one"
        finally:
            closed_in.append(threading.current_thread())

    cancelled(count, work)
    (thread,) = closed_in
    assert thread is not threading.main_thread()


def test_a_call_that_nobody_cancels_does_not_stop():
    async def call() -> str:
        await asyncio.to_thread(cancelling.stop_if_cancelled)
        return "done"

    assert asyncio.run(cancelling.until_it_ends(call())) == "done"


def test_a_call_ends_at_its_next_step_once_who_listened_has_gone(work):
    has_ended = threading.Event()

    def work_on() -> None:
        work.has_begun.set()
        until = time.monotonic() + LONG
        while time.monotonic() < until and not cancelling.is_cancelled():
            time.sleep(0.01)
        cancelling.is_cancelled() and has_ended.set()

    with Page() as page:
        gr.Button().click(work_on, api_visibility="private")
    _, url, _ = page.queue().launch(prevent_thread_lock=True, quiet=True)
    call = {"fn_index": 0, "session_hash": "one", "data": []}
    httpx.post(f"{url}gradio_api/queue/join", json=call, timeout=LONG)
    with httpx.stream("GET", f"{url}gradio_api/queue/data?session_hash=one", timeout=LONG):
        assert work.has_begun.wait(LONG)
        assert not has_ended.wait(0.2)
    assert has_ended.wait(LONG / 2)
    page.close(verbose=False)


@pytest.fixture
def page(work, monkeypatch) -> Iterator[Page]:
    """A page at work: a button does a step, one at a time, another one steps, a third nothing."""
    monkeypatch.setattr(cancelling, "ANSWER_SECONDS", 0.1)

    def steps() -> Iterator[str]:
        while True:
            yield "one more"
            work.step()

    with Page() as page:
        gr.Button().click(work.step, api_name="work")
        gr.Button().click(steps, outputs=gr.Textbox(), api_name="steps")
        gr.Button().click(lambda: None, api_name="nothing")
    page.queue()
    waiting_line.keep_in_order(page._queue)
    application = Application([job_routes.cancel_route(page._queue)])
    page.launch(prevent_thread_lock=True, quiet=True, _app=application)
    yield page
    work.may_end.set()
    page.close(verbose=False)


def ask(page: Page, path: str, session: str, function: int = 0, **more: object) -> dict:
    call = {"fn_index": function, "session_hash": session, **more}
    return httpx.post(f"{page.local_url}gradio_api/{path}", json=call, timeout=LONG).json()


def test_the_next_one_in_its_lane_begins_when_its_thread_has_ended(work, page):
    first = ask(page, "queue/join", "one", data=[])
    assert work.has_begun.wait(LONG)
    assert ask(page, "cancel", "one", **first) == {"success": True}  # while the thread works on
    ask(page, "queue/join", "two", data=[])
    time.sleep(0.3)  # in which the next would begin
    assert work.most_at_once == 1
    work.may_end.set()
    wait_until(lambda: work.num_done == 2)
    assert work.most_at_once == 1


def test_others_end_while_a_cancelled_one_is_at_a_long_step(work, page):
    queue = page._queue
    first = ask(page, "queue/join", "one", 1, data=[])
    assert work.has_begun.wait(LONG)
    ask(page, "cancel", "one", 1, **first)
    second = ask(page, "queue/join", "two", 2, data=[])
    wait_until(lambda: second["event_id"] not in queue.event_ids_to_events)
    assert first["event_id"] in queue.event_ids_to_events
    work.may_end.set()
    wait_until(lambda: not queue.event_ids_to_events)
    assert not page.app.iterators


def test_who_listens_for_a_cancelled_ones_end_is_told(work, page):
    first = ask(page, "queue/join", "one", data=[])
    assert work.has_begun.wait(LONG)
    ask(page, "cancel", "one", **first)
    url = f"{page.local_url}gradio_api/queue/data?session_hash=one"
    assert "process_completed" in httpx.get(url, timeout=LONG).text


def test_nobody_ends_the_job_of_another_page(work, page):
    ask(page, "queue/join", "one", data=[])
    assert work.has_begun.wait(LONG)
    waiting = ask(page, "queue/join", "one", data=[])
    ask(page, "cancel", "two", **waiting)
    work.may_end.set()
    wait_until(lambda: work.num_done == 2)


def test_a_job_that_is_cancelled_as_it_begins_gives_its_place_back():
    given_back = []

    async def job() -> None:
        try:
            await asyncio.sleep(LONG)
        finally:
            given_back.append("place")

    def begin() -> None:
        set_task_name(asyncio.create_task(job()), "page", 0, "event", batch=False)

    async def run() -> None:
        cancels = asyncio.create_task(cancelling.cancel({"page_0"}))
        asyncio.get_running_loop().call_soon(begin)
        await cancels
        await cancelling.cancel({"page_0"})

    asyncio.run(run())
    assert given_back == ["place"]


class _Given:
    """What a call was given."""


def test_what_a_call_was_given_goes_with_its_error():
    """Else it waits for Python's collection of cycles, which comes seldom."""

    async def call(given: _Given) -> None:
        raise SimSwapError("no")

    async def visit() -> weakref.ref[_Given]:
        given = _Given()
        watched = weakref.ref(given)
        with suppress(SimSwapError):
            await cancelling.until_it_ends(call(given))
        return watched

    gc.collect()
    gc.disable()
    try:
        assert asyncio.run(visit())() is None
    finally:
        gc.enable()
