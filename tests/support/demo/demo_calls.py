"""The demo's endpoints, called by hand: what a client library would not send can be sent too."""

from __future__ import annotations

import json
import secrets
import urllib.error
import urllib.request
from pathlib import Path

EXAMPLES = Path(__file__).parents[3] / "assets" / "examples"
PATIENCE = 120.0  # s
PREFIX = "/gradio_api"  # of the paths of calls


def ask(
    url: str,
    body: bytes | None = None,
    kind: str = "application/json",
    patience: float = PATIENCE,
    sender: str | None = None,
) -> tuple[int, bytes]:
    """Status and body of the answer, also of one that refuses. With a body it is a POST.

    sender: the visitor's address, as a proxy would hand it on.
    """
    headers = {"Content-Type": kind} | ({"X-Forwarded-For": sender} if sender else {})
    request = urllib.request.Request(url, body, headers)
    try:
        with urllib.request.urlopen(request, timeout=patience) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def multipart(*files: tuple[str, bytes]) -> tuple[bytes, str]:
    """The body of an upload, and its content type."""
    edge = secrets.token_hex(16)
    parts = (
        f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
        f"".encode()
        + content
        + b"\r\n"
        for name, content in files
    )
    return b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


def upload(url: str, name: str, content: bytes, sender: str | None = None) -> dict[str, object]:
    """Upload a file; what it is called as an argument. Raises OSError if it is not taken."""
    files = multipart((name, content))
    status, answer = ask(f"{url}{PREFIX}/upload", *files, sender=sender)
    if status != 200:
        raise OSError(f"upload: {status} {answer[:80]!r}")
    return {"path": json.loads(answer)[0], "meta": {"_type": "gradio.FileData"}}


def call(
    url: str,
    endpoint: str,
    *data: object,
    patience: float = PATIENCE,
    sender: str | None = None,
) -> str:
    """The events that answer a call, as the server streams them."""
    address, body = f"{url}{PREFIX}/call/{endpoint}", json.dumps({"data": data}).encode()
    status, answer = ask(address, body, patience=patience, sender=sender)
    if status != 200:
        return f"{status} {answer[:200].decode(errors='replace')}"
    event = json.loads(answer)["event_id"]
    events = ask(f"{address}/{event}", patience=patience, sender=sender)[1]
    return events.decode(errors="replace")


def swap_image(
    url: str, target: dict[str, object], patience: float = PATIENCE, sender: str | None = None
) -> str:
    """The answer to an ordinary call of /swap_image with this target."""
    source = upload(url, "source.jpg", (EXAMPLES / "grace_hopper.jpg").read_bytes(), sender)
    data = [source], target, "all", "png", True, 0.08, True, None
    return call(url, "swap_image", *data, patience=patience, sender=sender)


def swap_video(
    url: str, target: dict[str, object], patience: float = PATIENCE, end: float | None = 0.2
) -> str:
    """The answer to a call of /swap_video for this target up to `end` seconds."""
    source = upload(url, "source.jpg", (EXAMPLES / "grace_hopper.jpg").read_bytes())
    options = ("all", 0, end, "mp4", None, 3, True, 0.08, True, None)
    return call(url, "swap_video", [source], target, *options, patience=patience)
