"""Requests of long parts: nothing is done with these that takes the square of their length."""

import asyncio
import time

import pytest
from gradio import Error

from simswap.demo.calls import addresses
from simswap.demo.server.visitors import HEADER, KnowVisitor, Proxies
from simswap.demo.services.uploads import uploaded_file
from simswap.errors import MediaError

UP = "/.." * 300_000  # characters; Python 3.12 takes five seconds to follow these
QUICK = 0.5  # seconds of processor time


@pytest.fixture(autouse=True)
def quick():
    """Fails a test that took longer."""
    started = time.process_time()
    yield
    assert time.process_time() - started < QUICK


def test_a_long_path_in_a_call_is_not_followed():
    with pytest.raises(MediaError, match="was not uploaded to this server"):
        uploaded_file(f"{UP}/photo.jpg")


def test_a_long_path_in_an_address_is_not_followed():
    assert addresses.path_of_upload(f"{UP}/photo.jpg") is None


def test_a_path_that_leads_to_an_upload_from_elsewhere_is_not_followed(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    photo = tmp_path / "a" / "photo.jpg"
    photo.parent.mkdir()
    photo.touch()
    assert addresses.path_of_upload(str(photo)) == photo
    assert addresses.path_of_upload(f"/proc/self/root{photo}") is None


@pytest.mark.parametrize("path", [UP, "%2E%2E%2F" * 1_000_000])
def test_a_long_address_of_an_upload_is_not_followed(path):
    with pytest.raises(Error, match="was not uploaded to this server"):
        addresses.upload_named(f"http://x/gradio_api/file={path}")


def test_the_accents_of_a_hosts_name_are_not_sorted():
    accents = "\u0316\u0301" * (addresses.MAX_ADDRESS // 2 - 50)
    for number in range(addresses.MAX_FILES):
        with pytest.raises(Error, match="was not uploaded to this server"):
            addresses.upload_named(f"http://{number}{accents}/gradio_api/file=/photo.jpg")


def test_nothing_behind_the_door_sees_a_cookie():
    seen = []

    async def app(scope, receive, send):
        seen.append(scope["headers"])

    headers = [(b"host", b"x"), (b"cookie", b'a="' + rb"\"" * 50_000 + b'"')]
    scope = {"type": "http", "path": "/", "client": ("127.0.0.1", 1), "headers": headers}
    asyncio.run(KnowVisitor(app, Proxies(""))(scope, None, None))
    assert seen == [[(b"host", b"x")]]


@pytest.mark.parametrize(
    ("path", "is_call"),
    [
        *(("/gradio_api/mcp", True), ("/gradio_api/mcp/", True), ("/sub/gradio_api/mcp/", True)),
        *(("/gradio_api/file=/tmp/mcp.png", False), ("/gradio_api/file=/gradio_api/mcp", False)),
        *(("/mcp.png", False), ("/gradio_api/mcp/x", False), ("/gradio_api/call/mcp", False)),
    ],
)
def test_only_a_call_of_a_tool_carries_this_servers_word_and_no_answer_does(path, is_call):
    seen, answered = [], []

    async def app(scope, receive, send):
        seen.extend(value for name, value in scope["headers"] if name == HEADER.encode())
        headers = [*scope["headers"], (b"x-own", b"1")]  # as Gradio answers for a part of a file
        await send({"type": "http.response.start", "status": 206, "headers": headers})

    async def send(message):
        answered.extend(name for name, _ in message["headers"])

    scope = {"type": "http", "path": path, "root_path": "/sub", "client": ("127.0.0.1", 1)}
    asyncio.run(KnowVisitor(app, Proxies(""))({**scope, "headers": []}, None, send))
    assert (len(seen) == 1, answered) == (is_call, [b"x-own"])
