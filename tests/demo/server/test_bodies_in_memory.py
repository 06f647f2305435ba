"""What bodies of requests take of the memory while they come: so much of each address and all."""

import asyncio

from simswap.demo.server import request_bodies
from simswap.demo.server.allowed_routes import CALL_BYTES, MCP_BYTES
from simswap.demo.server.refusals import KEY, Refused
from simswap.demo.server.request_bodies import (
    MAX_HELD,
    MAX_HELD_PER_ADDRESS,
    TIMES,
    RequestBodies,
)
from simswap.demo.server.visitors import KEY as VISITOR
from simswap.demo.server.visitors import Visitor

JOIN, UPLOAD, MCP = "/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/mcp/"
PART = b"a" * (CALL_BYTES - 1000)
COUNTED = TIMES * len(PART)
SHARE = MAX_HELD_PER_ADDRESS // COUNTED  # bodies


async def read(scope, receive, send) -> None:
    while (await receive())["more_body"]:
        pass


class Requests:
    """Requests that have sent a part, and send no more until they may end."""

    def __init__(self, part: bytes = PART) -> None:
        self._part = part
        self._bodies, self._may_end = RequestBodies(read), asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, address: str, path: str = JOIN) -> int | None:
        """Begin one; the status by which it is refused, if it is."""
        scope = {"type": "http", "method": "POST", "path": path, "headers": []}
        scope[VISITOR] = Visitor(address)
        has_sent = asyncio.Event()

        async def receive() -> dict[str, object]:
            if has_sent.is_set():
                await self._may_end.wait()
                return {"type": "http.request", "body": b"", "more_body": False}
            has_sent.set()
            return {"type": "http.request", "body": self._part, "more_body": True}

        task = asyncio.create_task(self._bodies(scope, receive, None))
        self._tasks.append(task)
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
