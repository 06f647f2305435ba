"""Queue length, whose turn it is, and the message when it is full."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps

from gradio.context import LocalContext
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event, Queue
from gradio.utils import LRUCache
from starlette.requests import Request

from simswap.demo.calls.queue.answers import bound_unread
from simswap.demo.calls.sessions import NAME, NO_NAME
from simswap.demo.process.quiet_log import place as place_of
from simswap.demo.server.visitors import visitor_of
from simswap.demo.services import cancelling
from simswap.demo.settings import whole_number

logger = logging.getLogger(__name__)

SETTING, SHARE_SETTING = "SIMSWAP_QUEUE_SIZE", "SIMSWAP_JOBS_PER_ADDRESS"
DEFAULT_SIZE = 32  # jobs, not counting those at work
SHARE = 4  # one address may have one place in so many, counting jobs at work
PAUSE = 0.01  # s between looks at an empty line; at Gradio's 0.001 they take 6 % of a processor
AT_WORK = 3  # jobs of one address at once, over all lanes
# Of the calls that wait and are at work; at work they take up to five times as much. A page's have
# some 10 kB each, mostly.
MAX_BYTES, MAX_BYTES_PER_ADDRESS = 40_000_000, 10_000_000
MAX_ADDRESSES = 10_000  # remembered at once
MIN_JOBS = 4  # of one address; the page of one visitor may have three at once
VIDEO = "video"  # the lane of videos
BUSY = "The server has no place for another job just now. Try again in a minute."
TOO_LONG = (
    "The calls that wait hold too much text. Send files as uploads, or try again in a minute."
)
UNKNOWN = "This demo has no such function. The page's API link lists those that it has."


def size() -> int:
    """How many jobs may wait. Raises OptionError if SIMSWAP_QUEUE_SIZE is no number from 1."""
    return whole_number(SETTING, DEFAULT_SIZE)


def size_per_address() -> int:
    """How many jobs of one address may wait and be at work: a quarter of the line, or 4.

    Raises OptionError if SIMSWAP_JOBS_PER_ADDRESS is no number from 1.
    """
    return whole_number(SHARE_SETTING, max(size() // SHARE, MIN_JOBS))


def keep_in_order(queue: Queue, waits: Callable[[str], bool] = lambda session: False) -> None:
    """Give each address its share of the line, and put sentences in place of Gradio's.

    waits: whether the video of a page, by the name of its session, stays in line when the page
    has gone; asked each second from then on.

    A full line goes with status 503, for which Gradio's own clients (and its page) have words of
    theirs; mistakes go with 400.
    """
    push, share = queue.push, size_per_address()

    @wraps(push)
    async def push_or_tell(
        body: PredictBodyInternal, request: Request, username: str | None
    ) -> tuple[bool, object, str]:
        if body.fn_index not in queue.blocks.fns:
            return False, UNKNOWN, "error"
        if body.session_hash is not None and not NAME.fullmatch(body.session_hash):
            return False, NO_NAME, "error"
        jobs = [*_events_at_work(queue), *_waiting(queue)]
        address = visitor_of(request.scope).address
        own = [job for job in jobs if _address(job) == address]
        if len(own) >= share:
            return False, share_is_used(share), "queue_full"
        if _bytes(own, request) > MAX_BYTES_PER_ADDRESS or _bytes(jobs, request) > MAX_BYTES:
            return False, TOO_LONG, "queue_full"
        is_taken, answer, state = await push(body=body, request=request, username=username)
        if is_taken:
            event = queue.event_ids_to_events[answer]
            queue.pending_messages_per_session.belong_to(event.session_hash, address)
            _pack(event)
        if state == "queue_full":
            answer = f"The queue is full: {len(queue)} jobs are waiting. Try again in a minute."
        return is_taken, answer, state

    queue.push = push_or_tell
    queue.ANALYTICS_MAX_EVENTS = 0  # who called what when: for an address that is closed here
    queue.sleep_when_free = max(PAUSE, queue.sleep_when_free)
    _take_turns(queue)
    _end_wholly(queue)
    bound_unread(queue)
    _outlive_pages(queue, waits)
    _go_on(queue)


def _go_on(queue: Queue) -> None:
    """Let an error in what begins jobs end those at work, as Gradio has it, and no later ones."""
    begin = queue.start_processing

    @wraps(begin)
    async def begin_for_ever() -> None:
        while True:
            try:
                return await begin()
            except Exception as error:
                logger.error("The jobs at work were ended: %s", place_of(error))
                queue.stopped = False
                await asyncio.sleep(1)

    queue.start_processing = begin_for_ever


def _take_turns(queue: Queue) -> None:
    """In each lane, let the address have the next turn that had its last one longest ago.

    Over all lanes, AT_WORK of its jobs are at work at once, and in a lane of several places half of
    them; the others stay in line.
    """
    count = itertools.count(1)
    turns: LRUCache[tuple[str, str], int] = LRUCache(MAX_ADDRESSES)  # of a lane and an address

    @wraps(queue.get_events)
    def get_next() -> tuple[list[Event], bool, str] | None:
        at_work = Counter(map(_address, filter(_counts, _events_at_work(queue))))
        places = Counter((one.concurrency_id, _address(one)) for one in _events_at_work(queue))
        for lane, line in queue.event_queue_per_concurrency_id.items():
            share = max((line.concurrency_limit or 2 * AT_WORK) // 2, 1)
            ready = [
                event
                for event in line.queue
                if (at_work[_address(event)] < AT_WORK or not _counts(event))
                and places[lane, _address(event)] < share
            ]
            if not ready or line.current_concurrency == line.concurrency_limit:
                continue
            event = min(ready, key=lambda one: turns.get((lane, _address(one)), 0))
            line.queue.remove(event)
            turns[lane, _address(event)] = next(count)
            _unpack(event)
            return [event], False, lane  # nothing here takes calls in batches
        return None

    queue.get_events = get_next


def _pack(event: Event) -> None:
    """Of a call that waits, keep its values as bytes: as values they take ten times as much."""
    sent = vars(event.request)
    if sent.pop("_body", None) is not None:
        sent.pop("_json", None)
        event.data.data = json.dumps(event.data.data).encode()


def _unpack(event: Event) -> None:
    if event.data is not None and isinstance(event.data.data, bytes):
        event.data.data = json.loads(event.data.data)


def _events_at_work(queue: Queue) -> Iterator[Event]:
    return (event for job in queue.active_jobs for event in job or ())


def _counts(event: Event) -> bool:
    """Whether a job is one of those that an address has few of; cameras have their own limit."""
    return not event.streaming


def _end_wholly(queue: Queue) -> None:
    """Let go of all that a job holds as soon as it ends, at whatever step it was cancelled."""
    process = queue.process_events

    async def close(event_id: str) -> None:  # the first of a job's last steps that takes time
        if event := queue.event_ids_to_events.get(event_id):
            event.data.data = None
            event.signal.set()  # else what waits for a camera's next frame does so for minutes
        await cancelling.close(queue.server_app.iterators.pop(event_id, None))

    @wraps(process)
    async def process_and_forget(events: list[Event], *arguments: object) -> None:
        try:
            await process(events, *arguments)
        except BaseException as error:
            traceback.clear_frames(error.__traceback__)  # else they keep what the call was given
            raise
        finally:  # also of what was cancelled before `close`, or in it
            for event in events:
                queue.event_ids_to_events.pop(event._id, None)
                queue.server_app.iterators.pop(event._id, None)
                event.data = None

    queue.reset_iterators, queue.process_events = close, process_and_forget


def _outlive_pages(queue: Queue, waits: Callable[[str], bool]) -> None:
    """Let videos stay in line when their pages have gone, as long as they are wanted."""
    clean, kept = queue.clean_events, set()

    async def let_go_in_time(event: Event, session: str) -> None:
        while waits(session):
            await asyncio.sleep(1)
        await clean(event_id=event._id)

    @wraps(clean)
    async def clean_later(*, session_hash: str | None = None, event_id: str | None = None) -> None:
        line = queue.event_queue_per_concurrency_id.get(VIDEO)
        for event in list(line.queue) if line and session_hash and waits(session_hash) else ():
            if event.session_hash == session_hash:
                event.session_hash = event._id  # Gradio then takes it for another page's
                queue.pending_messages_per_session[event._id] = asyncio.Queue()
                kept.add(task := asyncio.create_task(let_go_in_time(event, session_hash)))
                task.add_done_callback(kept.discard)
        await clean(session_hash=session_hash, event_id=event_id)

    queue.clean_events = clean_later


def place(session: str | None) -> int | None:
    """How many videos come before the one that a page waits for; None if it does not wait.

    Those at work count. Somebody who comes later may go first: addresses take turns.
    """
    line = _queue_at_work().event_queue_per_concurrency_id.get(VIDEO)
    sessions = [event.data.session_hash for event in line.queue] if line else []
    if session not in sessions:
        return None
    return line.current_concurrency + sessions.index(session)


def is_connected(session: str | None) -> bool:
    """Whether the page whose video is at work still listens."""
    return any(
        event.alive and event.concurrency_id == VIDEO and event.session_hash == session
        for event in _events_at_work(_queue_at_work())
    )


def _queue_at_work() -> Queue:
    return LocalContext.blocks.get()._queue


def _bytes(jobs: list[Event], request: Request) -> int:
    """Of the bodies by which jobs were called, and of one more."""
    requests = [request, *(job.request for job in jobs)]
    return sum(int(one.headers.get("content-length", 0)) for one in requests)


def share_is_used(share: int) -> str:
    """The message to an address that has as many jobs as it may."""
    return (
        f"{share} jobs of your address are waiting or at work, which is the most that one may "
        "have. Try again when one has ended."
    )


def _waiting(queue: Queue) -> Iterator[Event]:
    return (event for line in queue.event_queue_per_concurrency_id.values() for event in line.queue)


def _address(event: Event) -> str:
    return visitor_of(event.request.scope).address
