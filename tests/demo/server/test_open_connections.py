"""What one address may have open at once."""

import asyncio
from contextlib import ExitStack

import pytest

from simswap.demo.server.open_connections import OpenConnections, OpenRequests
from simswap.demo.server.refusals import KEY, Refused
from simswap.demo.server.visitors import KEY as VISITOR
from simswap.demo.server.visitors import Visitor


def scope(address: str) -> dict[str, object]:
    return {"type": "http", "method": "GET", "path": "/", VISITOR: Visitor(address)}


def test_an_address_takes_so_many_and_others_still_get_theirs():
    connections = OpenConnections(in_all=3, per_address=2)
    with ExitStack() as stack:
        taken = [stack.enter_context(connections.one_more(address)) for address in "aaabc"]
    assert taken == [True, True, False, True, False]
    with connections.one_more("a") as again:
        assert again


def test_a_request_beyond_an_addresss_share_is_refused_until_one_ends(monkeypatch):
    monkeypatch.setattr("simswap.demo.server.open_connections.MAX_REQUESTS_PER_ADDRESS", 2)
    may_end, held = asyncio.Event(), []

    async def app(scope, receive, send):
        held.append(scope)
        await may_end.wait()

    async def visit() -> None:
        requests = OpenRequests(app)
        waiting = [asyncio.create_task(requests(scope("a"), None, None)) for _ in range(2)]
        await asyncio.sleep(0)
        refused = scope("a")
        with pytest.raises(Refused):
            await requests(refused, None, None)
        assert refused[KEY][0] == 429
        may_end.set()
        await asyncio.gather(*waiting)
        await requests(scope("a"), None, None)

    asyncio.run(visit())
    assert len(held) == 3
