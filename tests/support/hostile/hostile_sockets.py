"""Attacks by the camera's WebSocket: each takes the demo's address, attacks it, says what came."""

from __future__ import annotations

import json
import secrets
import threading
import time
from contextlib import ExitStack, suppress

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.support.demo.demo_calls import EXAMPLES, ask, upload
from tests.support.demo.raw_http import ANSWER_SECONDS, host, opened


def pings(url: str, count: int, seconds: float) -> str:
    """Attacks the event loop: sockets on which only pings come, opened again and again."""
    begin = f"GET /live-camera HTTP/1.1\r\nHost: {host(url)}\r\nOrigin: {url}\r\n" + (
        "X-Forwarded-For: 192.0.2.9\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    until, sockets = time.monotonic() + seconds, []

    def flood() -> None:
        while time.monotonic() < until:
            with suppress(OSError), opened(url) as line:
                line.sendall(begin.encode())
                is_taken = line.recv(12) == b"HTTP/1.1 101"
                sockets.append(is_taken)
                while is_taken and time.monotonic() < until:
                    line.sendall(b"\x89\x80\0\0\0\0" * 10_000)

    threads = [threading.Thread(target=flood) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return f"{sum(sockets)} of {len(sockets)} sockets opened"


def large_socket_messages(url: str, count: int, num_bytes: int) -> str:
    """Attacks the camera's socket: large first messages in place of a token."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(_camera(url)) for _ in range(count)]
        for one in sockets:
            one.send("a" * num_bytes)
        return str(_received(sockets[-1]))[:80]


def camera_frames(url: str, frame: bytes, count: int = 5) -> str:
    """Attacks the decoder of camera frames: the same one, over and over, in a live session."""
    with _camera(url) as socket:
        socket.send(session_token(url))
        answer: str | bytes = ""
        for _ in range(count):
            socket.send(frame)
            answer = _received(socket)
            if isinstance(answer, str):
                break
    return answer if isinstance(answer, str) else f"a frame of {len(answer)} bytes"


def session_token(url: str) -> str:
    """The token of a new live session, opened as the page does, by a visitor of its own."""
    visitor, page = f"2001:db8:{secrets.token_hex(2)}::1", secrets.token_hex(8)
    source = upload(url, "source.jpg", (EXAMPLES / "grace_hopper.jpg").read_bytes(), visitor)
    config = json.loads(ask(f"{url}/config")[1])
    targets = {d["id"]: [event for _, event in d["targets"]] for d in config["dependencies"]}
    begin = next(number for number, events in targets.items() if "begin" in events)
    tray = {"people": [{"id": 1, "photos": [{"image": source}], "face": None}], "open": 0}
    data = [True, tray, "all", None, {}]
    body = json.dumps({"fn_index": begin, "session_hash": page, "data": data}).encode()
    ask(f"{url}/gradio_api/queue/join", body, sender=visitor)
    events = ask(f"{url}/gradio_api/queue/data?session_hash={page}")[1].decode()
    ends = (json.loads(line[5:]) for line in events.splitlines() if line.startswith("data:"))
    done = next(event for event in ends if event["msg"] == "process_completed")
    value = done["output"]["data"][0]
    if "token" not in value:
        raise OSError(f"no live session: {value}")
    return value["token"]


def _camera(url: str):
    address = url.replace("http", "ws", 1) + "/live-camera"
    return connect(address, origin=url, max_size=None, open_timeout=ANSWER_SECONDS)


def _received(socket) -> str | bytes:
    try:
        return socket.recv(ANSWER_SECONDS)
    except (ConnectionClosed, TimeoutError) as error:
        return f"{type(error).__name__} {error}"
