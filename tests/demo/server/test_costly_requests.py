"""Requests that would take long to be taken in, before anybody knows whose they are."""

import http.client
import select
import socket
import time
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from simswap.demo.server.allowed_routes import MAX_HOST, MAX_QUERY
from simswap.demo.server.timed_connections import (
    HEAD_TOO_LARGE,
    IN_PIECES,
    MAX_FIELDS,
    MAX_HEADS,
    MAX_PIECES,
)
from simswap.demo.server.upload_limits import MAX_BOUNDARIES, NO_BOUNDARY, TOO_SLOW
from simswap.demo.services.uploads import MAX_NAME, MAX_PATH
from tests.support.demo.raw_requests import (
    JSON,
    all_said,
    answer,
    ask,
    connect,
    form,
    head,
    sentence,
)

pytestmark = pytest.mark.slow

LAST = {"Connection": "close"}
PAGE = head("GET", "/robots.txt", LAST)
MANY = head("GET", "/robots.txt", {f"x{number}": "" for number in range(MAX_FIELDS)})
LONG = head("GET", "/robots.txt", {"x": "a" * 16_000})


@pytest.mark.parametrize("sent", [MANY, LONG, LONG[:-4], b"G" * 16_001])
@pytest.mark.parametrize("before", [b"", head("GET", "/robots.txt", {})])
@pytest.mark.parametrize("num_pieces", [1, 4])
def test_a_request_with_too_much_before_its_body_is_refused(demo_url, sent, before, num_pieces):
    with connect(demo_url) as connection:
        connection.sendall(before)
        length = -(-len(sent) // num_pieces)
        for start in range(0, len(sent), length):
            connection.sendall(sent[start : start + length])
            time.sleep(0.02)
        said = all_said(connection)
    assert said.count(b"HTTP/1.1 200 OK") == bool(before)
    assert said.count(b"HTTP/1.1 431 Request Header Fields Too Large") == 1
    assert sentence(said.rpartition(b"\r\n\r\n")[2]) == HEAD_TOO_LARGE


@pytest.mark.parametrize(
    ("sent", "status"),
    [(MANY, 431), (head("POST", "/nothing", {"Transfer-Encoding": "chunked"}), 411)],
)
def test_so_is_one_behind_a_body_that_came_after_its_answer(demo_url, sent, status):
    with connect(demo_url) as connection:
        connection.sendall(head("POST", "/nothing", {"Content-Length": "1"}))
        first = connection.recv(1000)
        connection.sendall(b"x" + sent)
        said = first + all_said(connection)
    assert [int(one[:3]) for one in said.split(b"HTTP/1.1 ")[1:]] == [404, status]


def test_a_request_of_as_many_fields_as_are_taken_is_answered(demo_url):
    fields = {f"x{number}": "a" * 120 for number in range(MAX_FIELDS - 3)}
    assert ask(demo_url, "GET", "/robots.txt", headers=fields)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        *("/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/run/predict"),
        *("/gradio_api/mcp/", "/gradio_api/stream/abc", "/nothing"),
    ],
)
@pytest.mark.parametrize("field", ["Transfer-Encoding", "transfer-ENCODING"])
def test_a_body_in_pieces_is_refused_in_a_sentence(demo_url, path, field):
    with connect(demo_url) as connection:
        connection.sendall(head("POST", path, {**JSON, field: "chunked"}) + b"1\r\n \r\n" * 40_000)
        status, body = answer(connection)
    assert (status, sentence(body)) == (411, IN_PIECES)


def test_a_request_that_names_that_field_in_its_path_is_taken(demo_url):
    path = "/robots.txt?%0Atransfer-encoding"
    assert ask(demo_url, "GET", path, headers={"X-Transfer-Encoding": "none"})[0] == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/robots.txt?{'x' * MAX_QUERY}", 200),
        (f"/robots.txt?{'x' * (MAX_QUERY + 1)}", 414),
        (f"/static/{'a/' * (MAX_PATH // 2)}", 414),
        (f"/static/{'a' * MAX_NAME}", 404),
        (f"/static/{'a' * (MAX_NAME + 1)}", 414),
        (f"/assets/{'%C3%A9' * 128}", 414),
    ],
)
def test_an_address_is_so_long_at_most(demo_url, path, status):
    assert ask(demo_url, "GET", path)[0] == status


@pytest.mark.parametrize("name", ["Host", "X-Forwarded-Host", "X-Forwarded-Proto"])
def test_a_host_is_so_long_at_most(demo_url, name):
    request = PAGE.replace(b"Host: 127.0.0.1\r\n", b"") if name == "Host" else PAGE
    line = f"{name}: {'a' * (MAX_HOST + 1)}\r\n\r\n".encode()
    with connect(demo_url) as connection:
        connection.sendall(request.removesuffix(b"\r\n") + line)
        status, body = answer(connection)
    assert (status, sentence(body)) == (400, f"{name.lower()} has more than 255 characters.")


@pytest.mark.parametrize(
    ("more", "status"), [({"X-Long": "a" * 9000}, 431), ({"Content-Length": "1"}, 0)]
)
def test_a_socket_that_is_not_opened_rightly_is_closed(demo_url, more, status):
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    with connect(demo_url) as connection:
        connection.sendall(head("GET", "/live-camera", {**upgrade, **more}))
        assert answer(connection)[0] == status


def test_a_number_of_very_many_digits_is_not_read(demo_url):
    numbers = ",".join(["9" * 4299] * 200)
    body = f'{{"data":[{numbers}],"fn_index":92,"session_hash":"abc"}}'.encode()
    status, told = ask(demo_url, "POST", "/gradio_api/call/verify", body, JSON)
    assert (status, sentence(told)) == (413, "Up to 400 digits in a row are taken.")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16", "utf-32-be"])
def test_a_call_is_read_in_utf_8_only(demo_url, encoding):
    body = '{"data":[9],"fn_index":92,"session_hash":"abc"}'.encode(encoding)
    status, told = ask(demo_url, "POST", "/gradio_api/call/verify", body, JSON)
    assert (status, sentence(told)) == (415, "A call is JSON in UTF-8.")


@pytest.mark.parametrize("size", [1, 5000])  # of a piece in which it comes
def test_an_upload_that_holds_its_boundary_again_and_again_is_refused(demo_url, size):
    named = b'Content-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    body = b"--a\r\n" + named + b"\r\n--ax" * (MAX_BOUNDARIES + 1) + b"\r\n--a--\r\n"
    fields = {"Content-Type": "multipart/form-data; boundary=a", "Content-Length": str(len(body))}
    with connect(demo_url) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head("POST", "/gradio_api/upload", fields))
        for start in range(0, len(body), size):
            connection.sendall(body[start : start + size])
        said = all_said(connection)
    assert said.startswith(b"HTTP/1.1 400")
    assert NO_BOUNDARY.encode() in said


@pytest.mark.parametrize("num_before", [0, 20_000_000])  # usual bytes, which earn time
def test_an_upload_that_takes_long_to_be_taken_apart_is_refused(demo_url, num_before):
    """Each blank behind a boundary is looked at by itself."""
    body, headers = form(("a.jpg", b"x" * num_before))
    padded = body.replace(b"\r\n--b--", b"\r\n--b" + b" " * 1_000_000 + b"--")
    status, said = ask(demo_url, "POST", "/gradio_api/upload", padded, headers)
    assert (status, sentence(said)) == (400, TOO_SLOW)


def test_of_one_address_so_many_requests_a_second_are_taken_in_and_the_rest_wait(demo_url):
    count, begun = 3 * MAX_HEADS, time.monotonic()
    with connect(demo_url, "127.0.0.47") as connection:
        last = head("GET", "/robots.txt", LAST)
        connection.sendall(head("GET", "/robots.txt", {}) * (count - 1) + last)
        said = all_said(connection)
    assert said.count(b"HTTP/1.1 ") == count
    assert time.monotonic() - begun > 1.5  # two seconds have to pass before the last


def test_a_head_in_very_many_pieces_is_refused(demo_url):
    with connect(demo_url) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in LONG[: 4 * MAX_PIECES]:
            if select.select([connection], [], [], 0.002)[0]:
                break  # it has answered
            connection.sendall(bytes([byte]))
        said = all_said(connection)
    assert said.startswith(b"HTTP/1.1 431")


def test_a_connection_may_bring_many_requests_one_after_the_other(demo_url):
    with closing(http.client.HTTPConnection(urlsplit(demo_url).netloc)) as connection:
        for _ in range(MAX_PIECES + 20):
            connection.request("GET", "/robots.txt")
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (200, True)
