"""What bodies of requests take of the memory while they come: so much of each address and all.

And what answers by MCP take until they are read.
"""

import asyncio

import pytest

from simswap.demo.server import request_bodies
from simswap.demo.server.allowed_routes import CALL_BYTES, MCP_BYTES
from simswap.demo.server.refusals import KEY, Refused
from simswap.demo.server.request_bodies import (
    MAX_HELD,
    MAX_HELD_PER_ADDRESS,
    MAX_PARTS_OF_FRAME,
    MAX_UNREAD,
    MAX_UNREAD_PER_ADDRESS,
    TIMES,
    TIMES_OF_ANSWER,
    RequestBodies,
)
from simswap.demo.server.visitors import KEY as VISITOR
from simswap.demo.server.visitors import Visitor

JOIN, UPLOAD, MCP = "/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/mcp/"
FRAME = "/gradio_api/stream/abc"
PART = b"a" * (CALL_BYTES - 1000)
COUNTED = TIMES * len(PART)
SHARE = MAX_HELD_PER_ADDRESS // COUNTED  # bodies


async def read(scope, receive, send) -> None:
    while (await receive())["more_body"]:
        pass


class Calls:
    """Calls that are at work until they may end."""

    def __init__(self, app) -> None:
        self._bodies, self._may_end = RequestBodies(app), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def _begun(self, address: str, path: str, receive, send) -> int | None:
        """Begin one; the status by which it is refused, if it is."""
        scope = {"type": "http", "method": "POST", "path": path, "headers": []}
        scope[VISITOR] = Visitor(address)
        self._tasks.append(asyncio.create_task(self._bodies(scope, receive, send)))
        for _ in range(50):  # until it has been read, or refused
            await asyncio.sleep(0)
        return scope[KEY][0] if KEY in scope else None

    async def end(self) -> None:
        """Let all of them end; those that were refused have."""
        self._may_end.set()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        assert {type(error) for error in ended} <= {type(None), Refused}
        self._may_end.clear()
        self._tasks.clear()


class Requests(Calls):
    """Requests that have sent a part, and send no more until they may end."""

    def __init__(self, part: bytes = PART) -> None:
        super().__init__(read)
        self._part = part

    async def begin(self, address: str, path: str = JOIN) -> int | None:
        """As `_begun`."""
        has_sent = asyncio.Event()

        async def receive() -> dict[str, object]:
            if has_sent.is_set():
                await self._may_end.wait()
                return {"type": "http.request", "body": b"", "more_body": False}
            has_sent.set()
            return {"type": "http.request", "body": self._part, "more_body": True}

        return await self._begun(address, path, receive, None)


class Unread(Calls):
    """Calls that are answered, and whose answers nobody reads until they may end."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(self._tell)
        self._answer = answer

    async def begin(self, address: str, path: str = MCP) -> int | None:
        """As `_begun`."""
        return await self._begun(address, path, None, self._send)

    async def _tell(self, scope, receive, send) -> None:
        await send({"type": "http.response.body", "body": self._answer, "more_body": True})

    async def _send(self, message: dict[str, object]) -> None:
        await self._may_end.wait()


def test_an_address_may_send_so_many_bytes_at_once_and_again_later():
    async def visit() -> None:
        requests = Requests()
        assert [await requests.begin("a") for _ in range(SHARE + 1)] == [None] * SHARE + [429]
        assert await requests.begin("b") is None
        await requests.end()
        assert await requests.begin("a") is None
        await requests.end()

    asyncio.run(visit())


def test_all_addresses_together_may_send_so_many_bytes_at_once():
    async def visit() -> None:
        requests, most = Requests(), MAX_HELD // COUNTED
        told = [await requests.begin(f"address {number // SHARE}") for number in range(most + 1)]
        await requests.end()
        assert told == [None] * most + [503]

    asyncio.run(visit())


def test_uploads_do_not_lie_in_memory_and_do_not_count():
    async def visit() -> None:
        requests = Requests()
        told = [await requests.begin("a", UPLOAD) for _ in range(SHARE + 2)]
        await requests.end()
        assert told == [None] * (SHARE + 2)

    asyncio.run(visit())


def test_one_large_message_of_mcp_at_a_time_is_taken_of_an_address():
    async def visit() -> None:
        requests = Requests(PART[: MCP_BYTES - 1000])
        assert [await requests.begin("a", MCP) for _ in range(2)] == [None, 429]
        await requests.end()

    asyncio.run(visit())


def test_after_large_bodies_memory_goes_back_once(monkeypatch):
    given_back = []
    monkeypatch.setattr(request_bodies, "TIDY_SECONDS", 0.05)
    monkeypatch.setattr(request_bodies, "give_memory_back", given_back.append)

    async def visit() -> None:
        requests = Requests()
        for address in "ab":
            await requests.begin(address)
        await requests.end()
        await asyncio.sleep(0.2)

    asyncio.run(visit())
    assert given_back == [None]


def test_answers_by_mcp_that_nobody_reads_end_what_an_address_may_call_until_they_are_read():
    async def visit() -> None:
        unread = Unread(b"a" * (MAX_UNREAD_PER_ADDRESS // TIMES_OF_ANSWER // 2))
        assert [await unread.begin("a") for _ in range(3)] == [None, None, 429]
        assert [await unread.begin("b"), await unread.begin("a", JOIN)] == [None, None]
        await unread.end()
        assert await unread.begin("a") is None
        await unread.end()

    asyncio.run(visit())


def test_of_all_addresses_so_much_is_unread():
    async def visit() -> None:
        unread = Unread(b"a" * (MAX_UNREAD_PER_ADDRESS // TIMES_OF_ANSWER))
        most = MAX_UNREAD // MAX_UNREAD_PER_ADDRESS
        told = [await unread.begin(f"address {number}") for number in range(most + 1)]
        assert told == [None] * most + [503]
        await unread.end()

    asyncio.run(visit())


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (b"1," * MAX_PARTS_OF_FRAME, "The request is made of too many parts."),
        (b"9" * 4299, "Up to 400 digits in a row are taken."),
    ],
)
def test_a_cameras_frame_has_few_parts_and_no_long_number(part, told):
    scope = {"type": "http", "method": "POST", "path": FRAME, "headers": []}

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b'{"data": [' + part + b"1]}", "more_body": False}

    with pytest.raises(Refused):
        asyncio.run(RequestBodies(read)(scope, receive, None))
    assert scope[KEY][:2] == (413, told)
