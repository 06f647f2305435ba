"""The page, and what describes it: each is made once for each address that visitors know it by.

Gradio makes them anew for every request, which takes it up to 60 ms, while others wait.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Hashable

from gradio.utils import LRUCache
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simswap.demo.server.allowed_routes import API, SEEN, own_path
from simswap.demo.server.rate_limit import count_one_more

DOCUMENT = re.compile(rf"/|/config/?|/theme\.css|{API}(info/?|openapi\.json|mcp/schema)")
# Of a request, what a document depends on; beside its path, and whether it may be compressed.
HEADERS = ("host", "x-forwarded-host", "x-forwarded-proto")
ENCODINGS = ("br", "gzip")
MAX_KEPT = 32  # documents, of up to half a megabyte


class Documents:
    """ASGI middleware that answers with a document that was made before, if there is one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._kept: LRUCache[Hashable, list[Message]] = LRUCache(MAX_KEPT)
        self._is_making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        is_document = scope["type"] == "http" and DOCUMENT.fullmatch(own_path(scope))
        if not is_document or scope["method"] not in SEEN:
            await self._app(scope, receive, send)
            return
        for message in await self._document(scope):
            await send(message)

    async def _document(self, scope: Scope) -> list[Message]:
        """The messages of an answer. One that is yet to be made counts as another request."""
        plain = _reduced(scope)
        headers = tuple(plain["headers"])
        key = (plain["scheme"], plain.get("root_path", ""), plain["path"], headers)
        if key not in self._kept:
            count_one_more(scope)
            async with self._is_making:
                if key not in self._kept:
                    messages = await self._made(plain)
                    if messages[0]["status"] != 200:
                        return messages
                    self._kept[key] = messages
        self._kept.move_to_end(key)
        return self._kept[key]

    async def _made(self, scope: Scope) -> list[Message]:
        messages: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        return messages


def _reduced(scope: Scope) -> Scope:
    """A request for a document, without all that makes no difference to it."""
    given = Headers(scope=scope)
    headers = [(name.encode(), given[name].encode("latin-1")) for name in HEADERS if name in given]
    accepted = given.get("accept-encoding", "")
    headers += [(b"accept-encoding", each.encode()) for each in ENCODINGS if each in accepted][:1]
    return {**scope, "method": "GET", "query_string": b"", "headers": headers}
