"""Calls in the lanes of a page: what those hold that wait, and answers, and who has a place."""

import asyncio
import json
import threading
import time
import weakref
from collections.abc import Iterator

import gradio as gr
import httpx
import pytest

from simswap.demo.calls.page import Page
from simswap.demo.calls.queue import answers, job_routes, waiting_line
from simswap.demo.server.door import Application
from tests.support.waiting import wait_until

LONG = 20.0  # s that no test waits for


class Work:
    """What a function of the page does with a text, until it may end."""

    def __init__(self) -> None:
        self.may_end, self.done = threading.Event(), []
        self.at_work: list[str] = []

    def on(self, text: str) -> str:
        self.at_work.append(text)
        assert self.may_end.wait(LONG)
        self.done.append(text)
        return text


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.may_end.set()


@pytest.fixture
def page(work, monkeypatch) -> Iterator[Page]:
    """A page at work, in whose one lane two texts are worked on at once."""
    monkeypatch.setenv(waiting_line.SHARE_SETTING, "8")
    with Page() as page:
        lane = {"concurrency_limit": 2, "api_visibility": "private"}
        gr.Button().click(work.on, gr.Textbox(), gr.Textbox(), **lane)
    page.queue()
    waiting_line.keep_in_order(page._queue)
    page.launch(prevent_thread_lock=True, quiet=True)
    yield page
    work.may_end.set()
    page.close(verbose=False)


def begin(page: Page, text: str, visitor: str) -> None:
    call = {"fn_index": 0, "session_hash": f"page-{text[:9]}", "data": [text]}
    with httpx.Client(transport=httpx.HTTPTransport(local_address=visitor)) as client:
        answer = client.post(f"{page.local_url}gradio_api/queue/join", json=call, timeout=LONG)
    assert answer.status_code == 200


def test_one_address_has_half_of_a_lanes_places(page, work):
    for text, visitor in (("a", "127.0.0.1"), ("b", "127.0.0.1"), ("c", "127.0.0.2")):
        begin(page, text, visitor)
    wait_until(lambda: len(work.at_work) == 2)
    time.sleep(0.2)  # in which a third would begin
    assert sorted(work.at_work) == ["a", "c"]
    work.may_end.set()
    wait_until(lambda: sorted(work.done) == ["a", "b", "c"])


def test_who_called_what_is_not_noted(page, work):
    work.may_end.set()
    begin(page, "a", "127.0.0.1")
    wait_until(lambda: work.done == ["a"])
    assert not page._queue.event_analytics


def test_a_call_that_waits_is_kept_as_bytes(page, work):
    for text in ("a", "b" * 1000):
        begin(page, text, "127.0.0.1")
    wait_until(lambda: work.at_work == ["a"])
    (event,) = waiting_line._waiting(page._queue)
    assert json.loads(event.data.data) == ["b" * 1000]
    assert not {"_body", "_json"} & vars(event.request).keys()
    work.may_end.set()
    wait_until(lambda: work.done == ["a", "b" * 1000])


def test_a_job_that_nobody_can_be_told_of_does_not_end_the_others(page, work, caplog):
    for text in ("a", "b"):
        begin(page, text, "127.0.0.1")
    del page._queue.pending_messages_per_session["page-b"]
    begin(page, "c", "127.0.0.2")  # as it begins, those who wait are told
    work.may_end.set()
    wait_until(lambda: sorted(work.done) == ["a", "b", "c"])
    assert "were ended" not in caplog.text


def test_of_a_sessions_messages_that_nobody_fetches_the_newest_are_kept(page, work, monkeypatch):
    monkeypatch.setattr(answers, "MOST_MESSAGES", 4)
    work.may_end.set()
    for number in range(5):
        begin(page, "a", "127.0.0.1")
        wait_until(lambda number=number: len(work.done) == number + 1)
    wait_until(lambda: not page._queue.event_ids_to_events)
    messages = page._queue.pending_messages_per_session["page-a"]._queue
    assert [one.msg.value for one in messages][-1] == "process_completed"
    assert len(messages) == 4
    ended = {one.event_id for one in messages if one.msg.value == "process_completed"}
    assert page._queue.pending_event_ids_session["page-a"] == ended


def test_an_error_in_what_begins_jobs_is_logged_and_outlived(page, work, monkeypatch, caplog):
    work.may_end.set()
    queue, get_events = page._queue, page._queue.get_events

    def fail_once() -> None:
        queue.get_events = get_events
        raise KeyError("the visitor's own words")

    queue.get_events = fail_once
    begin(page, "a", "127.0.0.1")
    wait_until(lambda: work.done == ["a"])
    assert "KeyError at test_places_in_lanes.py" in caplog.text
    assert "own words" not in caplog.text


def test_a_call_that_is_cancelled_in_its_last_steps_is_forgotten(page, work):
    queue, is_last = page._queue, threading.Event()

    async def last_step(event_id: str) -> None:
        is_last.set()
        await asyncio.sleep(LONG)

    queue.reset_iterators = last_step
    begin(page, "a", "127.0.0.1")
    work.may_end.set()
    assert is_last.wait(LONG)
    call = {"session_hash": "page-a", "fn_index": 0, "event_id": "none"}
    httpx.post(f"{page.local_url}gradio_api/cancel", json=call, timeout=LONG)
    wait_until(lambda: not queue.event_ids_to_events)


@pytest.fixture
def camera() -> Iterator[Page]:
    """A page whose camera answers each text with a long one."""
    with Page() as page:
        view = gr.HTML({}, js_on_load="trigger('stream')")
        private = {"api_visibility": "private", "time_limit": 60}
        view.stream(lambda text: text * 20_000, view, view, **private)
        page.work = Work()
        gr.Button().click(page.work.on, gr.Textbox(), gr.Textbox(), api_visibility="private")
    page.queue()
    waiting_line.keep_in_order(page._queue)
    application = Application([job_routes.camera_route(page._queue)])
    page.launch(prevent_thread_lock=True, quiet=True, _app=application)
    yield page
    page.work.may_end.set()
    page.close(verbose=False)


def send(page: Page, path: str, function: int, text: str, **more: str) -> httpx.Response:
    sent = {"session_hash": "page", **more, "fn_index": function, "data": [text]}
    return httpx.post(f"{page.local_url}gradio_api/{path}", json=sent, timeout=LONG)


def test_of_a_cameras_frames_that_nobody_fetches_the_newest_waits_and_none_at_its_end(camera):
    film = next(iter(camera.fns))

    def unread() -> list[str]:
        messages = list(camera._queue.pending_messages_per_session["page"]._queue)
        return [
            repr(one.output)
            for one in messages
            if one.msg.value.startswith("process_") and one.msg.value != "process_starts"
        ]

    event = send(camera, "queue/join", film, "a").json()["event_id"]
    for text in "bcd":
        wait_until(lambda: unread())
        send(camera, f"stream/{event}", film, text)
        wait_until(lambda text=text: text * 100 in unread()[-1])
        assert len(unread()) == 1
    send(camera, f"stream/{event}/close", film, "")
    wait_until(lambda: len(unread()[-1]) < 1000)
    assert len(unread()) == 1


def test_what_a_cancelled_camera_has_sent_is_dropped(camera):
    film = next(iter(camera.fns))
    event_id = send(camera, "queue/join", film, "a").json()["event_id"]
    event = camera._queue.event_ids_to_events[event_id]
    wait_until(lambda: "generating" in repr(camera._queue.pending_messages_per_session["page"]))
    waiting = weakref.ref(event.data)
    call = {"session_hash": "page", "fn_index": film, "event_id": event_id}
    httpx.post(f"{camera.local_url}gradio_api/cancel", json=call, timeout=LONG)
    wait_until(lambda: waiting() is None)


def test_a_cameras_frames_reach_its_own_job_only_and_no_other(camera):
    film, other = camera.fns
    job = send(camera, "queue/join", other, "a").json()["event_id"]
    wait_until(lambda: camera.work.at_work == ["a"])
    for path in (f"stream/{job}", f"stream/{job}/close", "stream/none"):
        assert send(camera, path, other, "b").status_code == 404
    event = send(camera, "queue/join", film, "c").json()["event_id"]
    wait_until(lambda: event in camera._queue.event_ids_to_events)
    given = camera._queue.event_ids_to_events[event]
    send(camera, f"stream/{event}", other, "d", event_id=job, session_hash="another")
    assert (given.data.data, given.data.session_hash) == (["d"], "page")
    assert (given.data.fn_index, given.data.event_id) == (film, event)
    send(camera, f"stream/{event}/close", film, "")
