"""Each address has so many connections; those end on which no request comes, or one too costly.

Of all of them so many requests a second are taken in, and the rest wait unread: refusals cost, too.

Those end too whose answer nobody reads.

So do those on which more comes by a WebSocket than frames need.

By itself uvicorn waits for a request's headers without end, takes thousands of them and bodies of
millions of pieces, and unpacks messages of 16 MB.
"""

from __future__ import annotations

import asyncio
import re
from contextlib import ExitStack
from http import HTTPStatus

from h11 import IDLE, NEED_DATA, PAUSED, Data, EndOfMessage, Event, Request, Response
from uvicorn import config
from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ProtocolError
from websockets.frames import CTRL_OPCODES, Frame

from simswap.demo.pace import Pace
from simswap.demo.server.open_connections import MAX_REQUESTS_PER_ADDRESS, OpenConnections
from simswap.demo.server.rate_limit import Counter
from simswap.demo.server.refusals import body_of
from simswap.demo.server.visitors import Proxies
from simswap.demo.services.live_sessions import MAX_FRAME_BYTES

# Systems often allow a process 1,024 in all. An address may have 64 beside those at work.
MAX_CONNECTIONS, MAX_PER_ADDRESS = 900, MAX_REQUESTS_PER_ADDRESS + 64
SECONDS = 15.0  # for a request's headers, from the first byte or the answer before them
READ_SECONDS = 60.0  # for some 50 kB of an answer to be read, once the rest has to wait for that
# Of a request up to its body, which is read before anybody knows whose it is. A browser sends some
# 1 kB in 20 fields, and what cookies a proxy in front has.
MAX_HEAD_BYTES, MAX_FIELDS = 16_000, 100
# Of one address, in a second; they take up to 0.9 ms each, others waiting. A page that opens sends
# some 100 in all.
MAX_HEADS = 200
MAX_PIECES = 200  # in which a head may come; it mostly comes in one
HOLD_SECONDS = 0.2  # that a request waits before it is looked at again
HEAD_TOO_LARGE = (
    f"A request's headers may have {MAX_HEAD_BYTES // 1000} kB in {MAX_FIELDS} fields. Send less."
)
IN_PIECES = "A body in pieces (Transfer-Encoding) is not taken. Send its Content-Length."
_HEAD_END = re.compile(rb"\n\r?\n")  # as h11 finds it
_SENT_IN_PIECES = re.compile(rb"\ntransfer-encoding", re.IGNORECASE)
MAX_MESSAGE_BYTES = MAX_FRAME_BYTES + 1000  # a little more gets a sentence, the rest a close code
MAX_PARTS = 64  # of one message; a browser sends one
# In a second, by one WebSocket. A browser answers the server's ping every 20 s, and closes once.
MAX_CONTROLS = 10
MAX_MESSAGES = 200  # and their parts; the page sends up to 60
CLOSE_SECONDS = 1.0  # for the other end to close as well


class _TooCostlyError(Exception):
    """A head that takes long to be taken in: the status and the sentence of its refusal."""


class TimedProtocol(H11Protocol):
    """Uvicorn's protocol; a connection is closed if a request's headers do not come in time.

    One beyond its address's share is closed at once. A proxy's are not its own.
    """

    proxies = Proxies("")
    connections_by_address = OpenConnections(MAX_CONNECTIONS, MAX_PER_ADDRESS)
    heads_by_address = Counter(MAX_HEADS, 1.0)
    _holder: asyncio.TimerHandle | None = None
    _num_pieces = 0
    _timer: asyncio.TimerHandle | None = None
    _reader_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        # Here, as uvicorn goes on to the next request by itself where a body's end comes late.
        self._next_event, self.conn.next_event = self.conn.next_event, self._checked_event
        self._place = ExitStack()
        self._address = self.proxies.counted_peer((self.client or ("unknown", 0))[0])
        if self._address is not None:
            place = self.connections_by_address.one_more(self._address)
            if not self._place.enter_context(place):
                transport.abort()
                return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        if self._reader_timer is not None:
            self._reader_timer.cancel()
        if self._holder is not None:
            self._holder.cancel()
        self._place.close()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The answer waits for its reader, who has so much time."""
        super().pause_writing()
        self._reader_timer = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """It has been read."""
        super().resume_writing()
        self._reader_timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Take in what has come; a head in very many pieces is refused."""
        self._num_pieces += self.conn.their_state is IDLE
        if self._num_pieces > MAX_PIECES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LARGE)
            return
        super().data_received(data)

    def handle_events(self) -> None:
        """Wait no more if a request has come; refuse one that would take long to be taken in."""
        before = self.cycle
        try:
            super().handle_events()
        except _TooCostlyError as refusal:
            self._refuse(*refusal.args)
            return
        if self.cycle is not before:
            self._num_pieces = 0
            if not self.cycle.response_complete:
                self._stop()

    def _checked_event(self) -> Event | type[NEED_DATA] | type[PAUSED]:
        """What h11 makes next of what has come. Raises _TooCostlyError before it begins a head."""
        if self.conn.their_state is IDLE:
            read = self.conn.trailing_data[0]
            if refusal := _refusal_of(read):
                raise _TooCostlyError(*refusal)
            has_come = _HEAD_END.search(read, 0, MAX_HEAD_BYTES) is not None
            if has_come and self._address and not self.heads_by_address.take(self._address):
                self._hold()
                return PAUSED
        return self._next_event()

    def _hold(self) -> None:
        """Leave what has come as it is for a moment; uvicorn reads no more meanwhile."""
        if self._holder is None:
            self._holder = self.loop.call_later(HOLD_SECONDS, self._go_on)

    def _go_on(self) -> None:
        self._holder = None
        if not self.transport.is_closing():
            self.flow.resume_reading()
            self.handle_events()

    def handle_websocket_upgrade(self, event: Request) -> None:
        """Wait no more: another protocol takes over."""
        self._stop()
        self._place.close()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Wait for the next request; also the rest of a body that nobody reads counts for none."""
        self._wait()
        super().on_response_complete()

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        """Answer, and read no more; who still sends has a moment to see the answer."""
        body = body_of(sentence)
        headers = {"content-type": "application/json", "content-length": str(len(body))}
        headers["connection"] = "close"
        begin = Response(status_code=status, headers=[*headers.items()], reason=status.phrase)
        for event in (begin, Data(body), EndOfMessage()):
            self.transport.write(self.conn.send(event))
        self.transport.pause_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._wait(CLOSE_SECONDS)

    def _wait(self, seconds: float | None = None) -> None:
        self._stop()
        self._timer = self.loop.call_later(seconds or SECONDS, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _refusal_of(read: bytes) -> tuple[HTTPStatus, str] | None:
    """Why a request is not taken whose head these bytes begin with: status and sentence.

    None if it is taken, or nobody can know yet.
    """
    end = _HEAD_END.search(read, 0, MAX_HEAD_BYTES)
    if end is None:
        is_too_large = len(read) >= MAX_HEAD_BYTES
    else:
        is_too_large = read.count(b"\n", 0, end.start()) > MAX_FIELDS
    if is_too_large:
        return HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, HEAD_TOO_LARGE
    if end is not None and _SENT_IN_PIECES.search(read, 0, end.start()):
        return HTTPStatus.LENGTH_REQUIRED, IN_PIECES
    return None


class TooFast(ProtocolError):
    """More came by a WebSocket than it takes in a second."""


class BoundedSocket(WebSocketsSansIOProtocol):
    """Uvicorn's WebSocket, for small messages that are not compressed.

    A compressed one of a few kilobytes could be unpacked to the size of any limit, many at once.
    """

    def __init__(self, config: Config, *given: object, **named: object) -> None:
        config.ws_max_size, config.ws_per_message_deflate = MAX_MESSAGE_BYTES, False
        super().__init__(config, *given, **named)
        self.close_timeout = CLOSE_SECONDS
        self._controls, self._messages = Pace(MAX_CONTROLS, 1), Pace(MAX_MESSAGES, 1)
        self._take_in, self.conn.recv_frame = self.conn.recv_frame, self._counted

    def data_received(self, data: bytes) -> None:
        """Take in what came. What is not taken, or would only pile up, ends the connection."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            # An opening that the websockets library cannot read, which uvicorn leaves as it is.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
        is_refused = isinstance(self.conn.parser_exc, TooFast)
        if is_refused or len(self.frames) > MAX_PARTS:
            self.transport.abort()

    def _counted(self, frame: Frame) -> None:
        """Take in a frame of the protocol, while the next ones of the same read still wait.

        Raises TooFast for one too many: what came behind it is thrown away unread.
        """
        pace = self._controls if frame.opcode in CTRL_OPCODES else self._messages
        if not pace.take():
            raise TooFast("too many frames a second")
        self._take_in(frame)

    async def send(self, message: ASGISendEvent) -> None:
        """Send; a refusal completes the handshake as well, else uvicorn logs that nothing did."""
        await super().send(message)
        self.handshake_complete = self.handshake_complete or self.close_sent


def time_connections(proxies: Proxies) -> None:
    """Have each server that starts from now on treat its connections so."""
    TimedProtocol.proxies = proxies
    config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{TimedProtocol.__name__}"
    config.WS_PROTOCOLS["auto"] = f"{__name__}:{BoundedSocket.__name__}"
