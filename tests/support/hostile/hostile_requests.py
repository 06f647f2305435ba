"""Requests made to harm: each takes the demo's address, attacks it, and returns the answer.

HOSTILE_REQUESTS names them all, in the sizes in which they once did harm. What is sent is made on
the way, so the attacker needs little memory.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from io import BytesIO

from PIL import Image

from tests.support.demo.demo_calls import EXAMPLES, PREFIX, ask, call, multipart, swap_image, upload
from tests.support.demo.raw_http import head, host, is_open, opened, posted, status
from tests.support.hostile.avif_grid import avif_grid
from tests.support.hostile.hostile_sockets import large_socket_messages, pings
from tests.support.hostile.unread_answers import unread_faces, unread_frames, unread_tools

BLOCK = 1_000_000  # bytes sent at a time
HEAD = b'{"fn_index":1,"session_hash":"abc","event_id":"abc","data":["'


def large_json(url: str, path: str, num_bytes: int, chunked: bool = False) -> str:
    """Attacks routes that read a body whole: JSON of one long text.

    chunked: without a Content-Length, so that nobody can know how long it gets.
    """
    blocks = (HEAD, *[b"A" * BLOCK] * (num_bytes // BLOCK), b'"]}')
    return posted(url, path, blocks, chunked=chunked)


def json_of_numbers(url: str, path: str, count: int) -> str:
    """Attacks who keeps a parsed body: two bytes of it become an object of some dozens."""
    body = b'{"fn_index":1,"session_hash":"abc","data":[' + b"[]," * count + b"[]]}"
    return posted(url, path, [body])


def deep_json(url: str, path: str, depth: int) -> str:
    """Attacks readers that call themselves: lists in lists."""
    return posted(url, path, [b'{"fn_index":1,"data":' + b"[" * depth + b"]" * depth + b"}"])


def large_upload(url: str, path: str, num_bytes: int, chunked: bool = False) -> str:
    """Attacks what an upload may hold: one file without end."""
    return _form(url, path, b'name="files"; filename="a.jpg"', num_bytes, chunked)


def large_field(url: str, path: str, num_bytes: int) -> str:
    """Attacks limits on files alone: a field that is no file, which is kept in memory."""
    return _form(url, path, b'name="files"', num_bytes)


def many_files(url: str, count: int, num_bytes: int) -> str:
    """Attacks limits on requests: many files in one."""
    body, kind = multipart(*[("a.jpg", bytes(num_bytes))] * count)
    return posted(url, f"{PREFIX}/upload", [body], kind)


def long_part_header(url: str, num_bytes: int) -> str:
    """Attacks who keeps headers: one of a part of a form, without end."""
    body = b'--b\r\nContent-Disposition: form-data; name="' + b"a" * num_bytes
    return posted(url, f"{PREFIX}/upload", [body], "multipart/form-data; boundary=b")


def padded_upload(url: str, num_bytes: int, num_padding: int) -> str:
    """Attacks who reads a form byte by byte: a boundary with blanks behind it, in a file."""
    body, kind = multipart(("a.jpg", b"a" * num_bytes))
    return posted(url, f"{PREFIX}/upload", [body[:-4], b" " * num_padding, body[-4:]], kind)


def cut_upload(url: str, num_bytes: int) -> str:
    """Attacks the clean-up: the sender leaves halfway, ten times."""
    for _ in range(10):
        with opened(url) as line:
            line.sendall(head(url, f"{PREFIX}/upload", "multipart/form-data; boundary=b"))
            line.sendall(b"Content-Length: %d\r\n\r\n" % (2 * num_bytes))
            line.sendall(
                b'--b\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
            )
            line.sendall(bytes(num_bytes))
    return "left halfway"


def large_head(url: str, num_bytes: int) -> str:
    """Attacks who keeps a request's head: one header without end."""
    with opened(url) as line:
        try:
            line.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * num_bytes + b"\r\n\r\n")
        except OSError:
            return "cut"
        return status(line)


def slow_requests(url: str, count: int, seconds: float) -> str:
    """Attacks the number of connections: half requests that never end."""
    with ExitStack() as stack:
        lines = [stack.enter_context(opened(url)) for _ in range(count)]
        for line in lines:
            line.sendall(head(url, f"{PREFIX}/upload", "application/json") + b"Content-")
        time.sleep(seconds)
        num_open = sum(is_open(line) for line in lines)
    return f"{num_open} of {count} still open"


def open_streams(url: str, path: str, count: int, seconds: float) -> str:
    """Attacks the number of event streams: so many that wait for something."""
    with ExitStack() as stack:
        lines = [stack.enter_context(opened(url)) for _ in range(count)]
        for number, line in enumerate(lines):
            line.sendall(
                f"GET {path.format(number)} HTTP/1.1\r\nHost: {host(url)}\r\n\r\n".encode()
            )
        time.sleep(seconds)
        num_open = sum(is_open(line) for line in lines)
    return f"{num_open} of {count} still open"


def odd_function(url: str, number: object) -> str:
    """Attacks the look-up of functions: one that is not there."""
    body = {"fn_index": number, "session_hash": "abc", "data": []}
    return posted(url, f"{PREFIX}/queue/join", [json.dumps(body).encode()])


def data_address(url: str, num_bytes: int) -> str:
    """Attacks who unpacks a file that comes within a call, as a data: address."""
    blocks = (
        b'{"data":[{"meta":{"_type":"gradio.FileData"},"path":"data:image/png;base64,',
        *[b"A" * BLOCK] * (num_bytes // BLOCK),
        b'"},0.7,null]}',
    )
    return posted(url, f"{PREFIX}/call/detect_faces", blocks)


def many_sources(url: str, count: int) -> str:
    """Attacks what a call may hold: the same photo as source, very often."""
    photo = upload(url, "source.jpg", (EXAMPLES / "grace_hopper.jpg").read_bytes())
    data = [[photo] * count, photo, "all", "png", True, 0.08, True, None]
    body = json.dumps({"data": data}).encode()
    return posted(url, f"{PREFIX}/call/swap_image", [body])


def many_jobs(url: str, count: int) -> str:
    """Attacks the waiting line: one visitor's jobs fill it."""
    photo = upload(url, "target.jpg", (EXAMPLES / "astronaut.jpg").read_bytes())
    threads = [threading.Thread(target=swap_image, args=(url, photo, 60)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "all answered"


def costly_sources(url: str, make: Callable[[], bytes], count: int) -> str:
    """Attacks who limits each photo alone: all sources of a call, and its target, take much."""
    content = make()
    *sources, target = (upload(url, str(number), content) for number in range(count + 1))
    return call(url, "swap_image", sources, target, "all", "png", True, 0.08, True, None)


def all_lanes(url: str) -> str:
    """Attacks limits in each lane: the largest photo of a costly kind, in all lanes at once."""
    photo = upload(url, "large.jpg", _jpeg(6782, progressive=True, subsampling=0))
    config = json.loads(ask(f"{url}/config")[1])
    functions = {one["api_name"]: one["id"] for one in config["dependencies"]}
    pictures = [{"image": photo}]
    tray = {"people": [{"id": 1, "photos": pictures, "face": None}], "open": 0}
    called = {
        "swap_image": [[photo], photo, "all", "png", True, 0.08, True, None],
        "detect_faces": [photo, 0.5, None],
        "verify": [photo],
        "swap_video": [[photo], photo, "all", 0, 0.2, "mp4", None, 3, True, 0.08, True, None],
        "check_photos": [pictures, tray, None],
        "show_faces": [photo, None],
        "begin_1": [True, tray, "all", None, {}],
    }

    def run(name: str, data: list[object]) -> None:
        page = {"fn_index": functions[name], "session_hash": secrets.token_hex(8)}
        ask(f"{url}{PREFIX}/queue/join", json.dumps({"data": data, **page}).encode())
        ask(f"{url}{PREFIX}/queue/data?session_hash={page['session_hash']}")

    threads = [threading.Thread(target=run, args=one) for one in called.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "all answered"


def cancelled_jobs(url: str, count: int, seconds: float) -> str:
    """Attacks one at a time: calls of large photos, each cancelled, and the next one begun."""
    photo = upload(url, "large.jpg", _jpeg(7000))
    config = json.loads(ask(f"{url}/config")[1])
    functions = {one["api_name"]: one["id"] for one in config["dependencies"]}
    data = [[photo] * 8, photo, "all", "png", True, 0.08, True, None, 1]
    for _ in range(count):
        page = {"fn_index": functions["swap_image"], "session_hash": secrets.token_hex(8)}
        body = json.dumps({"data": data, **page}).encode()
        event = json.loads(ask(f"{url}{PREFIX}/queue/join", body)[1])
        time.sleep(seconds)
        ask(f"{url}{PREFIX}/cancel", json.dumps({**event, **page}).encode())
    return "all cancelled"


def _jpeg(side: int, **options: object) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (side, side), (120, 90, 60)).save(stream, "JPEG", **options)
    return stream.getvalue()


def _form(url: str, path: str, what: bytes, num_bytes: int, chunked: bool = False) -> str:
    begin = b"--b\r\nContent-Disposition: form-data; " + what + b"\r\n\r\n"
    blocks = [begin, *[bytes(BLOCK)] * (num_bytes // BLOCK), b"\r\n--b--\r\n"]
    return posted(url, path, blocks, "multipart/form-data; boundary=b", chunked)


MB = 1_000_000
_READ_WHOLE = ("queue/join", "cancel", "component_server", "reset", "mcp/", "call/verify")
_READ_WHOLE += ("call/v2/verify", "run/verify", "api/verify", "stream/abc", "vibe-edit")
HOSTILE_REQUESTS: dict[str, Callable[[str], str]] = {
    **{
        f"JSON of 300 MB to {path}": partial(
            large_json, path=f"{PREFIX}/{path}", num_bytes=300 * MB
        )
        for path in _READ_WHOLE
    },
    "JSON of 300 MB to login": partial(large_json, path="/login", num_bytes=300 * MB),
    "JSON of 300 MB in chunks to queue/join": partial(
        large_json, path=f"{PREFIX}/queue/join", num_bytes=300 * MB, chunked=True
    ),
    "JSON of 5 M lists to queue/join": partial(
        json_of_numbers, path=f"{PREFIX}/queue/join", count=5 * MB
    ),
    "JSON of 300,000 lists to call/verify": partial(
        json_of_numbers, path=f"{PREFIX}/call/verify", count=300_000
    ),
    "deep JSON to queue/join": partial(deep_json, path=f"{PREFIX}/queue/join", depth=100_000),
    "deep JSON to mcp": partial(deep_json, path=f"{PREFIX}/mcp/", depth=100_000),
    "upload of 600 MB": partial(large_upload, path=f"{PREFIX}/upload", num_bytes=600 * MB),
    "upload of 600 MB in chunks": partial(
        large_upload, path=f"{PREFIX}/upload", num_bytes=600 * MB, chunked=True
    ),
    "upload of 600 MB to process_recording": partial(
        large_upload, path=f"{PREFIX}/process_recording", num_bytes=600 * MB
    ),
    "form to login": partial(large_field, path="/login", num_bytes=300 * MB),
    "field of 300 MB": partial(large_field, path=f"{PREFIX}/upload", num_bytes=300 * MB),
    "1,000 files in an upload": partial(many_files, count=1_000, num_bytes=100_000),
    "20,000 files in an upload": partial(many_files, count=20_000, num_bytes=10),
    "upload with 40 MB behind its boundary": partial(
        padded_upload, num_bytes=50 * MB, num_padding=40 * MB
    ),
    "header of 50 MB in an upload": partial(long_part_header, num_bytes=50 * MB),
    "header of 10 MB": partial(large_head, num_bytes=10 * MB),
    "uploads cut halfway": partial(cut_upload, num_bytes=20 * MB),
    "300 slow requests": partial(slow_requests, count=300, seconds=10),
    "300 event streams": partial(
        open_streams, path=f"{PREFIX}/queue/data?session_hash=a{{}}", count=300, seconds=5
    ),
    "300 looks at uploads": partial(
        open_streams, path=f"{PREFIX}/upload_progress?upload_id=a{{}}", count=300, seconds=5
    ),
    "function 999": partial(odd_function, number=999),
    "function -1": partial(odd_function, number=-1),
    "function of 300 digits": partial(odd_function, number=10**300),
    "data: address of 90 MB": partial(data_address, num_bytes=90 * MB),
    "10,000 sources": partial(many_sources, count=10_000),
    "40 jobs of one visitor": partial(many_jobs, count=40),
    "a slow AVIF as eight sources": partial(
        costly_sources, make=partial(avif_grid, columns=7, rows=4), count=8
    ),
    "eight sources of 49 million pixels": partial(
        costly_sources, make=partial(_jpeg, 7000), count=8
    ),
    "three sources of 49 million pixels": partial(
        costly_sources, make=partial(_jpeg, 7000), count=3
    ),
    "one large JPEG in seven lanes": all_lanes,
    "six cancelled calls": partial(cancelled_jobs, count=6, seconds=2.0),
    "pings by four sockets": partial(pings, count=4, seconds=10.0),
    "40 first messages of 15 MB by socket": partial(
        large_socket_messages, count=40, num_bytes=15 * MB
    ),
    "answers to 60 tools that nobody reads": partial(unread_tools, count=60),
    "a camera's frames that nobody fetches": partial(unread_frames, seconds=30.0),
    "faces of 40 photos that nobody fetches": partial(unread_faces, count=40),
}
