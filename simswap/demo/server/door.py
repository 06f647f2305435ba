"""The demo's application as the network sees it: Gradio's, behind a door of checks."""

from __future__ import annotations

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from gradio.route_utils import FnIndexInferError
from gradio.routes import App, ORJSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from simswap.demo.calls.documents import Documents
from simswap.demo.calls.queue.job_routes import KnownSessions
from simswap.demo.calls.queue.waiting_line import UNKNOWN
from simswap.demo.calls.sessions import Sessions
from simswap.demo.server.allowed_routes import AllowedRoutes
from simswap.demo.server.open_connections import OpenRequests
from simswap.demo.server.rate_limit import RateLimit, configured_limit
from simswap.demo.server.refusals import Refusals
from simswap.demo.server.request_bodies import RequestBodies
from simswap.demo.server.upload_limits import Room, UploadLimits
from simswap.demo.server.visitors import KnowVisitor, Proxies
from simswap.demo.services.uploads import upload_folder

NOT_UNDERSTOOD = (
    "The request's body is not what this address takes. The page's API link shows how to call it."
)


class Application(App):
    """Gradio's application, of which a request sees nothing before it has passed the door.

    Raises OptionError if a setting of the door is wrong.
    """

    def __init__(self, routes: list[BaseRoute]) -> None:
        """routes: beside Gradio's own; the door must have them on its list."""
        super().__init__(
            routes=routes,
            default_response_class=ORJSONResponse,
            exception_handlers={
                FnIndexInferError: _tell_unknown,
                **dict.fromkeys(
                    (RequestValidationError, KeyError, TypeError, ValueError), _tell_misunderstood
                ),
            },
        )
        self.state_holder = Sessions()
        # Read now, so that a wrong one ends the program before it serves.
        self._proxies, self._room = Proxies(), Room(upload_folder())
        self._requests_a_minute = configured_limit()

    def build_middleware_stack(self) -> ASGIApp:
        """As Starlette's, with the checks outermost; called once, when the server starts."""
        blocks = self.get_blocks()
        blocks.room = self._room  # of the page, whose calls store results
        app = KnownSessions(super().build_middleware_stack(), blocks._queue)
        app = Documents(app)
        app = UploadLimits(app, self._room)
        app = RequestBodies(app)
        app = OpenRequests(app)
        app = AllowedRoutes(app)
        app = RateLimit(app, self._requests_a_minute)  # what is refused counts, too
        app = KnowVisitor(app, self._proxies)
        if blocks.mcp_server_obj:  # None where the mcp package is missing
            app.identify(blocks.mcp_server_obj)
        return Refusals(app)


async def _tell_unknown(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": UNKNOWN, "error": UNKNOWN}, 404)


async def _tell_misunderstood(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": NOT_UNDERSTOOD, "error": NOT_UNDERSTOOD}, 422)
