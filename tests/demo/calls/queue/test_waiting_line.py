"""More callers than may wait: each gets its own result, or is told what to do."""

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event
from gradio_client import Client, handle_file
from gradio_client.utils import QueueError
from PIL import Image
from starlette.requests import Request

from simswap.demo.calls.queue import waiting_line
from simswap.errors import OptionError
from tests.measure.load import call
from tests.support.demo.chromium import PATIENCE, launched, open_page, upload
from tests.support.demo.demo_server import running_demo
from tests.support.examples import EXAMPLES

pytestmark = pytest.mark.slow

ADMIRAL, ASTRONAUT = EXAMPLES / "grace_hopper.jpg", EXAMPLES / "astronaut.jpg"
CALLERS = 8
PATIENT = {"timeout": 60}  # s for one request, on a busy machine

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")


@pytest.fixture(scope="module")
def busy_url(tmp_path_factory) -> Iterator[str]:
    """A demo in which one job may wait."""
    with running_demo(tmp_path_factory.mktemp("busy"), SIMSWAP_QUEUE_SIZE="1") as url:
        yield url


@contextmanager
def full_queue(url: str, clip: Path) -> Iterator[None]:
    """One video at work and another that waits, until the block ends."""
    client = Client(url, verbose=False, httpx_kwargs=PATIENT)
    jobs = []
    try:
        for is_there in (lambda job: len(job.outputs()) > 1, lambda job: job.status().rank == 0):
            photo, video = handle_file(ADMIRAL), handle_file(clip)
            jobs.append(client.submit(photo, video, api_name="/swap_video"))
            while not is_there(jobs[-1]):
                assert not jobs[-1].done()
                time.sleep(0.1)
        yield
    finally:
        for job in reversed(jobs):
            job.cancel()


def test_of_many_callers_at_once_each_gets_its_own_result_or_is_told_to_try_again(
    busy_url, tmp_path
):
    targets = [tmp_path / f"{number}.png" for number in range(CALLERS)]
    with Image.open(ASTRONAUT) as portrait:
        for number, target in enumerate(targets):
            portrait.resize((300 + number, 300)).save(target)
    clients = [
        Client(busy_url, verbose=False, download_files=tmp_path, httpx_kwargs=PATIENT)
        for _ in targets
    ]
    with ThreadPoolExecutor(CALLERS) as pool:
        outcomes = [outcome for _, outcome in pool.map(call, clients, targets)]
    assert set(outcomes) == {"own", "full"}


def test_a_caller_at_a_full_queue_is_told_to_try_again(busy_url, long_face_clip):
    client = Client(busy_url, verbose=False, httpx_kwargs=PATIENT)
    with full_queue(busy_url, long_face_clip), pytest.raises(QueueError) as caught:
        client.predict(handle_file(ASTRONAUT), api_name="/detect_faces")
    assert str(caught.value) == "Queue is full! Please try again."


def test_who_calls_without_gradios_client_is_told_how_long_to_wait(busy_url, long_face_clip):
    request = urllib.request.Request(
        f"{busy_url}/gradio_api/call/detect_faces",
        json.dumps({"data": [None, 0.7, None]}).encode(),
        {"Content-Type": "application/json"},
    )
    with (
        full_queue(busy_url, long_face_clip),
        pytest.raises(urllib.error.HTTPError) as caught,
    ):
        urllib.request.urlopen(request)
    assert caught.value.code == 503
    sentence = json.load(caught.value)["detail"]
    assert sentence == "The queue is full: 1 jobs are waiting. Try again in a minute."


def test_an_empty_line_is_looked_at_a_hundred_times_a_second_at_most():
    with gr.Blocks() as page:
        page.queue()
    waiting_line.keep_in_order(page._queue)
    assert page._queue.sleep_when_free >= 0.01


def test_addresses_take_turns_whoever_has_sent_more():
    with gr.Blocks() as page:
        gr.Button().click(lambda: None)
    page.queue()
    waiting_line.keep_in_order(queue := page._queue)
    function = page.fns[0]
    queue.create_event_queue_for_fn(function)
    (line,) = queue.event_queue_per_concurrency_id.values()

    def send(address: str) -> None:
        request = Request({"type": "http", "client": (address, 1)})
        line.queue.append(Event(None, function, request, None))

    def served() -> str:
        ((event,), _, _) = queue.get_events()
        return event.request.scope["client"][0]

    for address in "aaaabc":
        send(address)
    order = [served() for _ in range(3)]
    send("b")  # who has had a turn meanwhile waits for another's
    assert [*order, *(served() for _ in range(4))] == list("abcabaa")


def test_an_address_has_three_jobs_at_work_over_all_lanes_and_others_go_first():
    with gr.Blocks() as page:
        for lane in range(5):
            gr.Button().click(lambda: None, concurrency_id=str(lane))
    page.queue()
    waiting_line.keep_in_order(queue := page._queue)
    queue.active_jobs = []
    for number, function in page.fns.items():
        queue.create_event_queue_for_fn(function)
        for address in "aab"[: 3 if number == 4 else 2]:
            request = Request({"type": "http", "client": (address, 1)})
            line = queue.event_queue_per_concurrency_id[str(number)]
            line.queue.append(Event(None, function, request, None))

    def begin() -> tuple[str, str] | None:
        if (picked := queue.get_events()) is None:
            return None
        ((event,), _, lane) = picked
        queue.active_jobs.append([event])
        queue.event_queue_per_concurrency_id[lane].current_concurrency += 1
        return lane, event.request.scope["client"][0]

    assert [begin() for _ in range(5)] == [("0", "a"), ("1", "a"), ("2", "a"), ("4", "b"), None]
    queue.active_jobs[1] = None
    assert begin() == ("3", "a")


def test_calls_that_wait_hold_so_much_together_at_most():
    with gr.Blocks() as page:
        gr.Button().click(lambda: None)
    page.queue()
    waiting_line.keep_in_order(queue := page._queue)
    queue.create_event_queue_for_fn(page.fns[0])

    async def push(address: str, num_bytes: int) -> bool:
        headers = [(b"content-length", str(num_bytes).encode())]
        request = Request({"type": "http", "client": (address, 1), "headers": headers})
        body = PredictBodyInternal(fn_index=0, session_hash="me", data=[])
        return (await queue.push(body=body, request=request, username=None))[0]

    async def push_all() -> list[bool]:
        sizes = [8_000_000, 3_000_000, 10_000]
        own = [await push("a", size) for size in sizes]
        return own + [await push(address, 9_000_000) for address in "bcde"]

    assert asyncio.run(push_all()) == [True, False, True, True, True, True, False]


@pytest.mark.parametrize("text", ["0", "-3", "many", "1.5"])
def test_a_size_that_cannot_be_is_told(monkeypatch, text):
    monkeypatch.setenv(waiting_line.SETTING, text)
    with pytest.raises(OptionError, match=f"SIMSWAP_QUEUE_SIZE is '{text}'"):
        waiting_line.size()


@pytest.fixture(scope="module")
def browser():
    with launched() as chromium:
        yield chromium


def num_waiting(url: str) -> int:
    """Calls that wait in the demo's lines."""
    with urllib.request.urlopen(f"{url}/gradio_api/queue/status", timeout=60) as answer:
        return json.load(answer)["queue_size"]


def until_nothing_waits(url: str) -> None:
    """A look for faces takes the one place that there is to wait, and what it finds another."""
    num_looks = 0
    while num_looks < 10:
        num_looks = 0 if num_waiting(url) else num_looks + 1
        time.sleep(0.1)


@pytest.mark.browser
def test_visitors_of_every_tab_are_told_and_can_try_again(
    browser, busy_url, face_clip, long_face_clip
):
    pages = {name: open_page(browser, busy_url) for name in ("Image", "Video", "Webcam")}
    for name, page in pages.items():
        page.get_by_role("tab", name=name).click()
        with page.expect_response("**/queue/join*", timeout=PATIENCE):
            upload(page, "source", ADMIRAL)
        until_nothing_waits(busy_url)
        page.locator("#source img").first.wait_for()
    upload(pages["Video"], "video-target", face_clip)
    pages["Video"].get_by_text("frames/s").first.wait_for()
    pages["Video"].get_by_text("At 0.00 s").first.wait_for()
    buttons = {"Image": "Swap", "Video": "Swap the video", "Webcam": "Start camera"}
    told = {
        "Image": "This application is currently busy. Please try again.",
        "Video": waiting_line.BUSY,
        "Webcam": waiting_line.BUSY,
    }
    with full_queue(busy_url, long_face_clip):
        for name, page in pages.items():
            button = page.get_by_role("button", name=buttons[name], exact=True)
            button.click()
            page.get_by_text(told[name]).first.wait_for()
            playwright.expect(button).to_be_enabled(timeout=PATIENCE)
    for page in pages.values():
        page.close()
