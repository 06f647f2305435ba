"""The page, what describes it, and its parts are made once, not for each request.

Gradio makes documents anew for each, which takes up to 60 ms, and compresses the page's scripts
anew, which takes up to 190 ms; others wait meanwhile. Whatever else it compresses takes 5 MB as
long as its reader likes.
"""

from __future__ import annotations

import asyncio
import re

from gradio.utils import LRUCache
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simswap.demo.server.allowed_routes import API, HOSTS, SEEN, own_path
from simswap.demo.server.rate_limit import count_one_more

DOCUMENT = re.compile(rf"/|/config/?|/theme\.css|{API}(info/?|openapi\.json|mcp/schema)")
PLAIN_PART = re.compile(r"/(assets|static)(/\w[\w.@-]*)+", re.ASCII)  # a file has one such path
ENCODINGS = ("br", "gzip")
MAX_DOCUMENTS = 32  # of up to half a megabyte
MAX_PARTS = 2000  # more than there are; in all they have some 20 MB
Kept = LRUCache[tuple[object, ...], list[Message]]


class Documents:
    """ASGI middleware that answers with what was made before, if it was."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._documents, self._parts = Kept(MAX_DOCUMENTS), Kept(MAX_PARTS)
        self._is_making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it. A document yet to be made counts as another request."""
        path = own_path(scope) if scope["type"] == "http" and scope["method"] in SEEN else ""
        if DOCUMENT.fullmatch(path):
            messages = await self._answer(self._documents, scope, _reduced(scope, HOSTS))
        elif PLAIN_PART.fullmatch(path) and _encoding(scope) and not _is_of_a_range(scope):
            messages = await self._answer(self._parts, scope, _reduced(scope))
        else:
            if scope["type"] == "http":  # what is not kept is not compressed: see above
                # In this scope, not in a copy: what refuses the request writes into it why.
                scope["headers"] = [
                    pair for pair in scope["headers"] if pair[0] != b"accept-encoding"
                ]
            await self._app(scope, receive, send)
            return
        for message in messages:
            await send(message)

    async def _answer(self, kept: Kept, scope: Scope, plain: Scope) -> list[Message]:
        """Of those that are kept, or a new one. plain: the request without what is ignored."""
        key = (plain["scheme"], plain.get("root_path", ""), plain["path"], *plain["headers"])
        if key not in kept:
            if kept is self._documents:
                count_one_more(scope)
            async with self._is_making:
                if key not in kept:
                    messages = await self._made(plain)
                    if messages[0]["status"] != 200:
                        return messages
                    kept[key] = messages
        kept.move_to_end(key)
        return kept[key]

    async def _made(self, scope: Scope) -> list[Message]:
        messages: list[Message] = []
        requests = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> Message:
            if (request := next(requests, None)) is None:  # what comes then is nobody's leaving
                await asyncio.Event().wait()
            return request

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, receive, keep)
        return messages


def _reduced(scope: Scope, names: tuple[str, ...] = ()) -> Scope:
    """A request to read something, of whose headers only these matter, and what is accepted."""
    given, encoding = Headers(scope=scope), _encoding(scope)
    headers = [(name.encode(), given[name].encode("latin-1")) for name in names if name in given]
    headers += [(b"accept-encoding", encoding.encode())] if encoding else []
    return {**scope, "method": "GET", "query_string": b"", "headers": headers}


def _encoding(scope: Scope) -> str:
    """The first of ENCODINGS that a request accepts; "" for none."""
    accepted = Headers(scope=scope).get("accept-encoding", "")
    return next((encoding for encoding in ENCODINGS if encoding in accepted), "")


def _is_of_a_range(scope: Scope) -> bool:
    return "range" in Headers(scope=scope)
