"""A limit on how many jobs one visitor's address may start in a minute, told in plain words."""

from __future__ import annotations

import json
import os
import time
from collections import deque

from starlette.types import ASGIApp, Receive, Scope, Send

DEFAULT_LIMIT = 120  # jobs and uploads in a minute; a busy visitor of the page starts about 30
WINDOW = 60.0  # seconds
MAX_ADDRESSES = 10_000  # remembered at once
# What starts a job or stores a file. Camera frames over Gradio's stream belong to one job.
COUNTED = ("queue/join", "call/", "run/", "api/", "upload", "mcp")
PREFIX = "/gradio_api/"


class RateLimit:
    """ASGI middleware that answers 429 to an address which asks too often."""

    def __init__(self, app: ASGIApp, limit: int | None = None) -> None:
        """limit: requests a minute; None takes SIMSWAP_REQUESTS_PER_MINUTE or the default."""
        self._app = app
        self._limit = limit or int(os.environ.get("SIMSWAP_REQUESTS_PER_MINUTE") or DEFAULT_LIMIT)
        # Behind a Space's proxy every visitor has the proxy's address, and the header is the
        # proxy's own; elsewhere anybody can write it.
        self._is_behind_proxy = bool(os.environ.get("SPACE_ID"))
        self._times: dict[str, deque[float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and is_counted(scope) and not self._take(self._address(scope)):
            await refuse(send, self._limit)
        else:
            await self._app(scope, receive, send)

    def _address(self, scope: Scope) -> str:
        headers = dict(scope["headers"])
        if self._is_behind_proxy and (chain := headers.get(b"x-forwarded-for")):
            return chain.decode("latin-1").split(",")[0].strip()
        return (scope.get("client") or ("unknown", 0))[0]

    def _take(self, address: str) -> bool:
        """Whether one more request fits; it is counted only then."""
        now = time.monotonic()
        if len(self._times) >= MAX_ADDRESSES:
            self._times = {a: t for a, t in self._times.items() if now - t[-1] < WINDOW}
        times = self._times.setdefault(address, deque(maxlen=self._limit))
        if len(times) == self._limit and now - times[0] < WINDOW:
            return False
        times.append(now)
        return True


def is_counted(scope: Scope) -> bool:
    """Whether a request starts a job or stores a file."""
    path = scope["path"].removeprefix(scope.get("root_path", "")).removeprefix(PREFIX)
    return scope["method"] == "POST" and path.lstrip("/").startswith(COUNTED)


async def refuse(send: Send, limit: int) -> None:
    """Answer 429, with a sentence."""
    sentence = (
        f"More than {limit} requests a minute came from your address. Wait a minute, then go on."
    )
    body = json.dumps({"detail": sentence, "error": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"60")]
    await send({"type": "http.response.start", "status": 429, "headers": headers})
    await send({"type": "http.response.body", "body": body})
