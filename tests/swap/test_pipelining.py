import itertools
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from simswap.swap.stream import FrameStream, StreamOptions
from simswap.swap.threads import made_ahead, mapped_in_order, taken_away
from simswap.video.people import queue_depth


class Trouble(Exception):
    pass


def until_trouble(good: int):
    yield from range(good)
    raise Trouble


def test_items_made_ahead_come_in_order():
    with made_ahead(iter(range(100)), 3) as items:
        assert list(items) == list(range(100))


def test_no_more_is_made_ahead_than_the_queue_holds():
    made = []
    items = (made.append(number) or number for number in itertools.count())
    with made_ahead(items, 3) as ahead:
        assert [next(ahead), next(ahead)] == [0, 1]
    assert len(made) <= 2 + 3 + 1  # and the one in the maker's hand


def test_an_error_while_making_is_raised_behind_the_items_made():
    with made_ahead(until_trouble(2), 5) as items:
        assert [next(items), next(items)] == [0, 1]
        with pytest.raises(Trouble):
            next(items)


def test_leaving_early_ends_the_maker_and_closes_it_in_its_own_thread():
    closed_in = []

    def endless():
        try:
            yield from itertools.count()
        finally:
            closed_in.append(threading.current_thread().name)

    with made_ahead(endless(), 2) as items:
        next(items)
    assert closed_in == ["made_ahead"]
    assert not [thread for thread in threading.enumerate() if thread.name == "made_ahead"]


def test_all_items_are_taken_away_before_the_block_ends():
    taken = []
    with taken_away(taken.append, 2) as hand_over:
        for number in range(50):
            hand_over(number)
    assert taken == list(range(50))


def hand_over_all(use: Callable[[int], None], num_items: int, depth: int) -> None:
    with taken_away(use, depth) as hand_over:
        for number in range(num_items):
            hand_over(number)


@pytest.mark.parametrize("num_items", [3, 50])
def test_an_error_while_taking_away_is_raised(num_items):
    def use(number: int) -> None:
        if number == 2:
            raise Trouble

    with pytest.raises(Trouble):
        hand_over_all(use, num_items, 1)


def test_an_error_in_the_block_does_not_wait_for_what_is_queued():
    gate, taken = threading.Event(), []

    def use(number: int) -> None:
        gate.wait(5)
        taken.append(number)

    def hand_over_and_fail() -> None:
        with taken_away(use, 5) as hand_over:
            for number in range(4):
                hand_over(number)
            threading.Timer(0.05, gate.set).start()
            raise Trouble

    with pytest.raises(Trouble):
        hand_over_and_fail()
    assert len(taken) <= 2


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_mapping_keeps_the_order_and_takes_few_items_at_a_time(workers):
    taken = []
    items = (taken.append(number) or number for number in range(20))
    pool = ThreadPoolExecutor(workers) if workers else None
    mapped = mapped_in_order(lambda number: number * 2, items, pool, workers)
    assert next(mapped) == 0
    assert len(taken) <= max(workers, 1)
    assert list(mapped) == list(range(2, 40, 2))
    if pool is not None:
        pool.shutdown()


def test_an_error_in_the_map_is_raised_where_its_result_was_due():
    def work(number: int) -> int:
        if number == 2:
            raise Trouble
        return number

    with ThreadPoolExecutor(2) as pool:
        mapped = mapped_in_order(work, range(9), pool, 2)
        assert [next(mapped), next(mapped)] == [0, 1]
        with pytest.raises(Trouble):
            next(mapped)


@pytest.mark.parametrize(("shape", "workers"), [((720, 1280, 3), 7), ((1440, 2560, 3), 1)])
def test_large_frames_are_swapped_by_few_workers(shape, workers):
    frames = [np.zeros(shape, np.uint8)] * 4
    options = StreamOptions(detect_every=3, steady=True, workers=8)
    stream = FrameStream(lambda _: [], lambda *_: [], lambda *_: [], options, batch_size=1)
    number, same = stream._num_workers(iter(frames))
    assert (number, len(list(same))) == (workers, 4)


@pytest.mark.parametrize(("shape", "depth"), [((720, 1280, 3), 2), ((2160, 3840, 3), 1)])
def test_few_large_frames_wait_between_two_steps(shape, depth):
    assert queue_depth(math.prod(shape)) == depth
