"""Room in memory: who came first has it first, and who holds more than usual gives way."""

import threading
import time

import pytest

from simswap.demo import memory_room
from simswap.demo.memory_room import MemoryRoom
from simswap.errors import MediaError


def test_who_wants_more_than_is_left_waits_for_it():
    whole, entered = MemoryRoom(100), threading.Event()

    def work() -> None:
        with whole.place(50):
            entered.set()

    with whole.place(30), whole.place(30):
        other = threading.Thread(target=work)
        other.start()
        assert not entered.wait(0.3)
    assert entered.wait(5)
    other.join()


def test_who_comes_later_and_fits_goes_first_for_a_while(monkeypatch):
    whole = MemoryRoom(100)

    def large() -> None:
        with whole.place(90):
            pass

    with whole.place(60):
        first = threading.Thread(target=large)
        first.start()
        while not whole._line:
            time.sleep(0.01)
        with whole.place(20):
            pass
        with whole.place(20):  # and the next, for whom there is room as well
            pass
    first.join()


def test_who_wants_most_of_it_waits_less_long(monkeypatch):
    monkeypatch.setattr(memory_room, "MOST_PATIENCE", 0.0)
    whole = MemoryRoom(100)
    with whole.place(50), pytest.raises(MediaError, match="Try again in a minute"):
        whole.place(51).__enter__()


def test_for_who_waits_for_long_room_is_kept(monkeypatch):
    monkeypatch.setattr(memory_room, "OVERTAKEN_SECONDS", 0.0)
    whole, entered = MemoryRoom(100), []

    def work(num_bytes: int) -> None:
        with whole.place(num_bytes):
            entered.append(num_bytes)
            time.sleep(0.1)

    with whole.place(60):
        others = [threading.Thread(target=work, args=[size]) for size in (90, 20)]
        for other in others:
            other.start()
            time.sleep(0.1)
        assert entered == []
    for other in others:
        other.join()
    assert entered == [90, 20]


def test_room_is_kept_for_a_few_seconds_where_long_work_holds_it(monkeypatch):
    monkeypatch.setattr(memory_room, "OVERTAKEN_SECONDS", 0.0)
    monkeypatch.setattr(memory_room, "KEPT_SECONDS", 0.5)
    whole, given_up = MemoryRoom(100), threading.Event()

    def large() -> None:
        try:
            with whole.place(50):
                pass
        finally:
            given_up.set()

    with whole.place(60):
        waiting = threading.Thread(target=large)
        waiting.start()
        while whole._kept_for is None:
            time.sleep(0.01)
        kept_since = whole._kept_since
        with whole.place(20):
            assert time.monotonic() - kept_since >= 0.5
        with whole.place(20):  # and no room is kept for the same one again
            assert whole._kept_since == kept_since
        assert not given_up.is_set()
    waiting.join()


def test_work_may_hold_more_than_it_said_while_nobody_else_wants_it():
    whole = MemoryRoom(100)
    with whole.place(40) as fits, whole.place(40):
        assert fits(60)
        assert not fits(61)
    with whole.place(200) as fits:
        assert fits(300)
    assert whole._held == 0


def test_who_waits_for_long_is_told(monkeypatch):
    monkeypatch.setattr(memory_room, "PATIENCE", 0.0)
    whole = MemoryRoom(100)
    with whole.place(100), pytest.raises(MediaError, match="Try again in a minute"):
        whole.place(50).__enter__()
    with whole.place(100):
        pass


def test_who_needs_less_takes_the_turn_of_large_ones_for_whom_there_is_no_room():
    whole, entered = MemoryRoom(100), threading.Event()

    def large() -> None:
        with whole.place(50, in_turn=True):
            entered.set()

    with whole.place(60):
        first = threading.Thread(target=large)
        first.start()
        while not whole._line:
            time.sleep(0.01)
        with whole.place(30, in_turn=True):
            assert whole._is_turn_taken
    assert entered.wait(5)
    first.join()
    assert not whole._is_turn_taken


def test_of_places_in_turn_there_is_one_at_a_time():
    whole, entered = MemoryRoom(100), threading.Event()

    def next_one() -> None:
        with whole.place(10, in_turn=True):
            entered.set()

    with whole.place(10, in_turn=True):
        waiting = threading.Thread(target=next_one)
        waiting.start()
        assert not entered.wait(0.3)
        with whole.place(80):  # others need no turn
            pass
    assert entered.wait(5)
    waiting.join()


def test_nobody_gives_way_to_who_did_not_wait():
    whole = MemoryRoom(100)
    with whole.place(40) as fits, whole.place(90, at_once=True) as more:
        assert fits(60)
        assert not more(101)
        with whole.place(30, at_once=True):
            assert fits(100)
            assert not fits(101)
    assert (whole._held, whole._at_once) == (0, 0)
