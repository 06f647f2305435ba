"""A limit on the jobs and requests of one visitor's address in a minute."""

from __future__ import annotations

from collections import OrderedDict

from starlette.types import ASGIApp, Receive, Scope, Send

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
        self._reads = Counter(READS * self._limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            scope[KEY] = self
            self._count(scope, self._counter(scope))
        elif scope["type"] == "websocket":
            self.count(scope)
        await self._app(scope, receive, send)

    def count(self, scope: Scope) -> None:
        """Count one more for a request's visitor. Raises Refused if that is one too many."""
        self._count(scope, self._requests)

    def _counter(self, scope: Scope) -> Counter:
        if scope["method"] in READING:
            return self._reads
        return self._frames if route_of(scope) is FRAME else self._requests

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
