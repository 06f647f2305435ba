"""Refusals: a status and a sentence in place of an answer, whoever in the chain finds the reason.

A refusal may come while a body is being read. What reads it then raises, and whatever the code
that asked for the body makes of that, the visitor gets the sentence.
"""

from __future__ import annotations

import errno
import json
import logging

from starlette.formparsers import MultiPartException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simswap.demo.process.quiet_log import place

logger = logging.getLogger(__name__)

KEY = "simswap.refusal"  # in a request's scope
DISK_FULL = "The server has no room for more files just now. Try again later."
FAILED = "The server could not answer this request. Check it, or try again in a minute."
NO_WEBSOCKET = {"type": "websocket.close", "code": 1008}


class Refused(MultiPartException):
    """Ends a request. Of this kind, Gradio removes what it has stored of an upload."""


def refused(scope: Scope, status: int, sentence: str, **headers: str) -> Refused:
    """What to raise in order to answer a request so; headers: with _ for -."""
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    scope[KEY] = (status, sentence, fields)
    return Refused(sentence)


class Refusals:
    """ASGI middleware, the outermost: answers what was refused, and what went wrong."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. No error leaves this, since the server would log its text."""
        has_begun = False

        async def send_unless_refused(message: Message) -> None:
            nonlocal has_begun
            if has_begun or KEY not in scope:
                has_begun = True
                await send(message)

        try:
            await self._app(scope, receive, send_unless_refused)
        except Exception as error:
            if scope["type"] == "lifespan":
                raise
            if KEY not in scope:
                logger.error("A request failed: %s", place(error))
                scope[KEY] = (507, DISK_FULL, {}) if is_disk_full(error) else (500, FAILED, {})
        if KEY in scope and not has_begun:
            await _answer(scope, send)


def is_disk_full(error: BaseException) -> bool:
    """Whether that is why something went wrong."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def body_of(sentence: str) -> bytes:
    """The JSON that tells a refusal."""
    return json.dumps({"detail": sentence, "error": sentence}).encode()


async def _answer(scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket":
        await send(NO_WEBSOCKET)  # before it is accepted: the answer is HTTP 403
        return
    status, sentence, fields = scope[KEY]
    body = body_of(sentence)
    headers = {"content-type": "application/json", "content-length": str(len(body)), **fields}
    encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
