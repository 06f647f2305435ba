"""Results take room as uploads do: of their visitor's share, and of what there is for all."""

import json
import time
from pathlib import Path

import pytest

from simswap.demo.calls.failures import UNREADABLE
from simswap.demo.server.refusals import DISK_FULL
from simswap.demo.server.upload_limits import LOOK_EVERY
from tests.support.demo.demo_server import paths_below, running_demo
from tests.support.demo.raw_requests import JSON, ask, form
from tests.support.examples import EXAMPLES

pytestmark = pytest.mark.slow

MEGABYTE = 1_000_000
LIMIT = 10 * MEGABYTE
SHARE = LIMIT // 5
TOLD = "GB an hour are taken from one address, results included"
META = {"meta": {"_type": "gradio.FileData"}}


@pytest.fixture(scope="module")
def small(quick_folder, tmp_path_factory):
    """The address of a demo with little room, which believes who it is told asks; its folder."""
    folder = tmp_path_factory.mktemp("small")
    settings = {
        "SIMSWAP_DISK_GB": str(LIMIT / 1e9),
        "SIMSWAP_TRUSTED_PROXIES": "127.0.0.1",
        "SIMSWAP_MODEL": str(quick_folder),
    }
    with running_demo(folder, **settings) as url:
        (run,) = (folder / "uploads").iterdir()
        yield url, run


def stored(folder: Path) -> int:
    return sum(path.stat().st_size for path in paths_below(folder) if path.is_file())


def swapped(url: str, visitor: str, photo: dict) -> str:
    """The events that answer a swap."""
    path, rest = "/gradio_api/call/swap_image", ["all", "png", True, 0.08, True, None]
    body = json.dumps({"data": [[photo], photo, *rest]}).encode()
    _, job = ask(url, "POST", path, body, {**JSON, "X-Forwarded-For": visitor})
    return ask(url, "GET", f"{path}/{json.loads(job)['event_id']}")[1].decode()


def sent(url: str, visitor: str) -> dict:
    body, headers = form(("photo.jpg", (EXAMPLES / "grace_hopper.jpg").read_bytes()))
    headers = {**headers, "X-Forwarded-For": visitor}
    (path,) = json.loads(ask(url, "POST", "/gradio_api/upload", body, headers)[1])
    return {"path": path, **META}


def test_swaps_of_one_address_end_when_its_share_is_taken_and_others_go_on(small):
    url, folder = small
    photo = sent(url, "9.9.9.1")
    before = stored(folder)
    assert "event: complete" in (told := swapped(url, "9.9.9.1", photo))
    one = stored(folder) - before
    for _ in range(SHARE // one + 2):
        told = swapped(url, "9.9.9.1", photo)
    assert TOLD in told
    assert stored(folder) <= SHARE + one
    assert "event: complete" in swapped(url, "9.9.9.2", photo)


def swapped_on_page(url: str, photo: dict, session: str, **changed: object) -> str:
    """The events that answer the page's own Swap; changed: parts of its call."""
    functions = json.loads(ask(url, "GET", "/config")[1])["dependencies"]
    (number,) = (
        one["id"]
        for one in functions
        if one["api_name"] == "swap_on_page"
        and len(one["outputs"]) == 4
        and len(one["inputs"]) == 12
    )
    strip, format = {"of": "", "numbers": [], "picked": []}, changed.pop("format", "png")
    tray = {"people": [{"id": 1, "photos": [{"image": photo}], "face": None}], "open": 0}
    data = [{"version": 1}, True, tray, photo, strip, None, format, 1, True, 0.08, "", True]
    call = {"data": data, "fn_index": number, "session_hash": session, **changed}
    headers = {**JSON, "X-Forwarded-For": "9.9.8.1"}
    status, said = ask(url, "POST", "/gradio_api/queue/join", json.dumps(call).encode(), headers)
    assert status == 200, said
    return ask(url, "GET", f"/gradio_api/queue/data?session_hash={session}")[1].decode()


def test_a_format_that_is_not_known_is_refused_before_anything_is_stored(small):
    url, folder = small
    photo = sent(url, "9.9.8.1")
    before = stored(folder)
    assert "is not known" in swapped_on_page(url, photo, "one", format="bogus")
    assert stored(folder) == before


def test_who_says_that_a_call_is_of_a_batch_gets_nothing_past_the_count(small):
    url, folder = small
    photo = sent(url, "9.9.8.1")
    before = stored(folder)
    assert UNREADABLE in swapped_on_page(url, photo, "two", batched=True)
    assert stored(folder) == before
    assert '"success":true' in swapped_on_page(url, photo, "three")


def test_swaps_end_when_the_room_for_all_is_taken(small):
    url, folder = small
    photo = sent(url, "9.9.9.3")
    filler = folder / "uploads" / "of_others.bin"
    filler.write_bytes(bytes(LIMIT - stored(folder) - MEGABYTE // 10))
    time.sleep(1.5 * LOOK_EVERY)  # until the demo's last look at the folder is too old
    for number in range(4, 10):
        told = swapped(url, f"9.9.9.{number}", photo)
    after = stored(folder)
    filler.unlink()
    assert DISK_FULL in told
    assert after < LIMIT + 2 * MEGABYTE
