"""One address and one page get what is theirs: a share of the line, and their own camera."""

import json
import urllib.request
from contextlib import ExitStack

import httpx
import pytest

from simswap.demo.calls.queue import waiting_line
from simswap.demo.services import live_sessions
from simswap.demo.tabs import people
from simswap.errors import OptionError
from tests.support.demo.demo_server import running_demo
from tests.support.demo.raw_requests import JSON, ask, sentence
from tests.support.examples import EXAMPLES

pytestmark = pytest.mark.slow

ADMIRAL = EXAMPLES / "grace_hopper.jpg"
META = {"meta": {"_type": "gradio.FileData"}}


@pytest.fixture(scope="module")
def proxied_url(quick_folder, tmp_path_factory):
    """A demo behind a proxy, with the usual share."""
    folder = tmp_path_factory.mktemp("proxied")
    settings = {"SIMSWAP_TRUSTED_PROXIES": "127.0.0.1", "SIMSWAP_JOBS_PER_ADDRESS": ""}
    with running_demo(folder, **settings, SIMSWAP_MODEL=str(quick_folder)) as url:
        yield url


def upload(url: str, path) -> dict:
    with path.open("rb") as file:
        answer = httpx.post(f"{url}/gradio_api/upload", files={"files": file})
    return {"path": answer.json()[0], **META}


def submit(url: str, endpoint: str, data: list, visitor: str) -> tuple[int, bytes]:
    path, headers = f"/gradio_api/call/{endpoint}", {**JSON, "X-Forwarded-For": visitor}
    return ask(url, "POST", path, json.dumps({"data": data}).encode(), headers)


def call_tool(url: str, photo: dict, visitor: str) -> dict:
    """What MCP answers to a visitor who looks for faces in an upload."""
    params = {
        "name": "detect_faces",
        "arguments": {"photo": f"{url}/gradio_api/file={photo['path']}"},
    }
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    accepted = "application/json, text/event-stream"
    headers = {"Accept": accepted, "X-Forwarded-For": visitor}
    answer = httpx.post(f"{url}/gradio_api/mcp/", json=call, headers=headers, timeout=60)
    told = answer.text.partition("data: ")[2] or answer.text
    return json.loads(told)["result"]


def test_one_address_cannot_fill_the_line_for_others(proxied_url, long_face_clip):
    photo, video = upload(proxied_url, ADMIRAL), upload(proxied_url, long_face_clip)
    rest = ["all", 0, None, "mp4", None, 3, True, 0.08, True, None]
    answers = [
        submit(proxied_url, "swap_video", [[photo], video, *rest], f"1.1.1.{n}, 8.8.8.8")
        for n in range(12)
    ]
    assert [status for status, _ in answers] == [200] * 8 + [503] * 4
    assert sentence(answers[-1][1]) == waiting_line.share_is_used(8)
    for visitor, is_refused in (("8.8.8.8", True), ("7.7.7.7", False)):  # not all MCP is one
        assert call_tool(proxied_url, photo, visitor)["isError"] == is_refused
    status, body = submit(proxied_url, "detect_faces", [photo, 0.7, None], "9.9.9.9")
    assert status == 200
    with ExitStack() as listeners:  # who leaves ends their jobs
        for _, answer in answers[:8]:
            event = json.loads(answer)["event_id"]
            address = f"{proxied_url}/gradio_api/call/swap_video/{event}"
            listeners.enter_context(urllib.request.urlopen(address, timeout=60))
        event = json.loads(body)["event_id"]
        told = ask(proxied_url, "GET", f"/gradio_api/call/detect_faces/{event}")[1].decode()
    assert "event: complete" in told


@pytest.mark.parametrize("text", ["0", "-1", "some", "²"])
def test_a_share_that_cannot_be_is_told(monkeypatch, text):
    monkeypatch.setenv(waiting_line.SHARE_SETTING, text)
    with pytest.raises(OptionError, match=f"{waiting_line.SHARE_SETTING} is '{text}'"):
        waiting_line.size_per_address()


class Page:
    """A page of the demo, made by hand: whoever knows another's hash may claim to be it."""

    def __init__(self, url: str, session_hash: str, visitor: str = "1.1.1.1") -> None:
        """visitor: whom it says to come from, which counts where a proxy is trusted."""
        self.url, self.session_hash = url, session_hash
        self.headers = {**JSON, "X-Forwarded-For": visitor}
        self.config = json.loads(ask(url, "GET", "/config")[1])

    def run(self, event: str, *data: object) -> list:
        """Trigger one of the camera view's events; gives what it outputs."""
        for one in self.config["dependencies"]:
            if one["targets"][0][1] == event and one["api_visibility"] == "private":
                self._send(one["id"], one["queue"], data)
                return self._outputs(one["queue"])
        raise LookupError(event)

    def _send(self, number: int, is_queued: bool, data: tuple) -> None:
        path = "queue/join" if is_queued else "run/predict"
        call = {"data": data, "fn_index": number, "session_hash": self.session_hash}
        status, self._answer = ask(
            self.url, "POST", f"/gradio_api/{path}", json.dumps(call).encode(), self.headers
        )
        assert status == 200

    def _outputs(self, is_queued: bool) -> list:
        if not is_queued:
            return json.loads(self._answer)["data"]
        path = f"/gradio_api/queue/data?session_hash={self.session_hash}"
        for line in ask(self.url, "GET", path)[1].decode().splitlines():
            message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if message.get("msg") in ("process_completed", "process_streaming"):
                return message["output"].get("data") or [message["output"]]
        raise LookupError("no answer")


def begin(page: Page, view: dict) -> dict:
    tray = people.of_photos([upload(page.url, ADMIRAL)["path"]])
    return page.run("begin", True, tray, "all", None, view)[0]


def test_who_knows_a_pages_hash_gets_no_picture_of_its_camera_and_cannot_end_it(demo_url):
    page, stranger = Page(demo_url, "victim"), Page(demo_url, "victim")
    token = begin(page, {})["token"]
    for view in ({}, {"token": "guess"}, {"token": None}, {"token": 5}, None, "victim"):
        assert "has ended" in json.dumps(stranger.run("snapshot", view))
        stranger.run("end", view)
    other = begin(stranger, {})["token"]  # which takes no place of the page's
    for session in (token, other):
        assert "no swapped picture yet" in json.dumps(page.run("snapshot", {"token": session}))
        page.run("end", {"token": session})
        assert "has ended" in json.dumps(page.run("snapshot", {"token": session}))


def test_one_address_leaves_places_for_the_cameras_of_others(proxied_url):
    most = live_sessions.MAX_SESSIONS_PER_ADDRESS
    *mine, one_more = [begin(Page(proxied_url, f"mine{n}"), {}) for n in range(most + 1)]
    assert all("token" in view for view in mine)
    assert f"{most} live cameras of your address are on" in one_more["refused"]
    assert "token" in begin(Page(proxied_url, "theirs", visitor="2.2.2.2"), {})


def test_a_stream_whose_frame_is_refused_gives_its_place_back(proxied_url):
    page = Page(proxied_url, "stranger")
    (stream,) = [one for one in page.config["dependencies"] if one["connection"] == "stream"]
    page._send(stream["id"], True, ({"token": "guess"},))
    path = "/gradio_api/queue/data?session_hash=stranger"
    told = ask(proxied_url, "GET", path)[1].decode()  # which ends with the last job
    assert "has ended" in told
    assert "process_completed" in told
