"""The camera's WebSocket as a hostile program uses it: small messages, few sockets."""

import base64
import os
import socket
import struct
import time
import zlib
from contextlib import ExitStack

import pytest

from simswap.demo.server.timed_connections import (
    MAX_CONTROLS,
    MAX_MESSAGE_BYTES,
    MAX_MESSAGES,
    MAX_PARTS,
)
from simswap.demo.server.webcam_socket import MAX_SOCKETS_PER_ADDRESS, PATH, TOO_MANY
from tests.support.demo.raw_requests import all_said, answer, connect, sentence

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
LAST, COMPRESSED = 0x80, 0x40
MASKED = 0x80


def asked(url: str) -> socket.socket:
    """A connection on which a socket is asked for, with compressed messages."""
    connection = connect(url)
    host = url.removeprefix("http://")
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET {PATH} HTTP/1.1\r\nHost: {host}\r\nOrigin: {url}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n".encode()
    )
    return connection


def opened(url: str) -> tuple[socket.socket, bytes]:
    """An open socket, and the head of the server's answer."""
    for _ in range(100):  # an earlier test's sockets may not have been let go of yet
        connection, said = asked(url), b""
        while not said.endswith(b"\r\n\r\n") and (part := connection.recv(1)):
            said += part
        if said.startswith(b"HTTP/1.1 101"):
            return connection, said
        connection.close()
        time.sleep(0.1)
    raise AssertionError(said)


def frame(first: int, content: bytes, size: int | None = None) -> bytes:
    """A part of a message; size: what it says of its length, if that is not so."""
    length = struct.pack(">BQ", MASKED | 127, len(content) if size is None else size)
    if first & CLOSE:  # and others that control, which say it in seven bits
        length = bytes([MASKED | len(content)])
    return bytes([first]) + length + bytes(4) + content  # a mask that changes nothing


def close_code(connection: socket.socket) -> int:
    """What the server closes with; 0 if it only hangs up."""
    said = all_said(connection)
    return struct.unpack(">H", said[2:4])[0] if said[:1] == bytes([LAST | CLOSE]) else 0


@pytest.fixture
def line(demo_url):
    """An open socket that has shown no token."""
    with opened(demo_url)[0] as connection:
        yield connection


def test_compressed_messages_are_not_agreed_on(demo_url):
    connection, said = opened(demo_url)
    connection.close()
    assert b"permessage-deflate" not in said


def test_a_compressed_message_is_refused(line):
    packed = zlib.compress(bytes(16_000_000), wbits=-15)
    line.sendall(frame(LAST | COMPRESSED | BINARY, packed))
    assert close_code(line) == 1002


@pytest.mark.parametrize("kind", [TEXT, BINARY])
def test_a_message_is_refused_by_its_length_before_it_comes(line, kind):
    line.sendall(frame(LAST | kind, b"", MAX_MESSAGE_BYTES + 1))
    assert close_code(line) == 1009


def test_a_message_in_parts_may_not_be_longer_either(line):
    half = bytes(MAX_MESSAGE_BYTES // 2)
    line.sendall(frame(BINARY, half) + frame(CONTINUED, half) + frame(CONTINUED, b"", 2))
    assert close_code(line) == 1009


def test_a_message_of_ever_more_empty_parts_ends_the_connection(line):
    line.sendall(frame(BINARY, b"") + frame(CONTINUED, b"") * MAX_PARTS)
    assert close_code(line) == 0


def test_a_few_pings_are_answered(line):
    line.sendall(frame(LAST | PING, b"") * MAX_CONTROLS)
    pongs = bytes([LAST | PONG, 0]) * MAX_CONTROLS
    assert line.recv(len(pongs), socket.MSG_WAITALL) == pongs


@pytest.mark.parametrize(
    ("kind", "most"), [(PING, MAX_CONTROLS), (PONG, MAX_CONTROLS), (TEXT, MAX_MESSAGES)]
)
def test_more_frames_a_second_than_any_page_sends_end_the_connection(line, kind, most):
    line.sendall(frame(LAST | kind, b"") * (most + 1))
    said = all_said(line)
    assert said.count(bytes([LAST | PONG, 0])) <= MAX_CONTROLS
    assert b"token" not in said  # which it is told much later


def test_one_address_has_so_many_sockets_and_the_next_is_told(demo_url):
    with ExitStack() as open_ones:
        for _ in range(MAX_SOCKETS_PER_ADDRESS):
            open_ones.enter_context(opened(demo_url)[0])
        with asked(demo_url) as one_more:
            status, body = answer(one_more)
    assert (status, sentence(body)) == (429, TOO_MANY)
    with ExitStack() as open_ones:  # the others' places are free again
        open_ones.enter_context(opened(demo_url)[0])


def test_nothing_of_all_this_is_in_the_log(demo_url, demo_folder):
    assert "websockets" not in (demo_folder / "demo.log").read_text()
