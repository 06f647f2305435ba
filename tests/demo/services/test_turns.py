"""Whose turn it is in a lane: a call's with a large photo is not of it, and holds up nobody."""

import threading
from contextlib import ExitStack

import pytest

from simswap.demo.services import allowances
from simswap.demo.services.uploads import read_upload
from simswap.media import allowance
from tests.support.media.small_photos import PIXELS, written


def at_work(
    lane: threading.Semaphore, done: list[str], path: str | None = None
) -> threading.Thread:
    """A call in a lane that first reads a photo, if there is one."""

    def work() -> None:
        with allowances.one_call(), allowances.in_lane(lane):
            if path is not None:
                read_upload(path)
            done.append("large" if path else "small")

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_of_a_lane_so_many_calls_are_at_work_at_a_time():
    lane, done = allowances.new_lane(), []
    with allowances.one_call(), allowances.in_lane(lane):
        at_work(lane, done).join(20)
        assert done == ["small"]
        with ExitStack() as others:
            for _ in range(allowances.AT_WORK - 1):
                others.callback(lane.release)
                lane.acquire()
            one_more = at_work(lane, done)
            one_more.join(0.3)
            assert done == ["small"]
    one_more.join(20)
    assert done == ["small", "small"]


def test_a_call_that_waits_with_a_large_photo_leaves_its_lane_to_others(busy):
    path, may_end = busy
    lane, done = threading.Lock(), []
    waiting = at_work(lane, done, path)
    waiting.join(0.3)
    at_work(lane, done).join(20)
    assert done == ["small"]
    may_end.set()
    waiting.join(20)
    assert done == ["small", "large"]


def test_a_call_with_a_large_photo_is_at_work_beside_its_lane(folder, monkeypatch):
    monkeypatch.setattr(allowance, "LARGE", PIXELS - 1)
    lane, done, path = threading.Lock(), [], written(folder, "large.png")
    with allowances.one_call(), allowances.in_lane(lane):
        read_upload(path)
        at_work(lane, done).join(20)
        assert done == ["small"]
        allowance.end_turn()  # it has made a small one of it
        other = at_work(lane, done)
        other.join(0.3)
        assert done == ["small"]
    other.join(20)
    assert not lane.locked()


def test_a_call_with_a_large_photo_waits_for_nobody_in_a_lane(folder, monkeypatch):
    monkeypatch.setattr(allowance, "LARGE", PIXELS - 1)
    lane, path = threading.Lock(), written(folder, "large.png")
    with lane, allowances.one_call():
        read_upload(path)
        with allowances.in_lane(lane):  # such as to write its result in another format
            pass
        assert lane.locked()


def test_a_call_that_waits_for_memory_leaves_its_lane_to_others(folder):
    lane, done = threading.BoundedSemaphore(), []
    with allowances.one_call(), allowance.place(allowances.ROOM_BYTES):
        waiting = at_work(lane, done, written(folder, "one.avif"))
        waiting.join(0.5)
        at_work(lane, done).join(20)
        assert done == ["small"]
    waiting.join(20)
    assert done == ["small", "large"]
    assert lane.acquire(blocking=False)


def test_a_call_has_one_turn_of_its_lane(folder):
    lane = allowances.new_lane()
    with allowances.one_call(), allowances.in_lane(lane):
        with allowance.place(10), allowance.place(10):
            pass
        assert lane.acquire(blocking=False)
        assert not lane.acquire(blocking=False)
        lane.release()
    assert [lane.acquire(blocking=False) for _ in range(3)] == [True, True, False]


def test_a_call_that_fails_leaves_its_lane():
    lane = threading.Lock()
    with pytest.raises(ValueError, match="ours"), allowances.one_call(), allowances.in_lane(lane):
        raise ValueError("ours")
    assert not lane.locked()
