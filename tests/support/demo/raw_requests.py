"""Requests byte by byte, as no well-behaved client sends them."""

import json
import socket
from contextlib import suppress
from urllib.parse import urlsplit

PATIENCE = 60  # seconds
JSON = {"Content-Type": "application/json"}


def connect(url: str, source: str = "127.0.0.1") -> socket.socket:
    """A connection to a server; source: one of this machine's own addresses."""
    address = urlsplit(url)
    return socket.create_connection((address.hostname, address.port), PATIENCE, (source, 0))


def head(method: str, path: str, headers: dict[str, str]) -> bytes:
    """A request up to its body, whose headers must say how long that is."""
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in {"Host": "127.0.0.1", **headers}.items()]
    return "\r\n".join([*lines, "", ""]).encode()


def ask(
    url: str,
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    source: str = "127.0.0.1",
) -> tuple[int, bytes]:
    """The status and the body of the answer to a request whose path goes out as it is."""
    headers = {"Content-Length": str(len(body)), "Connection": "close", **(headers or {})}
    with connect(url, source) as connection:
        connection.sendall(head(method, path, headers))
        with suppress(ConnectionError):  # the server has answered already, and reads no more
            connection.sendall(body)
        return answer(connection)


def all_said(connection: socket.socket) -> bytes:
    """What the server sends until it closes."""
    said = b""
    with suppress(ConnectionError):
        while part := connection.recv(65_536):
            said += part
    return said


def answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of what the server says until it closes; (0, b"") if that is nothing."""
    first, _, body = all_said(connection).partition(b"\r\n\r\n")
    return (int(first.split()[1]) if first else 0), body


def sentence(body: bytes) -> str:
    """What a refusal says."""
    return json.loads(body)["detail"]


def form(*files: tuple[str, bytes], boundary: str = "b") -> tuple[bytes, dict[str, str]]:
    """An upload of (name, content), and its headers."""
    lead = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="%s"\r\n\r\n'
    body = b"".join((lead % name).encode() + content + b"\r\n" for name, content in files)
    headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
    return body + f"--{boundary}--\r\n".encode(), headers
