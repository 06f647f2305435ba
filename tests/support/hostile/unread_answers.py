"""Attacks on who keeps answers: calls with long answers, which nobody reads or fetches."""

from __future__ import annotations

import json
import secrets
import socket
import time
from base64 import b64encode
from contextlib import ExitStack, suppress
from io import BytesIO

from tests.support.demo.demo_calls import EXAMPLES, PREFIX, ask, upload
from tests.support.demo.raw_http import head, opened
from tests.support.hostile.hostile_sockets import session_token
from tests.support.hostile.large_media import crowd_of_faces, noise

TOOLS_SIDE = 1000  # px; a PNG of noise of this size fits into a tool's answer


def unread_tools(url: str, count: int) -> str:
    """Attacks MCP, whose answers hold whole pictures: of so many calls no answer is read."""
    target = upload(url, "noise.jpg", noise(TOOLS_SIDE, TOOLS_SIDE))
    source = upload(url, "source.jpg", (EXAMPLES / "grace_hopper.jpg").read_bytes())
    source, target = (f"{url}{PREFIX}/file={file['path']}" for file in (source, target))
    given = {"source": [source], "target": target, "format": "png", "consent": True}
    params = {"name": "swap_image", "arguments": given}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    body, begun = json.dumps(call).encode(), 0
    with ExitStack() as stack:
        for number in range(count):
            line = stack.enter_context(opened(url))
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            length = f"Content-Length: {len(body)}\r\n\r\n".encode()
            line.sendall(head(url, f"{PREFIX}/mcp/", "application/json") + length + body)
            if number % 6 == 5:  # as many as an address may have at work
                with suppress(OSError):
                    begun += line.recv(300, socket.MSG_PEEK | socket.MSG_WAITALL)[9:12] == b"200"
    return f"{begun} of {count // 6} looked at were answered"


def unread_frames(url: str, seconds: float) -> str:
    """Attacks the camera by Gradio's stream: frames are swapped, and nobody fetches them."""
    frame = "data:image/jpeg;base64," + b64encode(noise(800, 600)).decode()
    config = json.loads(ask(f"{url}/config")[1])
    stream = next(one["id"] for one in config["dependencies"] if one["connection"] == "stream")
    sent = {"token": session_token(url), "number": 1, "frame": frame}
    page = {"fn_index": stream, "session_hash": secrets.token_hex(8), "data": [sent]}
    body, ends, count = json.dumps(page).encode(), time.monotonic() + seconds, 0
    event = json.loads(ask(f"{url}{PREFIX}/queue/join", body)[1])["event_id"]
    while time.monotonic() < ends:
        count += ask(f"{url}{PREFIX}/stream/{event}", body)[0] == 200
    ask(f"{url}{PREFIX}/stream/{event}/close", b"{}")
    return f"{count} frames taken"


def unread_faces(url: str, count: int) -> str:
    """Attacks what waits for a page: the small pictures of 256 faces, again and again."""
    stream = BytesIO()
    crowd_of_faces((2304, 2304), across=16).save(stream, "JPEG")
    photo = upload(url, "crowd.jpg", stream.getvalue())
    config = json.loads(ask(f"{url}/config")[1])
    functions = {one["api_name"]: one["id"] for one in config["dependencies"]}
    taken = 0
    for _ in range(count):
        call = {"fn_index": functions["show_faces"], "session_hash": secrets.token_hex(8)}
        body = json.dumps({**call, "data": [photo, None]}).encode()
        taken += ask(f"{url}{PREFIX}/queue/join", body)[0] == 200
        time.sleep(0.7)
    return f"{taken} of {count} taken"
