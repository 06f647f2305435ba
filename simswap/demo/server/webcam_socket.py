"""The quick way for live frames: a WebSocket beside Gradio, JPEG both ways.

The page first sends the token it was given (as text), then frames. They are answered in order, each
by three bytes and a JPEG: the numbers of faces found and swapped, and the time that the frame took,
by which the page sends as many as are swapped. What is refused is said as text before the end.
"""

from __future__ import annotations

import asyncio
import time

import gradio as gr
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from simswap.demo.calls.failures import readable_errors
from simswap.demo.pace import Pace
from simswap.demo.server.open_connections import OpenConnections
from simswap.demo.server.origins import is_own_origin
from simswap.demo.server.visitors import visitor_of
from simswap.demo.services.live_sessions import (
    ENDED,
    IDLE_SECONDS,
    LiveFrame,
    LiveSession,
    LiveSessions,
)

PATH = "/live-camera"
TOKEN_SECONDS = 10.0  # within which a page must show its token
MAX_FPS = 60  # frames a page may send in a second; our own sends no more than are answered
SERVED_UNIT = 0.004  # seconds, in which that time is told
POLICY_VIOLATION = 1008
MAX_SOCKETS, MAX_SOCKETS_PER_ADDRESS = 32, 4  # open at once
TOO_MANY = (
    f"Up to {MAX_SOCKETS_PER_ADDRESS} cameras of one address are taken at once. Stop another first."
)


class Refused(Exception):
    """Raised to end a connection with a sentence for its page."""


def route(sessions: LiveSessions) -> WebSocketRoute:
    """The socket's route, for the application that also serves the page."""
    connected: set[str] = set()  # tokens
    sockets = OpenConnections(MAX_SOCKETS, MAX_SOCKETS_PER_ADDRESS)

    async def serve(socket: WebSocket) -> None:
        if not is_own_origin(socket.headers):
            await socket.close(POLICY_VIOLATION)  # before it is accepted: the answer is HTTP 403
            return
        with sockets.one_more(visitor_of(socket.scope).address) as is_taken:
            if is_taken:
                await talk(socket)
            else:  # as HTTP too
                answer = JSONResponse({"detail": TOO_MANY, "error": TOO_MANY}, 429)
                await socket.send_denial_response(answer)

    async def talk(socket: WebSocket) -> None:
        await socket.accept()
        try:
            session = await _session_of(socket, sessions)
            if session.token in connected:
                raise Refused(
                    "This session already has a camera. Press Start camera to begin anew."
                )
            connected.add(session.token)
            try:
                await _swap_frames(socket, session, sessions)
            finally:
                connected.discard(session.token)
                if session.newest is not None:  # else the page goes on by Gradio's stream
                    sessions.end(session)
        except Refused as refusal:
            await _end(socket, str(refusal))
        except WebSocketDisconnect:
            pass

    return WebSocketRoute(PATH, serve)


async def _session_of(socket: WebSocket, sessions: LiveSessions) -> LiveSession:
    try:
        message = await asyncio.wait_for(socket.receive(), TOKEN_SECONDS)
    except TimeoutError:
        raise Refused("No token came. Press Start camera to begin anew.") from None
    session = sessions.of_token(message.get("text") or "")
    if session is None:
        raise Refused(ENDED)
    return session


async def _swap_frames(socket: WebSocket, session: LiveSession, sessions: LiveSessions) -> None:
    pace = Pace(MAX_FPS, 1)
    while True:
        try:
            message = await asyncio.wait_for(socket.receive(), IDLE_SECONDS)
        except TimeoutError:
            raise Refused(
                "No camera frame came for a minute. Press Start camera to begin anew."
            ) from None
        if message["type"] == "websocket.disconnect":
            return
        if not pace.take():
            raise Refused(f"More than {MAX_FPS} frames a second are not taken.")
        if not sessions.is_open(session):
            raise Refused(ENDED)
        begun = time.monotonic()
        try:
            with readable_errors():
                frame = await run_in_threadpool(session.swap, message.get("bytes") or b"")
        except gr.Error as error:
            raise Refused(error.message) from error
        await socket.send_bytes(_packed(frame, time.monotonic() - begun))


def _packed(frame: LiveFrame, seconds: float) -> bytes:
    head = frame.num_faces, frame.num_swapped, round(seconds / SERVED_UNIT)
    return bytes(min(number, 255) for number in head) + frame.jpeg


async def _end(socket: WebSocket, sentence: str) -> None:
    try:
        await socket.send_text(sentence)
        await socket.close(POLICY_VIOLATION)
    except (WebSocketDisconnect, RuntimeError):  # the visitor has gone
        pass
