"""A limit on the jobs and requests of one visitor's address in a minute."""

from __future__ import annotations

from collections import OrderedDict

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simswap.demo.pace import Pace
from simswap.demo.server.allowed_routes import FRAME, route_of
from simswap.demo.server.refusals import refused
from simswap.demo.server.visitors import visitor_of
from simswap.demo.settings import whole_number

SETTING = "SIMSWAP_REQUESTS_PER_MINUTE"
DEFAULT_LIMIT = 120  # jobs and uploads in a minute; a busy visitor of the page starts about 30
# Camera frames over Gradio's stream belong to one job: four cameras' worth, 30 a second of each.
MAX_FRAMES = 4 * 30 * 60
WINDOW = 60.0  # seconds
MAX_ADDRESSES = 10_000  # remembered at once
READING = ("GET", "HEAD", "OPTIONS")  # requests that start nothing
READS = 25  # of them for each of the others; a page that opens asks for some 100 things
KEY = "simswap.rate_limit"  # in a request's scope
TOO_MANY = "More than {limit} requests a minute came from your address. Wait a minute, then go on."


class Counter:
    """What each address has started lately."""

    def __init__(self, limit: int, seconds: float = WINDOW) -> None:
        self.limit, self._seconds = limit, seconds
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    def is_full(self, address: str) -> bool:
        """Whether no more fits."""
        return address in self._paces and self._paces[address].is_full

    def take(self, address: str) -> bool:
        """Whether one more fits; it is counted only then."""
        pace = self._paces.setdefault(address, Pace(self.limit, self._seconds))
        self._paces.move_to_end(address)
        if len(self._paces) > MAX_ADDRESSES:
            self._paces.popitem(last=False)
        return pace.take()


class RateLimit:
    """ASGI middleware that refuses, with 429, an address which asks too often."""

    def __init__(self, app: ASGIApp, limit: int | None = None) -> None:
        """limit: requests a minute; None takes what is configured."""
        self._app = app
        self._limit = limit or configured_limit()
        self._requests, self._frames = Counter(self._limit), Counter(MAX_FRAMES)
        self._stray = Counter(self._limit)  # frames of no camera
        self._reads = Counter(READS * self._limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            scope[KEY] = self
            counter = self._counter(scope)
            self._count(scope, counter)
            if counter is self._frames:
                send = self._noting_stray(scope, send)
        elif scope["type"] == "websocket":
            self.count(scope)
        await self._app(scope, receive, send)

    def count(self, scope: Scope) -> None:
        """Count one more for a request's visitor. Raises Refused if that is one too many."""
        self._count(scope, self._requests)

    def _counter(self, scope: Scope) -> Counter:
        if scope["method"] in READING:
            return self._reads
        if route_of(scope) is not FRAME:
            return self._requests
        # Who has sent very many to no camera has no frames left either.
        return self._stray if self._stray.is_full(visitor_of(scope).address) else self._frames

    def _noting_stray(self, scope: Scope, send: Send) -> Send:
        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 404:
                self._stray.take(visitor_of(scope).address)
            await send(message)

        return noted

    def _count(self, scope: Scope, counter: Counter) -> None:
        visitor = visitor_of(scope)
        if visitor.is_counted and not counter.take(visitor.address):
            raise refused(scope, 429, TOO_MANY.format(limit=counter.limit), retry_after="60")


def configured_limit() -> int:
    """Requests a minute: what SIMSWAP_REQUESTS_PER_MINUTE says, or the default.

    Raises OptionError if that is no number from 1.
    """
    return whole_number(SETTING, DEFAULT_LIMIT)


def count_one_more(scope: Scope) -> None:
    """Count what a request asks for beyond itself. Raises Refused if that is one too many."""
    if limit := scope.get(KEY):
        limit.count(scope)
