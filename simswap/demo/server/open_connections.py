"""How much each address may have open at once: sockets, event streams, answers being sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from simswap.demo.server.refusals import refused
from simswap.demo.server.visitors import visitor_of

# A page has some ten open while it loads, then two. Systems often allow a process 1,024 in all.
MAX_REQUESTS, MAX_REQUESTS_PER_ADDRESS = 700, 128
TOO_MANY = (
    f"More than {MAX_REQUESTS_PER_ADDRESS} requests of your address are open at once, or too many "
    "of all visitors. Close some pages, or try again in a minute."
)


class OpenConnections:
    """How many connections each address has open. Used from the event loop only."""

    def __init__(self, in_all: int, per_address: int) -> None:
        self._in_all, self._per_address = in_all, per_address
        self._by_address: Counter[str] = Counter()

    @contextmanager
    def one_more(self, address: str) -> Iterator[bool]:
        """Count a connection until it has ended; whether it is taken."""
        counts = self._by_address
        is_taken = counts[address] < self._per_address and counts.total() < self._in_all
        counts[address] += is_taken
        try:
            yield is_taken
        finally:
            counts[address] -= is_taken
            if not counts[address]:
                del counts[address]


class OpenRequests:
    """ASGI middleware that refuses, with 429, an address which keeps too many requests open."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open = OpenConnections(MAX_REQUESTS, MAX_REQUESTS_PER_ADDRESS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or not visitor_of(scope).is_counted:
            await self._app(scope, receive, send)
            return
        with self._open.one_more(visitor_of(scope).address) as is_taken:
            if not is_taken:
                raise refused(scope, 429, TOO_MANY, retry_after="60")
            await self._app(scope, receive, send)
