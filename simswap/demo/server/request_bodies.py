"""What a request may send: so many bytes, and not so slowly that it is held for nothing."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simswap.demo.server.allowed_routes import FRAME, UPLOAD, route_of
from simswap.demo.server.refusals import refused

READING = ("GET", "HEAD", "OPTIONS")  # requests that have no body
PATIENCE = 30.0  # seconds that a body may take in any case
SLOWEST = 10_000  # bytes a second that it must bring on top
# Lists, objects and commas in a call: a file has five and costs the server a millisecond. A photo
# of 64 faces makes the page send some 2,000.
MAX_PARTS = 10_000
PARTS = (b"[", b"{", b",")


class RequestBodies:
    """ASGI middleware that limits a request's body, before it is read and while it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, max_bytes = Headers(scope=scope), _max_bytes(scope)
        declared = headers.get("content-length", "0")
        if not declared.isdecimal():
            raise refused(scope, 400, "The request's Content-Length is no number.")
        if int(declared) > max_bytes or (not max_bytes and "transfer-encoding" in headers):
            raise _too_long(scope, max_bytes)
        if max_bytes:
            receive = _Body(scope, receive, max_bytes).receive
        await self._app(scope, receive, send)


class _Body:
    """A body that is being read."""

    def __init__(self, scope: Scope, receive: Receive, max_bytes: int) -> None:
        self._scope, self._receive, self._max_bytes = scope, receive, max_bytes
        self._num_bytes, self._is_whole, self._begun = 0, False, time.monotonic()
        self._num_parts, self._is_json = 0, route_of(scope) not in (UPLOAD, FRAME)

    async def receive(self) -> Message:
        """The next part, as the server has it. Raises Refused for too much, or too slow."""
        if self._is_whole:  # what comes now is that the visitor has gone
            return await self._receive()
        spent = time.monotonic() - self._begun
        left = PATIENCE + self._num_bytes / SLOWEST - spent
        try:
            message = await asyncio.wait_for(self._receive(), max(left, 0))
        except TimeoutError:
            raise refused(
                self._scope, 408, "The request came too slowly. Try again.", connection="close"
            ) from None
        if message["type"] == "http.disconnect":
            raise refused(self._scope, 400, "The request ended in its middle.")
        content = message.get("body", b"")
        self._num_bytes += len(content)
        self._is_whole = not message.get("more_body", False)
        if self._num_bytes > self._max_bytes:
            raise _too_long(self._scope, self._max_bytes)
        if self._is_json:
            self._num_parts += sum(map(content.count, PARTS))
            if self._num_parts > MAX_PARTS:
                raise refused(self._scope, 413, "The request is made of too many parts.")
        return message


def _max_bytes(scope: Scope) -> int:
    route = route_of(scope)
    return 0 if route is None or scope["method"] in READING else route.max_bytes


def _too_long(scope: Scope, max_bytes: int) -> Exception:
    if not max_bytes:
        return refused(scope, 413, "A request of this kind has no body.")
    route = route_of(scope)
    return refused(
        scope,
        413,
        f"The request is longer than the {max_bytes / 1e6:g} MB that this address takes. "
        f"{route.too_long}",
    )
