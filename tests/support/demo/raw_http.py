"""HTTP by hand, over a plain socket: requests that no client library would send."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

ANSWER_SECONDS = 60.0


def opened(url: str) -> socket.socket:
    """A connection to the server at this address."""
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=ANSWER_SECONDS)


def head(url: str, path: str, kind: str) -> bytes:
    """The head of a POST, up to what says how long its body is."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {host(url)}\r\nContent-Type: {kind}\r\n"
        "Accept: application/json, text/event-stream\r\n"
    ).encode()


def host(url: str) -> str:
    """Name and port, as a Host header has them."""
    return urlsplit(url).netloc


def posted(
    url: str,
    path: str,
    blocks: Iterable[bytes],
    kind: str = "application/json",
    chunked: bool = False,
) -> str:
    """The status that answers a body sent block by block, until the server has enough.

    chunked: without a Content-Length, so that nobody can know how long it gets.
    """
    blocks = list(blocks)  # the same few objects, many times
    length = f"Content-Length: {sum(map(len, blocks))}"
    how = "Transfer-Encoding: chunked" if chunked else length
    with opened(url) as line:
        try:
            line.sendall(head(url, path, kind) + how.encode() + b"\r\n\r\n")
            for block in _chunks(blocks) if chunked else blocks:
                line.sendall(block)
        except OSError:  # it has stopped listening, and may have said why
            pass
        return status(line)


def status(line: socket.socket) -> str:
    """The status that comes by a connection, such as "413 Payload Too Large"; or why none does."""
    try:
        answer = line.recv(2000).decode(errors="replace")
    except OSError as error:
        return type(error).__name__
    return answer.partition("\r\n")[0].removeprefix("HTTP/1.1 ") or "cut"


def is_open(line: socket.socket) -> bool:
    """Whether the server has not closed a connection on which it has said nothing."""
    line.setblocking(False)
    try:
        return line.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False


def _chunks(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        yield b"%x\r\n" % len(block) + block + b"\r\n"
    yield b"0\r\n\r\n"
