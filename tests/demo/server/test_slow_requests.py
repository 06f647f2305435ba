"""Requests that never end: each is ended, and others are served meanwhile."""

import json
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from simswap.demo.server.timed_connections import MAX_PER_ADDRESS
from simswap.demo.server.upload_limits import CUT_OFF
from tests.support.demo.demo_server import paths_below, running_demo
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
from tests.support.examples import ROOT

pytestmark = pytest.mark.slow

# The demo, which waits for a second where it would for longer.
IMPATIENT = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
import app
from simswap.demo.server import open_connections, request_bodies, timed_connections
open_connections.MAX_REQUESTS_PER_ADDRESS = 1000  # so that connections are what is too many
request_bodies.PATIENCE = timed_connections.SECONDS = timed_connections.READ_SECONDS = 1.0
app.main()
"""
JOIN, UPLOAD = "/gradio_api/queue/join", "/gradio_api/upload"
LONG = {"Content-Length": "5000"}


@pytest.fixture(scope="module")
def impatient(quick_folder, tmp_path_factory):
    """Its address, and the folder that it keeps uploads in."""
    folder = tmp_path_factory.mktemp("impatient")
    script = folder / "impatient.py"
    script.write_text(IMPATIENT)
    with running_demo(folder, script, SIMSWAP_MODEL=str(quick_folder)) as url:
        yield url, folder


def stored(folder: Path) -> list[str]:
    """Names of the files that are kept, but for the lock of their folder."""
    names = [path.name for path in paths_below(folder / "uploads") if path.is_file()]
    return [name for name in names if name != ".lock"]


def trickle(connection, stop: threading.Event) -> None:
    """Send a byte now and then, so that the connection never falls silent."""
    while not stop.wait(0.2):
        try:
            connection.sendall(b"x")
        except OSError:
            return


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        head("POST", "/gradio_api/process_recording", LONG),  # refused, and its body goes on
        head("GET", "/robots.txt", {}) + b"GET / HTTP/1.1\r\nX-Slow: ",  # after another
    ],
)
@pytest.mark.parametrize("is_silent", [True, False])
def test_a_connection_without_a_whole_request_is_closed(impatient, begun, is_silent):
    url, _ = impatient
    stop = threading.Event()
    with connect(url) as connection:
        connection.sendall(begun)
        if not is_silent:
            threading.Thread(target=trickle, args=[connection, stop], daemon=True).start()
        answer(connection)  # to its end
        stop.set()


def test_a_body_that_does_not_come_is_told_and_ended(impatient):
    url, _ = impatient
    with connect(url) as connection:
        connection.sendall(head("POST", JOIN, {**JSON, **LONG}))
        status, body = answer(connection)
    assert (status, sentence(body)) == (408, "The request came too slowly. Try again.")


def test_of_an_upload_that_does_not_end_nothing_is_kept(impatient):
    url, folder = impatient
    body, headers = form(("half.bin", b"A" * 200_000))
    with connect(url) as connection:
        connection.sendall(head("POST", UPLOAD, {**headers, "Content-Length": "9000000"}) + body)
        assert answer(connection)[0] == 408
    assert stored(folder) == []


def test_of_an_upload_that_is_cut_off_nothing_is_kept(impatient):
    url, folder = impatient
    body, headers = form(("half.bin", b"A" * 200_000))
    with connect(url) as connection:
        connection.sendall(head("POST", UPLOAD, {**headers, "Content-Length": "9000000"}) + body)
        while not stored(folder):
            time.sleep(0.01)
    while stored(folder):
        time.sleep(0.01)


@pytest.mark.parametrize("name", ["cut.bin", "..", "a/..", ""])
def test_of_an_upload_without_an_end_or_a_name_nothing_is_kept(impatient, name):
    url, folder = impatient
    body, headers = form((name, b"A" * 2_000_000))
    body = body[:-10] if name == "cut.bin" else body
    status, told = ask(url, "POST", UPLOAD, body, headers)
    assert status == 400
    assert sentence(told) in (CUT_OFF, "A file of an upload takes a name. Send it with one.")
    assert stored(folder) == []


@pytest.mark.parametrize(("pauses", "is_whole"), [([3.0], False), ([0.2] * 10, True)])
def test_an_answer_is_ended_that_nobody_reads_but_not_one_that_is_read_slowly(
    impatient, pauses, is_whole
):
    url, size = impatient[0], 20_000_000
    body, headers = form(("large.bin", bytes(size)))
    (path,) = json.loads(ask(url, "POST", UPLOAD, body, headers)[1])
    with connect(url) as connection:
        connection.sendall(head("GET", f"/gradio_api/file={path}", {"Connection": "close"}))
        received = 0
        for pause in pauses:
            time.sleep(pause)
            received += len(connection.recv(size // 10, socket.MSG_WAITALL))
        with suppress(ConnectionError):
            received += len(all_said(connection))
    assert (received > size) == is_whole


def test_three_hundred_half_requests_keep_nobody_from_the_page(impatient):
    url, _ = impatient
    held = [connect(url, source) for source in ("127.0.0.3", "127.0.0.4") for _ in range(150)]
    for connection in held:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
    assert ask(url, "GET", "/robots.txt")[0] == 200
    assert {answer(connection) for connection in held} == {(0, b"")}


def test_connections_beyond_an_addresss_share_are_closed_and_others_are_served(impatient):
    url, source = impatient[0], "127.0.0.5"
    held = []
    for _ in range(MAX_PER_ADDRESS):  # each asks at once: this demo waits for a second only
        held.append(connection := connect(url, source))
        connection.sendall(head("GET", "/gradio_api/heartbeat/abc", {}))
        assert connection.recv(12) == b"HTTP/1.1 200"
    with connect(url, source) as one_more:
        assert answer(one_more) == (0, b"")
    assert ask(url, "GET", "/robots.txt")[0] == 200
    for connection in held:
        connection.close()
    while ask(url, "GET", "/robots.txt", source=source)[0] != 200:
        time.sleep(0.01)


def test_the_log_holds_nothing_of_it(impatient):
    log = Path(impatient[1] / "demo.log").read_text()
    assert "Traceback" not in log
