"""What is told of calls waits for so long, and so much of it, until somebody fetches it."""

import asyncio
from types import SimpleNamespace

import pytest
from gradio.server_messages import ProcessCompletedMessage

from simswap.demo.calls.queue import answers as module
from simswap.demo.calls.queue.answers import (
    MAX_UNREAD,
    MAX_UNREAD_PER_ADDRESS,
    TOO_LATE,
    Answers,
    Unread,
)


@pytest.fixture
def answers(monkeypatch) -> Answers:
    """Of five sessions at most: two of the address "a", then three of "b"."""
    monkeypatch.setattr(module, "CAPACITY", 5)
    answers = Answers(SimpleNamespace(event_ids_to_events={}, pending_event_ids_session={}))
    for name in ("a1", "a2", "b1", "b2", "b3"):
        begin(answers, name)
    return answers


def begin(answers: Answers, name: str) -> None:
    answers[name] = asyncio.Queue()
    answers.belong_to(name, name[0])


def test_of_too_many_sessions_the_oldest_goes_of_the_address_that_has_most(answers):
    begin(answers, "c1")
    assert list(answers) == ["a1", "a2", "b2", "b3", "c1"]
    begin(answers, "b2")  # again
    begin(answers, "b4")
    assert list(answers) == ["a2", "b2", "b3", "c1", "b4"]


def test_a_session_in_which_something_waits_stays(answers):
    waiting = {name: SimpleNamespace(session_hash=name) for name in ("b1", "b3")}
    answers._events.update(waiting)
    for name in ("c1", "d1", "e1"):
        begin(answers, name)
    assert waiting.keys() <= answers.keys()
    assert len(answers) == 5


def answer() -> ProcessCompletedMessage:
    return ProcessCompletedMessage(output={"data": ["a strip of faces"]}, success=True)


def told_too_late(answers: list[ProcessCompletedMessage]) -> list[bool]:
    return [one.output == {"error": TOO_LATE} and not one.success for one in answers]


def test_of_an_addresss_answers_that_nobody_fetches_the_oldest_go():
    unread, answers = Unread(), [answer() for _ in range(4)]
    unread.add(answers[0], MAX_UNREAD_PER_ADDRESS, "another")
    for one in answers[1:]:
        unread.add(one, MAX_UNREAD_PER_ADDRESS // 2, "a")
    assert told_too_late(answers) == [False, True, False, False]


def test_of_all_answers_that_nobody_fetches_the_oldest_go():
    unread, answers = Unread(), [answer() for _ in range(MAX_UNREAD // MAX_UNREAD_PER_ADDRESS + 1)]
    for number, one in enumerate(answers):
        unread.add(one, MAX_UNREAD_PER_ADDRESS, f"address {number}")
    assert told_too_late(answers) == [True] + [False] * (len(answers) - 1)


def test_answers_that_were_fetched_do_not_count():
    unread, last = Unread(), answer()
    for _ in range(3):
        unread.add(answer(), MAX_UNREAD_PER_ADDRESS, "a")
    unread.add(last, MAX_UNREAD_PER_ADDRESS, "a")
    assert told_too_late([last]) == [False]
    assert len(unread._kept) == 1


def test_of_many_small_answers_the_oldest_go_too():
    unread, answers = Unread(), [answer() for _ in range(1000)]
    for one in answers:
        unread.add(one, MAX_UNREAD_PER_ADDRESS // 900, "a")
    assert told_too_late(answers) == [True] * 100 + [False] * 900
