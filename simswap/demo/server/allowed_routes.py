"""The addresses that this demo has. Gradio has many more; all of those are 404 here.

The list is what the page, gradio_client, MCP clients and browsers were seen to ask for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simswap.demo.calls import addresses
from simswap.demo.server import origins
from simswap.demo.server.refusals import refused
from simswap.demo.server.visitors import visitor_of
from simswap.demo.server.webcam_socket import PATH as SOCKET
from simswap.demo.services.uploads import MAX_NAME, MAX_PATH
from simswap.media.photos import MAX_FILE_BYTES

API = "/gradio_api/"
NAME = r"\w[\w-]{0,199}"
UPLOAD_NAME = re.compile(r"[\w-]{1,64}", re.ASCII)  # as the page names its own
READ, SEEN, SEND = ("GET",), ("GET", "HEAD"), ("POST",)
KILOBYTE, MEGABYTE = 1_000, 1_000_000
CALL_BYTES = 8 * MEGABYTE  # of a call's JSON; a photo of 300 faces makes the page send 3 MB
MCP_BYTES = 4 * 1024 * 1024  # as the mcp library has it
UPLOAD_BYTES = 2 * MAX_FILE_BYTES + MEGABYTE  # of all files of one request, and their headers
MAX_QUERY = 2_000  # bytes; the page's and its clients' have some hundred
MAX_HOST = 255  # characters, as names in the internet may have
HOSTS = ("host", "x-forwarded-host", "x-forwarded-proto")  # which documents repeat
NOTHING_HERE = "There is nothing at this address."
FOREIGN = (
    "Requests from pages of other web sites are not taken. Open this demo's own page, or call it "
    "from a program."
)
OTHER_HOST = (
    "This demo serves its own machine only, as localhost. To let others come by this name, set "
    "GRADIO_ROOT_PATH to its address, or name your proxy in SIMSWAP_TRUSTED_PROXIES."
)
NO_UPLOAD = "An upload is named by up to 64 letters, digits, - and _."
NO_FILE = "This is no file that was uploaded to this server, or it has been deleted since."


@dataclass(frozen=True)
class Route:
    """A kind of address: its path, its methods, and how many bytes a request's body may have.

    too_long: what to do instead, for whom a body is too long.
    """

    pattern: str
    methods: tuple[str, ...]
    max_bytes: int = 0
    too_long: str = "Send less at once."


UPLOAD = Route(f"{API}upload", SEND, UPLOAD_BYTES, "Send fewer or smaller files at once.")
FRAME = Route(f"{API}stream/{NAME}", SEND, MEGABYTE, "Choose a lower resolution for the camera.")
FILE = Route(f"{API}file=.+", SEEN)
_TO_UPLOAD = f"Send large files to {API}upload, then name them by the path that it answers."
MCP = Route(f"{API}mcp/?", ("GET", "POST", "DELETE"), MCP_BYTES, _TO_UPLOAD)
ROUTES = (
    Route("/", SEEN),
    Route("/(config/?|theme.css|favicon.ico|manifest.json|robots.txt)", READ),
    Route("/(assets|static)/.+", READ),
    Route(f"{API}(info/?|openapi.json|startup-events|upload_progress)", READ),
    Route(f"{API}queue/(data|status)", READ),
    Route(f"{API}heartbeat/{NAME}", READ),
    Route(f"{API}call/(v2/)?{NAME}/{NAME}", READ),
    Route(f"{API}(queue/join|run/predict|call/(v2/)?{NAME}/?)", SEND, CALL_BYTES, _TO_UPLOAD),
    Route(f"{API}(cancel|reset/?|stream/{NAME}/close)", SEND, 10 * KILOBYTE),
    MCP,
    Route(f"{API}mcp/schema", READ),
    UPLOAD,
    FRAME,
    FILE,
)
_COMPILED = tuple((re.compile(route.pattern, re.ASCII | re.DOTALL), route) for route in ROUTES)


class AllowedRoutes:
    """ASGI middleware that answers 404 to all that is not on the list, and 403 to other sites.

    No answer is taken for another kind of file than it says it is, whatever is in it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] == "http":
            check(scope)
        elif scope["type"] == "websocket":
            _check_host(scope)
            if own_path(scope) != SOCKET:
                raise refused(scope, 404, NOTHING_HERE)

        async def send_as_told(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["x-content-type-options"] = "nosniff"
            await send(message)

        await self._app(scope, receive, send_as_told)


def check(scope: Scope) -> None:
    """Raise Refused unless a request may come to Gradio."""
    _check_lengths(scope)
    _check_host(scope)
    route, method = route_of(scope), scope["method"]
    if route is None:
        raise refused(scope, 404, NOTHING_HERE)
    if method not in (*route.methods, "OPTIONS"):  # which asks what a page of another site may
        allowed = ", ".join(route.methods)
        raise refused(scope, 405, f"{method} is not for this address; {allowed} is.", allow=allowed)
    is_counted = method not in SEEN and visitor_of(scope).is_counted
    if is_counted and origins.is_foreign_page(Headers(scope=scope)):
        raise refused(scope, 403, FOREIGN)
    query = scope["query_string"]
    name = QueryParams(query).get("upload_id") if b"upload_id" in query else None
    if name is not None and not UPLOAD_NAME.fullmatch(name):
        raise refused(scope, 404, NO_UPLOAD)
    if route is FILE and addresses.path_of_upload(own_path(scope).partition("=")[2]) is None:
        raise refused(scope, 403, NO_FILE)


def _check_host(scope: Scope) -> None:
    if origins.is_foreign_host(Headers(scope=scope)):
        raise refused(scope, 421, OTHER_HOST)


def _check_lengths(scope: Scope) -> None:
    path = own_path(scope)
    if len(path) > MAX_PATH or any(len(part.encode()) > MAX_NAME for part in path.split("/")):
        raise refused(
            scope, 414, f"A path has {MAX_PATH} characters here, a name {MAX_NAME} bytes."
        )
    if len(scope["query_string"]) > MAX_QUERY:
        raise refused(scope, 414, f"What follows the ? here has at most {MAX_QUERY} characters.")
    headers = Headers(scope=scope)
    for name in HOSTS:
        if any(len(value) > MAX_HOST for value in headers.getlist(name)):
            raise refused(scope, 400, f"{name} has more than {MAX_HOST} characters.")


def route_of(scope: Scope) -> Route | None:
    """The entry of the list that a request's address belongs to; one with its method if there is.

    None if there is none.
    """
    path = own_path(scope)
    found = [route for pattern, route in _COMPILED if pattern.fullmatch(path)]
    fitting = [route for route in found if scope["method"] in route.methods]
    return next(iter(fitting or found), None)


def own_path(scope: Scope) -> str:
    """A request's path within the demo, as its router takes it.

    A proxy in front may have left on the prefix under which it offers the demo, or not.
    """
    path, root = scope["path"], scope.get("root_path", "")
    if root and (path == root or path.startswith(f"{root}/")):
        return path.removeprefix(root) or "/"
    return path
