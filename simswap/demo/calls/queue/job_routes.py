"""The addresses at which jobs are asked for, get frames, and are cancelled."""

from __future__ import annotations

import re

from gradio.data_classes import CancelBody, PredictBody
from gradio.queueing import Queue
from gradio.server_messages import ProcessCompletedMessage
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from simswap.demo.server.allowed_routes import API, own_path
from simswap.demo.server.refusals import refused
from simswap.demo.services import cancelling

ASKED = re.compile(r"/gradio_api/(queue/data|call/(v2/)?[^/]+/([^/]+))")
CAMERA = re.compile(r"/gradio_api/stream/([^/]+)(/close)?")
NOTHING_TO_TELL = "There is no such job (any more), so there is nothing to tell of it."


def camera_route(queue: Queue) -> Route:
    """The address of a camera's frames, in the place of Gradio's.

    Of a frame's request only the values are taken: Gradio takes all it says, also that it belongs
    to another job, whose function it would begin anew.
    """

    async def take(request: Request) -> JSONResponse:
        values = PredictBody(**await request.json()).data
        event = queue.event_ids_to_events.get(request.path_params["event"])
        if event is None:  # it has ended meanwhile
            return JSONResponse({"detail": NOTHING_TO_TELL, "error": NOTHING_TO_TELL}, 404)
        event.data = event.data.model_copy(update={"data": values})
        event.signal.set()
        return JSONResponse({"msg": "success"})

    return Route(f"{API}stream/{{event}}", take, methods=["POST"])


def cancel_route(queue: Queue) -> Route:
    """The address at which a job is cancelled, in the place of Gradio's.

    That holds a lock until the job's thread has come to its next step, for which all others wait
    that end meanwhile, with what they were sent. Here a job's own end closes what it has opened.
    """

    async def cancel(request: Request) -> JSONResponse:
        body = CancelBody(**await request.json())
        own = queue.pending_event_ids_session.get(body.session_hash, ())
        if is_own := body.event_id in own:
            await queue.remove_from_queue(body.event_id)
        await cancelling.cancel({f"{body.session_hash}_{body.fn_index}"})
        answers = queue.pending_messages_per_session
        if is_own and body.session_hash in answers:  # so that who listens for its end goes
            ended = ProcessCompletedMessage(output={}, success=True, event_id=body.event_id)
            answers[body.session_hash].put_nowait(ended)
            answers.trim(body.session_hash)
        return JSONResponse({"success": True})

    return Route(f"{API}cancel", cancel, methods=["POST"])


class KnownSessions:
    """ASGI middleware that answers 404 to who asks for the results of what was never begun.

    And to who sends a camera's frames to what is none.
    """

    def __init__(self, app: ASGIApp, queue: Queue) -> None:
        self._app, self._queue = app, queue

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http" and scope["method"] == "GET":
            asked = ASKED.fullmatch(own_path(scope))
            if asked and not self._knows(
                asked[3] or Request(scope).query_params.get("session_hash")
            ):
                raise refused(scope, 404, NOTHING_TO_TELL)
        if scope["type"] == "http" and (camera := CAMERA.fullmatch(own_path(scope))):
            event = self._queue.event_ids_to_events.get(camera[1])
            if event is None or not event.streaming:  # what else waits or is at work is no camera
                raise refused(scope, 404, NOTHING_TO_TELL)
        await self._app(scope, receive, send)

    def _knows(self, name: str | None) -> bool:
        """Whether that names a session or a job of which messages wait, or may come."""
        queue = self._queue
        return (
            name in queue.pending_messages_per_session
            or name in queue.event_ids_to_events
            or any(name in jobs for jobs in queue.pending_event_ids_session.values())
        )
