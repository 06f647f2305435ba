"""What the demo's address answers: the few paths that it needs, to pages of its own."""

import json
import os

import pytest

from simswap.demo.server.allowed_routes import NO_UPLOAD
from tests.support.demo.demo_server import running_demo
from tests.support.demo.raw_requests import JSON, ask, form, sentence

pytestmark = pytest.mark.slow

UPLOAD, JOIN = "/gradio_api/upload", "/gradio_api/queue/join"
FOREIGN = {"Origin": "https://evil.example"}
PROXY = "127.0.0.2"


@pytest.mark.parametrize(
    "path",
    [
        *("/gradio_api/process_recording", "/gradio_api/component_server"),
        *("/gradio_api/vibe-edit", "/gradio_api/vibe-code/", "/gradio_api/undo-vibe-edit"),
        *("/gradio_api/vibe-starter-queries", "/gradio_api/run/swap_image"),
        *("/gradio_api/api/swap_image", "/gradio_api/mcp/messages/", "/login"),
        *("/gradio_api/profiling/clear", "/gradio_api/run-history/connect"),
        *("/gradio_api//process_recording", "//gradio_api/process_recording"),
        *("/gradio_api/process_recording/", "/gradio_api/./process_recording"),
        *("/gradio_api/%70rocess_recording", "/gradio_api%2Fprocess_recording"),
        *("/gradio_api/upload/../process_recording", "/GRADIO_API/UPLOAD"),
        *("/gradio_api/upload%2F..%2Fprocess_recording", "/gradio_api/upload%00"),
        *("/gradio_api/upload%0A", "/gradio_api/upload/", "/gradio_api/call/../upload"),
        *("/gradio_api/stream/x%2Fclose%2Fy", "/gradio_api/process_recording?x=/gradio_api/upload"),
        *("/gradio_api/process_recording#/gradio_api/upload", "/x/gradio_api/upload"),
    ],
)
def test_nothing_can_be_sent_to_what_the_page_does_not_use(demo_url, path):
    status, body = ask(demo_url, "POST", path, b"{}", JSON)
    assert (status, sentence(body)) == (404, "There is nothing at this address.")


@pytest.mark.parametrize(
    "path",
    [
        *("/gradio_api/deep_link?session_hash=abc", "/gradio_api/dev/reload", "/monitoring"),
        *("/monitoring/x", "/gradio_api/runs", "/gradio_api/run-history/buckets", "/docs"),
        *("/gradio_api/custom_component/html/client/x/y.js", "/gradio_api/file/etc/passwd"),
        *("/gradio_api/mcp/sse", "/svelte/x", "/pwa_icon/9", "/gradio_api/token", "/openapi.json"),
        *("/gradio_api/stream/a/b/1/playlist.m3u8", "/gradio_api/proxy=http://127.0.0.1:22/"),
    ],
)
def test_nothing_can_be_read_that_the_page_does_not_use(demo_url, path):
    assert ask(demo_url, "GET", path)[0] == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "GET", "HEAD", "TRACE", "JUNK"])
def test_an_address_takes_its_own_methods_only(demo_url, method):
    assert ask(demo_url, method, JOIN)[0] == 405


@pytest.mark.parametrize("path", ["/", "/gradio_api/queue/join", "/live-camera/", "/live-camera/x"])
def test_other_addresses_take_no_websocket(demo_url, path):
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    assert ask(demo_url, "GET", path, headers=upgrade)[0] == 403


@pytest.mark.parametrize(
    ("name", "status"), [(".lock", 403), ("nothing/x.png", 403), ("..", 403), ("", 404)]
)
def test_what_lies_beside_the_uploads_is_not_handed_out(demo_url, demo_folder, name, status):
    (folder,) = (demo_folder / "uploads").iterdir()
    path = f"/gradio_api/file={folder}/{name}" if name else "/gradio_api/file="
    assert ask(demo_url, "GET", path)[0] == status


@pytest.mark.parametrize("path", [JOIN, "/gradio_api/call/detect_faces", "/gradio_api/mcp/"])
def test_a_body_that_is_too_long_is_refused_before_it_is_read(demo_url, path):
    headers = {**JSON, "Content-Length": "600000000"}
    status, body = ask(demo_url, "POST", path, headers=headers)
    assert status == 413
    assert "MB that this address takes" in sentence(body)


@pytest.mark.parametrize("path", [JOIN, "/gradio_api/call/detect_faces", "/gradio_api/mcp/"])
@pytest.mark.parametrize("part", [b"[],", b"{},", b"7,"])
def test_a_body_of_very_many_parts_is_refused_before_it_is_parsed(demo_url, path, part):
    status, body = ask(demo_url, "POST", path, b'{"data": [' + part * 20_000 + b"7]}", JSON)[:2]
    assert status == 413
    assert "too many parts" in sentence(body)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_request_that_only_reads_has_no_body(demo_url, method):
    assert ask(demo_url, method, "/", b"x" * 10)[0] == 413


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"fn_index": 99_999}, 400),
        ({"fn_index": -1}, 400),
        ({"fn_index": 10**30}, 400),
        ({"fn_index": None}, 400),
        ({"fn_index": "swap"}, 422),
        ({"session_hash": "x" * 65}, 400),
        ({"session_hash": "../x"}, 400),
        ({"data": "SECRET-face.jpg"}, 422),
    ],
)
def test_a_call_of_what_is_not_there_is_refused_in_a_sentence(demo_url, fields, status):
    call = {"data": [], "fn_index": 0, "session_hash": "abc", **fields}
    got, body = ask(demo_url, "POST", JOIN, json.dumps(call).encode(), JSON)
    assert got == status
    assert sentence(body).endswith(".")


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/gradio_api/call/no_such_thing", b'{"data": []}', 404),
        ("/gradio_api/call/v2/no_such_thing", b"{}", 422),
        ("/gradio_api/call/v2/detect_faces", b'{"beauty": "SECRET-face.jpg"}', 422),
        ("/gradio_api/run/predict", b'{"data": [], "fn_index": 99999}', 422),
        (JOIN, b"[" * 9_000, 422),
        (JOIN, b"SECRET-face.jpg", 422),
        ("/gradio_api/cancel", b'{"event_id": 5}', 422),
    ],
)
def test_what_cannot_be_understood_is_refused_in_a_sentence(demo_url, path, body, status):
    got, answered = ask(demo_url, "POST", path, body, JSON)
    assert got in (status, 400)
    assert sentence(answered).endswith((".", "body"))


@pytest.mark.parametrize(
    "path", ["/gradio_api/queue/data?session_hash=nobody", "/gradio_api/call/detect_faces/nothing"]
)
def test_what_was_never_begun_has_no_news(demo_url, path):
    status, body = ask(demo_url, "GET", path)
    assert (status, sentence(body)[:21]) == (404, "There is no such job ")


@pytest.mark.parametrize(
    "headers",
    [
        FOREIGN,
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {**FOREIGN, "Sec-Fetch-Site": "cross-site", "X-Forwarded-Host": "evil.example"},
    ],
)
@pytest.mark.parametrize("path", [UPLOAD, JOIN, "/gradio_api/mcp/"])
def test_pages_of_other_sites_send_nothing(demo_url, path, headers):
    body, fields = form(("a.txt", b"x"))
    status, said = ask(demo_url, "POST", path, body, {**fields, **headers})
    assert (status, sentence(said)[:40]) == (403, "Requests from pages of other web sites a")


@pytest.mark.parametrize(
    "headers", [{}, {"Origin": "http://127.0.0.1"}, {**FOREIGN, "Sec-Fetch-Site": "same-origin"}]
)
def test_programs_and_the_page_itself_may_upload(demo_url, headers):
    body, fields = form(("a.txt", b"x"))
    assert ask(demo_url, "POST", UPLOAD, body, {**fields, **headers})[0] == 200


def test_so_many_files_are_taken_at_once_and_no_more(demo_url):
    for num_files, status in ((16, 200), (17, 413)):
        body, fields = form(*[(f"{number}.txt", b"x") for number in range(num_files)])
        assert ask(demo_url, "POST", UPLOAD, body, fields)[0] == status


FIELD, FILE = b'form-data; name="x"', b'form-data; name="x"; filename="a.txt"'


@pytest.mark.parametrize(
    ("content_type", "edge", "dispositions"),
    [
        ("multipart/form-data; boundary=b", b"b", [FIELD]),
        ("multipart/form-data; boundary=b", b"b", [FILE, FIELD]),
        ("multipart/form-data; boundary=b", b"b", [FIELD, FILE]),
        ("multipart/form-data; boundary=b; charset=punycode", b"b", [FILE]),
        ("multipart/form-data; boundary=", b"", [FILE]),
        ("multipart/form-data", b"", [FILE]),
        ("multipart/mixed; boundary=b", b"b", [FILE]),
        ("application/x-www-form-urlencoded", b"b", [FILE]),
    ],
)
def test_an_upload_that_is_no_plain_form_of_files_is_refused(
    demo_url, content_type, edge, dispositions
):
    lines = b"".join(b"Content-Disposition: " + line + b"\r\n" for line in dispositions)
    body = b"--" + edge + b"\r\n" + lines + b"\r\n" + b"A" * 100 + b"\r\n--" + edge + b"--\r\n"
    status, said = ask(demo_url, "POST", UPLOAD, body, {"Content-Type": content_type})
    assert (status, "upload" in sentence(said)) == (400, True)


def test_a_long_boundary_is_refused_in_a_sentence(demo_url):
    body, headers = form(("a.txt", b"x"), boundary="b" * 257)
    status, said = ask(demo_url, "POST", UPLOAD, body, headers)
    assert (status, "may have 256 bytes; this one has 257" in sentence(said)) == (400, True)


@pytest.mark.parametrize("name", ["x" * 65, "../x", "", "x%00"])
@pytest.mark.parametrize("path", ["upload", "upload_progress"])
def test_an_upload_has_a_short_name(demo_url, path, name):
    body, headers = form(("a.txt", b"x")) if path == "upload" else (b"", {})
    method = "POST" if path == "upload" else "GET"
    asked = f"/gradio_api/{path}?upload_id={name}"
    status, said = ask(demo_url, method, asked, body, headers)
    assert (status, sentence(said)) == (404, NO_UPLOAD)


def test_how_far_an_upload_is_can_be_asked(demo_url):
    body, headers = form(("a.txt", b"x"))
    assert ask(demo_url, "POST", f"{UPLOAD}?upload_id=mine", body, headers)[0] == 200
    status, said = ask(demo_url, "GET", "/gradio_api/upload_progress?upload_id=mine")
    assert status == 200
    assert b'"msg": "done"' in said


@pytest.fixture(scope="module")
def narrow(quick_folder, tmp_path_factory):
    """A demo with little room, behind a proxy that strips its prefix; and its folder."""
    folder = tmp_path_factory.mktemp("narrow")
    settings = {
        "SIMSWAP_DISK_GB": "0.01",
        "SIMSWAP_REQUESTS_PER_MINUTE": "40",
        "SIMSWAP_TRUSTED_PROXIES": PROXY,
        "GRADIO_ROOT_PATH": "/demo",
        "SIMSWAP_MODEL": str(quick_folder),
    }
    with running_demo(folder, **settings) as url:
        yield url, folder


def send_files(url: str, visitor: str, *files: tuple[str, bytes]) -> tuple[int, bytes]:
    """Upload, through the proxy, what a visitor sends."""
    body, headers = form(*files)
    return ask(url, "POST", UPLOAD, body, {**headers, "X-Forwarded-For": visitor}, PROXY)


@pytest.mark.parametrize("prefix", ["", "/demo"])
def test_the_door_knows_its_paths_with_and_without_a_proxys_prefix(narrow, prefix):
    url, _ = narrow
    assert ask(url, "GET", f"{prefix}/config")[0] == 200
    assert ask(url, "GET", f"{prefix}/monitoring/summary")[0] == 404
    assert ask(url, "POST", f"{prefix}/gradio_api/process_recording")[0] == 404


def test_each_file_of_an_upload_counts(narrow):
    files = [(f"{number}.txt", b"x") for number in range(16)]
    got = [send_files(narrow[0], "7.7.7.1", *files)[0] for _ in range(3)]
    assert got == [200, 200, 429]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [("/nothing", {}, 404), (UPLOAD, FOREIGN, 403), (f"{UPLOAD}?{'x' * 2001}", {}, 414)],
)
def test_a_request_that_is_refused_counts(narrow, path, headers, status):
    named = {**headers, "X-Forwarded-For": f"7.7.9.{status % 256}"}
    got = {ask(narrow[0], "POST", path, headers=named, source=PROXY)[0] for _ in range(41)}
    assert got == {status, 429}


def test_who_is_no_proxy_cannot_name_another_address(narrow):
    for number in range(50):
        named = {"X-Forwarded-For": f"7.7.8.{number}", **JSON}
        status, _ = ask(narrow[0], "POST", "/gradio_api/reset", b'{"event_id": ""}', named)
    assert status == 429


def test_one_address_cannot_take_all_the_room_and_leaves_nothing_half_sent(narrow):
    url, folder = narrow
    (kept,) = (folder / "uploads").iterdir()
    before = {path.name for path in kept.iterdir()}
    status, said = send_files(url, "7.7.7.2", ("a.bin", os.urandom(3_000_000)))
    assert status == 429
    assert "GB an hour are taken from one address" in sentence(said)
    assert {path.name for path in kept.iterdir()} == before
    assert send_files(url, "7.7.7.3", ("b.bin", b"x"))[0] == 200


def test_nothing_of_all_this_is_in_the_log(demo_url, demo_folder, narrow):
    ask(demo_url, "POST", "/gradio_api/call/detect_faces", b'{"data": ["SECRET-face.jpg"]}', JSON)
    for folder in (demo_folder, narrow[1]):
        log = (folder / "demo.log").read_text()
        assert "Traceback" not in log
        assert "SECRET" not in log
