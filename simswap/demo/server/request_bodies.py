"""What a request may send: so many bytes, and not so slowly that it is held for nothing.

And what answers by MCP may hold, which have whole photos in them.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simswap.demo.calls.failures import give_memory_back
from simswap.demo.server.allowed_routes import FRAME, MCP, UPLOAD, route_of
from simswap.demo.server.refusals import refused
from simswap.demo.server.visitors import visitor_of

READING = ("GET", "HEAD", "OPTIONS")  # requests that have no body
PATIENCE = 30.0  # seconds that a body may take in any case
SLOWEST = 10_000  # bytes a second that it must bring on top
# Lists, objects and commas in a call: a file has five and costs the server a millisecond. A photo
# of 64 faces makes the page send some 2,000.
MAX_PARTS = 10_000
MAX_PARTS_OF_FRAME = 200  # of a camera's, which has some twenty
PARTS = (b"[", b"{", b",")
# Of a number, which Python reads in time by the square of its digits; names have up to 200.
MAX_DIGITS = 400
DIGITS_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
# Bytes of bodies that lie in memory until they are whole and answered; those of uploads do not.
# They are read and checked in several forms, so each counts so many times.
TIMES, TIMES_OF_MCP = 3, 5
MAX_HELD, MAX_HELD_PER_ADDRESS = 104_000_000, 26_000_000
# Of answers by MCP until they are read. Each is there as text, as JSON and as bytes. Those at work
# come on top, as a call does not know yet what its answer will be.
TIMES_OF_ANSWER = 4
MAX_UNREAD, MAX_UNREAD_PER_ADDRESS = 240_000_000, 80_000_000
# After bodies and answers of so many bytes, free memory goes back to the system, a moment later and
# at once for all that come meanwhile.
LARGE, TIDY_SECONDS = 1_000_000, 5.0
TOO_MUCH_AT_ONCE = (
    "The requests that are on their way send too much at once. Send one after the other, or large "
    "files as uploads."
)
UNREAD = "Answers that were not read yet take too much memory. Read them, or close the connections."


class RequestBodies:
    """ASGI middleware that limits a request's body, before it is read and while it is."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._bodies = Memory(MAX_HELD, MAX_HELD_PER_ADDRESS)
        self._answers = Memory(MAX_UNREAD, MAX_UNREAD_PER_ADDRESS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        max_bytes = _max_bytes(scope)
        declared = Headers(scope=scope).get("content-length", "0")
        if not declared.isdecimal():
            raise refused(scope, 400, "The request's Content-Length is no number.")
        if int(declared) > max_bytes:
            raise _too_long(scope, max_bytes)
        if not max_bytes:
            await self._app(scope, receive, send)
            return
        with ExitStack() as stack:
            if route_of(scope) is MCP:
                send = stack.enter_context(self._until_read(scope, send))
            take = stack.enter_context(self._until_answered(scope))
            await self._app(scope, _Body(scope, receive, max_bytes, take).receive, send)

    @contextmanager
    def _until_answered(self, scope: Scope) -> Iterator[Callable[[int], None]]:
        """To be called with the bytes that come, in this block; raises Refused for too many."""
        times = TIMES_OF_MCP if route_of(scope) is MCP else TIMES
        with self._bodies.held(visitor_of(scope).address, times * LARGE) as hold:

            def take(count: int) -> None:
                hold(times * count)
                self._bodies.check(scope, TOO_MUCH_AT_ONCE)

            yield take

    @contextmanager
    def _until_read(self, scope: Scope, send: Send) -> Iterator[Send]:
        """What an answer is sent by, in this block; raises Refused while too much is unread."""
        self._answers.check(scope, UNREAD, more=1)
        with self._answers.held(visitor_of(scope).address, TIMES_OF_ANSWER * LARGE) as hold:

            async def send_and_hold(message: Message) -> None:
                hold(TIMES_OF_ANSWER * len(message.get("body", b"")))
                await send(message)

            yield send_and_hold


class Memory:
    """What requests hold of it, of each address and of all. Used from the event loop only."""

    def __init__(self, in_all: int, per_address: int) -> None:
        self._in_all, self._per_address = in_all, per_address
        self._held: Counter[str] = Counter()
        self._tidies = False

    def check(self, scope: Scope, told: str, more: int = 0) -> None:
        """Raise Refused, with this sentence, if a visitor may not hold so many bytes more."""
        if self._held[visitor_of(scope).address] + more > self._per_address:
            raise refused(scope, 429, told, retry_after="60")
        if self._held.total() + more > self._in_all:
            raise refused(scope, 503, TOO_MUCH_AT_ONCE, retry_after="60")

    @contextmanager
    def held(self, address: str, large: int) -> Iterator[Callable[[int], None]]:
        """To be called with the bytes that are held until the block ends.

        large: bytes after which free memory goes back.
        """
        num_bytes = 0

        def hold(count: int) -> None:
            nonlocal num_bytes
            num_bytes += count
            self._held[address] += count

        try:
            yield hold
        finally:
            self._held[address] -= num_bytes
            if not self._held[address]:
                del self._held[address]
            if num_bytes > large and not self._tidies:
                self._tidies = True
                asyncio.get_running_loop().call_later(TIDY_SECONDS, self._tidy_up)

    def _tidy_up(self) -> None:
        self._tidies = False
        asyncio.get_running_loop().run_in_executor(None, give_memory_back, None)


class _Body:
    """A body that is being read."""

    def __init__(
        self, scope: Scope, receive: Receive, max_bytes: int, take: Callable[[int], None]
    ) -> None:
        self._scope, self._receive, self._max_bytes = scope, receive, max_bytes
        self._take = take if route_of(scope) is not UPLOAD else None
        self._num_bytes, self._is_whole, self._begun = 0, False, time.monotonic()
        self._num_parts, self._is_json = 0, route_of(scope) is not UPLOAD
        self._max_parts = MAX_PARTS_OF_FRAME if route_of(scope) is FRAME else MAX_PARTS

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
        if self._take is not None:
            self._take(len(content))
        if self._is_json:
            self._num_parts += sum(map(content.count, PARTS))
            if self._num_parts > self._max_parts:
                raise refused(self._scope, 413, "The request is made of too many parts.")
            if b"\0" in content:  # which JSON has in UTF-16 only, between all digits
                raise refused(self._scope, 415, "A call is JSON in UTF-8.")
            if b"0" * (MAX_DIGITS + 1) in content.translate(DIGITS_TO_ZERO):
                raise refused(self._scope, 413, f"Up to {MAX_DIGITS} digits in a row are taken.")
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
