"""What visitors send and get is kept for none of their sessions."""

import asyncio
import gc
from datetime import timedelta

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.routes import App
from gradio.state_holder import SessionState
from starlette.requests import Request

from simswap.demo.calls import sessions
from simswap.demo.calls.arguments import Numbers, Parts, Text
from simswap.demo.calls.page import Page
from simswap.demo.calls.sessions import Sessions
from simswap.demo.server.door import Application

SENT, GIVEN = "a frame of the visitor's camera", "a frame of another face"


@pytest.fixture
def page() -> Page:
    """With a function that gets a value, gives another, and keeps what it is told to keep."""
    with Page() as page:
        view, kept = gr.HTML({}), gr.State()
        gr.Button().click(lambda _: ({"frame": GIVEN}, None), view, [view, kept])
        gr.Button().click(lambda _: ({"frame": GIVEN}, "kept"), view, [view, kept])
    page.queue()
    App.create_app(page, app=Application([]))
    return page


@pytest.fixture
def holder(page) -> Sessions:
    return page.state_holder


def call(page: Page, number: int, session: str) -> None:
    request = gr.Request(request=Request({"type": "http", "client": ("a", 1)}))
    state = page.state_holder[session]
    asyncio.run(page.process_api(page.fns[number], [{"frame": SENT}], state, request=request))


def texts_in(thing: object) -> set[str]:
    """All texts in it, and in the dictionaries, lists and objects in it."""
    seen, parts, texts = set(), [thing], set()
    while parts:
        part = parts.pop()
        if isinstance(part, str):
            texts.add(part)
        elif id(part) not in seen and isinstance(part, dict | list | tuple | SessionState):
            seen.add(id(part))
            parts += gc.get_referents(part)
    return texts


def test_neither_what_came_nor_what_was_given_stays_in_a_session(page, holder):
    call(page, 0, "abc")
    assert not {SENT, GIVEN} & texts_in(holder.session_data["abc"])


def test_what_a_function_keeps_stays(page, holder):
    call(page, 1, "abc")
    assert "kept" in texts_in(holder.session_data["abc"])


def pass_by(holder: Sessions, time: timedelta) -> None:
    """As if so much time had passed without a call."""
    holder.delete_all_expired_state()
    for name in holder.time_last_used:
        holder.time_last_used[name] -= time
    holder.delete_all_expired_state()


def test_a_session_that_holds_nothing_is_forgotten_soon_and_others_in_an_hour(page, holder):
    call(page, 0, "empty")
    call(page, 1, "full")
    pass_by(holder, sessions.IDLE)
    assert list(holder.session_data) == ["full"]
    pass_by(holder, sessions.KEPT)
    assert not holder.session_data
    assert not holder.time_last_used


def test_of_too_many_sessions_those_go_first_that_hold_nothing(page, holder):
    holder.capacity = 3
    for number, name in ((1, "full"), (0, "empty"), (1, "later"), (0, "last")):
        call(page, number, name)
    assert list(holder.session_data) == ["full", "later", "last"]
    call(page, 1, "last")
    call(page, 1, "new")
    assert list(holder.session_data) == ["later", "last", "new"]


def test_answers_that_nobody_fetches_are_forgotten_once_their_job_has_ended(page, holder):
    queue = page._queue
    request = Request({"type": "http", "client": ("a", 1), "method": "POST", "headers": []})
    body = PredictBodyInternal(data=[{}], fn_index=0, session_hash="abc", request=request)
    asyncio.run(queue.push(body, request, None))
    pass_by(holder, sessions.IDLE)
    assert "abc" in queue.pending_messages_per_session
    queue.event_ids_to_events.clear()
    pass_by(holder, sessions.IDLE)
    assert "abc" not in queue.pending_messages_per_session
    assert "abc" not in queue.pending_event_ids_session


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"token": "a", "picked": [1, 2], "x": "A" * 10_000}, {"token": "a", "picked": [1, 2]}),
        ({"token": "A" * 10_000, "picked": ["1"]}, {}),
        ({"token": 5, "picked": [0] * 10_000}, {}),
        ("A" * 10_000, {}),
    ],
)
def test_of_an_object_of_the_pages_scripts_only_what_is_read_gets_in(given, read):
    parts = Parts(parts={"token": Text(), "picked": Numbers()})
    assert parts.checked("view", given) == read


@pytest.mark.parametrize("name", ["a" * 65, "", "a b", "a\n", "\u0661"])
def test_a_name_that_no_page_has_is_not_kept(holder, name):
    with pytest.raises(gr.Error, match="named by up to 64 letters"):
        holder[name]
    assert name not in holder.session_data
    assert name not in holder.time_last_used
