"""How much visitors may store: files in a request, bytes in an hour, and all of them together.

What calls make of uploads counts like uploads, for the address that called.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections import OrderedDict, deque
from pathlib import Path, PurePosixPath

from gradio import routes
from gradio.route_utils import FileUploadProgress
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MAX_BOUNDARY_LENGTH, MultipartParser, parse_options_header
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simswap.demo.process.retention import MAX_AGE
from simswap.demo.server.allowed_routes import MCP, UPLOAD, route_of
from simswap.demo.server.rate_limit import count_one_more
from simswap.demo.server.refusals import DISK_FULL, refused
from simswap.demo.server.visitors import visitor_of
from simswap.demo.services.uploads import bytes_below
from simswap.demo.settings import DISK_SHARE, disk_bytes
from simswap.errors import OptionError

MAX_TRACKED = 1000  # uploads of which one may ask how far they are
MAX_FILES = 16  # in a request; the page sends 8 at most
# In its body. What only begins like one takes the parser a microsecond each, others waiting.
MAX_BOUNDARIES = 100
# Of this thread, in which nobody else is answered: kept at most, and earned by each byte. Usual
# files take a tenth. Of one piece so much counts: Python may clean up its memory just then.
PARSER_SECONDS, SECONDS_PER_BYTE, SECONDS_PER_PIECE = 0.04, 1e-8, 0.005
PIECE = 16_384  # bytes; the slowest take 3 ms
MAX_ADDRESSES = 10_000  # remembered at once
KEPT_FREE = 1_000_000_000  # bytes of the disk, or that share of it if that is less
KEPT_SHARE = 0.05
LOOK_EVERY = 1.0  # seconds between two looks at the folder and the disk
FIELD = b"files"  # the only one that Gradio reads; it keeps the others, too
NO_FORM = "An upload is a form of files: multipart/form-data with a boundary and nothing else."
NO_BOUNDARY = "The boundary of an upload's parts stands within its files. Choose another."
TOO_SLOW = "This form takes too long to be taken apart. Send the files with nothing around them."
CUT_OFF = "The upload ends before its last boundary. Send it anew."
TOO_MUCH = (
    "{gigabytes:g} GB an hour are taken from one address, results included; yours has had as much. "
    "Try again later."
)


class UploadProgress(FileUploadProgress):
    """Gradio's, which remembers by itself each name that anybody has asked for."""

    def track(self, upload_id: str) -> None:
        """As Gradio's; remember that there is an upload of this name."""
        super().track(upload_id)
        while len(self._statuses) > MAX_TRACKED:
            oldest = next(iter(self._statuses))
            self.stop_tracking(oldest)

    async def is_tracked(self, upload_id: str) -> bool:
        """As Gradio's; wait for an upload to begin."""
        try:
            return await super().is_tracked(upload_id)
        finally:
            if upload_id not in self._statuses:
                self._signals.pop(upload_id, None)

    def stop_tracking(self, upload_id: str) -> None:
        """As Gradio's; forget an upload."""
        super().stop_tracking(upload_id)
        self._signals.pop(upload_id, None)


def bound_progress() -> None:
    """Take it for Gradio's own."""
    routes.file_upload_statuses = UploadProgress()


class Room:
    """The room that there is for uploads, in the folder of this run and for each address."""

    def __init__(self, folder: Path, gigabytes: float | None = None) -> None:
        """gigabytes: for all; None takes SIMSWAP_DISK_GB or the default.

        Raises OptionError if the setting is no number above 0.
        """
        self._folder = folder
        self._max_bytes = 1e9 * gigabytes if gigabytes else disk_bytes()
        self._share = self._max_bytes / DISK_SHARE
        self._too_much = TOO_MUCH.format(gigabytes=self._share / 1e9)
        self._sent: OrderedDict[str, deque[tuple[float, int]]] = OrderedDict()
        self._used, self._free, self._looked_at = 0, 0, -LOOK_EVERY
        self._is_looking = asyncio.Lock()

    async def take(self, scope: Scope, num_bytes: int) -> None:
        """Note that a request's visitor stores so many bytes more. Raises Refused if it may not."""
        await self._look_again()
        self._used += num_bytes
        self._free -= num_bytes
        if self._used > self._max_bytes or self._free < 0:
            raise refused(scope, 507, DISK_FULL)
        visitor = visitor_of(scope)
        if visitor.is_counted and self._add(visitor.address, num_bytes) > self._share:
            raise refused(scope, 429, self._too_much, retry_after="600")

    async def check(self, scope: Scope) -> None:
        """Raise OptionError if a visitor's call may store no results."""
        await self._look_again()
        if self._used >= self._max_bytes or self._free <= 0:
            raise OptionError(DISK_FULL)
        if self._add(visitor_of(scope).address, 0) >= self._share:
            raise OptionError(self._too_much)

    def note(self, scope: Scope, num_bytes: int) -> None:
        """Note that a visitor's call has stored results, also one that this server passed on."""
        self._used += num_bytes
        self._free -= num_bytes
        self._add(visitor_of(scope).address, num_bytes)

    async def _look_again(self) -> None:
        async with self._is_looking:
            if time.monotonic() - self._looked_at > LOOK_EVERY:
                self._used, self._free = await asyncio.to_thread(_look, self._folder)
                self._looked_at = time.monotonic()

    def _add(self, address: str, num_bytes: int) -> int:
        """Bytes that an address has sent in the last hour, with these."""
        now = time.monotonic()
        sent = self._sent.setdefault(address, deque())
        self._sent.move_to_end(address)
        if len(self._sent) > MAX_ADDRESSES:
            self._sent.popitem(last=False)
        while sent and now - sent[0][0] > MAX_AGE:
            sent.popleft()
        if sent and now - sent[-1][0] < 1:  # one entry a second
            sent[-1] = (sent[-1][0], sent[-1][1] + num_bytes)
        else:
            sent.append((now, num_bytes))
        return sum(size for _, size in sent)


class UploadLimits:
    """ASGI middleware that looks through uploads on their way in, and counts them."""

    def __init__(self, app: ASGIApp, room: Room) -> None:
        self._app, self._room = app, room

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on. What is refused on its way is not kept."""
        if scope["type"] == "http" and scope["method"] == "POST":
            if (route := route_of(scope)) is UPLOAD:
                receive = _Upload(scope, receive, self._room).receive
            elif route is MCP:  # whose data: URIs are stored too
                receive = _Stored(scope, receive, self._room).receive
        await self._app(scope, receive, send)


class _Stored:
    """A body that is being read, and is stored."""

    def __init__(self, scope: Scope, receive: Receive, room: Room) -> None:
        self._scope, self._receive, self._room = scope, receive, room

    async def receive(self) -> Message:
        """The next part of the body. Raises Refused if there is no room for it."""
        message = await self._receive()
        if part := message.get("body"):
            self._look(part)
            await self._room.take(self._scope, len(part))
        return message

    def _look(self, part: bytes) -> None:
        """Raise Refused for what is not taken."""


class _Upload(_Stored):
    """An upload that is being read: a multipart form of files only.

    Gradio reads the form again. What it could read in another way than this class is refused: it
    keeps a field that is no file in memory, and decodes it by any charset that it is told of.
    """

    def __init__(self, scope: Scope, receive: Receive, room: Room) -> None:
        super().__init__(scope, receive, room)
        self._num_files, self._num_dispositions, self._is_whole = 0, 0, False
        self._field, self._disposition = b"", b""
        boundary = _boundary_of(scope)
        self._sought, self._num_found, self._before = b"\r\n--" + boundary, 0, b""
        self._seconds_left = PARSER_SECONDS
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name,
                "on_header_value": self._value,
                "on_header_end": self._end_of_field,
                "on_headers_finished": self._headers_finished,
                "on_end": self._end,
            },
        )

    async def receive(self) -> Message:
        """As of any body. Raises Refused at its end if the form goes on: Gradio would keep it."""
        message = await super().receive()
        is_end = message["type"] == "http.request" and not message.get("more_body")
        if is_end and not self._is_whole:
            raise refused(self._scope, 400, CUT_OFF)
        return message

    def _look(self, part: bytes) -> None:
        self._num_found += (self._before + part).count(self._sought)
        if self._num_found > MAX_BOUNDARIES:
            raise refused(self._scope, 400, NO_BOUNDARY)
        self._before = (self._before + part)[1 - len(self._sought) :]
        for start in range(0, len(part), PIECE):
            self._take_apart(part[start : start + PIECE])

    def _take_apart(self, piece: bytes) -> None:
        begun = time.thread_time()
        try:
            self._parser.write(piece)
        except FormParserError:
            raise refused(self._scope, 400, NO_FORM) from None
        taken = min(time.thread_time() - begun, SECONDS_PER_PIECE)
        earned = SECONDS_PER_BYTE * len(piece)
        self._seconds_left = min(self._seconds_left + earned, PARSER_SECONDS) - taken
        if self._seconds_left < 0:
            raise refused(self._scope, 400, TOO_SLOW)

    def _begin(self) -> None:
        self._num_files += 1
        self._num_dispositions, self._field, self._disposition = 0, b"", b""
        if self._num_files > MAX_FILES:
            raise refused(
                self._scope,
                413,
                f"A request may bring {MAX_FILES} files. Send the rest in another.",
            )
        if self._num_files > 1:
            count_one_more(self._scope)

    def _name(self, data: bytes, start: int, end: int) -> None:
        self._field += data[start:end]

    def _value(self, data: bytes, start: int, end: int) -> None:
        if self._field.lower() == b"content-disposition":
            self._disposition += data[start:end]

    def _end_of_field(self) -> None:
        if self._field.lower() == b"content-disposition":
            self._num_dispositions += 1
        self._field = b""

    def _headers_finished(self) -> None:
        if self._num_dispositions != 1:
            raise refused(self._scope, 400, "A file of an upload takes one Content-Disposition.")
        _, options = parse_options_header(self._disposition)
        if b"filename" not in options or options.get(b"name") != FIELD:
            said = "An upload takes files only, each with a file name, in the field 'files'."
            raise refused(self._scope, 400, said)
        if PurePosixPath(os.fsdecode(options[b"filename"])).name in ("", ".."):
            raise refused(self._scope, 400, "A file of an upload takes a name. Send it with one.")

    def _end(self) -> None:
        self._is_whole = True


def _boundary_of(scope: Scope) -> bytes:
    """What parts an upload's files. Raises Refused unless the form names just that."""
    content_type = Headers(scope=scope).getlist("content-type")
    kind, options = parse_options_header(content_type[0] if len(content_type) == 1 else None)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary or len(options) > 1:
        raise refused(scope, 400, NO_FORM)
    if len(boundary) > MAX_BOUNDARY_LENGTH:
        raise refused(
            scope,
            400,
            f"The boundary of an upload's parts may have {MAX_BOUNDARY_LENGTH} bytes; this one "
            f"has {len(boundary)}.",
        )
    return boundary


def _look(folder: Path) -> tuple[int, int]:
    """Bytes that a folder's files have, and bytes of its disk that may still be used."""
    used = bytes_below(folder)
    disk = shutil.disk_usage(folder)
    return used, int(disk.free - min(KEPT_FREE, disk.total * KEPT_SHARE))
