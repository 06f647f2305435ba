"""Requests that ask the demo for more than it gives: files, addresses, arguments, markup."""

import json
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from starlette.datastructures import Headers

from simswap.demo.server import origins
from tests.support.demo.raw_requests import ask, form, sentence
from tests.support.examples import EXAMPLES

ADMIRAL, ASTRONAUT = EXAMPLES / "grace_hopper.jpg", EXAMPLES / "astronaut.jpg"


@pytest.fixture(scope="module")
def client(demo_url: str, tmp_path_factory) -> Client:
    return Client(demo_url, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


def call(demo_url: str, endpoint: str, *data: object) -> str:
    """What the server streams as the answer to a hand-made request."""
    body, headers = json.dumps({"data": data}).encode(), {"Content-Type": "application/json"}
    address = f"{demo_url}/gradio_api/call/{endpoint}"
    with urllib.request.urlopen(urllib.request.Request(address, body, headers)) as answer:
        event = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{address}/{event}", timeout=60) as answer:
        return answer.read().decode()


@pytest.mark.parametrize(
    "path",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://127.0.0.1:22/photo.jpg",
        "http://localhost/photo.jpg",
        "http://[::1]/photo.jpg",
        "http://10.0.0.1/photo.jpg",
        "https://example.com/photo.jpg",
    ],
)
def test_an_address_in_place_of_a_file_is_refused_and_never_fetched(demo_url, path):
    file = {"path": path, "meta": {"_type": "gradio.FileData"}}
    answer = call(demo_url, "detect_faces", file, 0.7, None)
    assert "event: error" in answer
    assert "Addresses are not fetched. Upload the file itself." in answer


@pytest.mark.parametrize(
    "path",
    [
        "file:///etc/passwd",
        "/etc/passwd",
        "../../etc/passwd",
        str(ASTRONAUT),
        "http://127.0.0.1/gradio_api/file=/etc/passwd",
        f"http://127.0.0.1/gradio_api/file={urllib.parse.quote(str(ASTRONAUT))}",
        "http://127.0.0.1/gradio_api/file=../../../etc/passwd",
    ],
)
def test_no_file_of_the_server_is_read(demo_url, path):
    answer = call(
        demo_url, "detect_faces", {"path": path, "meta": {"_type": "gradio.FileData"}}, 0.7, None
    )
    assert "event: error" in answer
    assert "root:" not in answer
    assert "Traceback" not in answer


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/gradio_api/file=https://example.com/", 403),
        ("/gradio_api/file=/etc/passwd", 403),
        ("/gradio_api/file=app.py", 403),
        ("/gradio_api/file=../app.py", 403),
        ("/static/../../../../../../etc/passwd", 403),
        ("/gradio_api/proxy=http://127.0.0.1/", 404),
    ],
)
def test_the_server_hands_out_no_file_and_relays_no_address(demo_url, path, status):
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(demo_url + path)
    assert caught.value.code == status


def test_an_unknown_argument_is_named(client):
    with pytest.raises(TypeError, match="beauty"):
        client.predict(
            source=handle_file(ADMIRAL),
            target=handle_file(ASTRONAUT),
            beauty=1,
            api_name="/swap_image",
        )


@pytest.mark.parametrize("api_name", ["/begin", "/swap_frame", "/take_snapshot", "/swap_on_page"])
def test_what_the_page_does_within_itself_is_no_endpoint(client, api_name):
    with pytest.raises(ValueError, match="Cannot find a function"):
        client.predict(api_name=api_name)


def test_markup_in_a_text_comes_back_as_text(client):
    with pytest.raises(AppError, match="<img src=x onerror=alert\\(1\\)>"):
        client.predict(
            source=handle_file(ADMIRAL),
            target=handle_file(ASTRONAUT),
            faces="<img src=x onerror=alert(1)>",
            api_name="/swap_image",
        )


def test_an_upload_beyond_the_limit_is_refused(demo_url, tmp_path: Path):
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    body = part + bytes(101_000_000) + b"\r\n--b--\r\n"
    request = urllib.request.Request(f"{demo_url}/gradio_api/upload", body, headers)
    with pytest.raises((urllib.error.HTTPError, ConnectionError, urllib.error.URLError)) as caught:
        urllib.request.urlopen(request)
    assert getattr(caught.value, "code", 413) == 413


def test_nothing_of_a_run_is_kept_in_the_browser_and_nobody_can_watch_others(demo_url):
    with urllib.request.urlopen(f"{demo_url}/config") as answer:
        assert json.load(answer)["run_history"] is False
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{demo_url}/monitoring/summary")
    assert caught.value.code == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", "["]
)
def test_a_demo_of_this_machine_answers_to_no_other_name(demo_url, host):
    own = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    for method, path in (("GET", "/"), ("POST", "/gradio_api/queue/join"), ("GET", "/live-camera")):
        status, said = ask(demo_url, method, path, headers={"Host": host, **own})
        assert (status, sentence(said)[:40]) == (421, "This demo serves its own machine only, a")


@pytest.mark.parametrize(
    ("setting", "value", "host", "is_foreign"),
    [
        ("GRADIO_SERVER_NAME", "127.0.0.1", "swap.example", True),
        ("GRADIO_SERVER_NAME", "0.0.0.0", "swap.example", False),
        ("GRADIO_ROOT_PATH", "https://swap.example/demo", "swap.example", False),
        ("GRADIO_ROOT_PATH", "https://swap.example/demo", "other.example", True),
        ("SIMSWAP_TRUSTED_PROXIES", "10.0.0.1", "swap.example", False),
        ("GRADIO_SHARE", "True", "abc.gradio.live", False),
        ("SPACE_ID", "user/space", "user-space.hf.space", False),
        ("GRADIO_SERVER_NAME", "::1", "[::1]:7860", False),
        ("GRADIO_SERVER_NAME", "", "localhost:7860", False),
    ],
)
def test_whoever_lets_others_come_says_so(monkeypatch, setting, value, host, is_foreign):
    monkeypatch.setenv(setting, value)
    assert origins.is_foreign_host(Headers({"host": host})) == is_foreign


def test_no_browser_takes_an_upload_for_another_kind_of_file(demo_url):
    body, headers = form(("photo.jpg", b"<script>alert(1)</script>"))
    (path,) = json.loads(ask(demo_url, "POST", "/gradio_api/upload", body, headers)[1])
    with urllib.request.urlopen(f"{demo_url}/gradio_api/file={path}") as answer:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "html" not in answer.headers["Content-Type"]
