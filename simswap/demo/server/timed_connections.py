"""Each address has so many connections; those end on which no request comes.

So do those on which more comes by a WebSocket than frames need.

By itself uvicorn waits for a request's headers without end, and unpacks messages of 16 MB.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

from h11 import Request
from uvicorn import config
from uvicorn._types import ASGISendEvent
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import ProtocolError
from websockets.frames import CTRL_OPCODES, Frame

from simswap.demo.pace import Pace
from simswap.demo.server.open_connections import MAX_REQUESTS_PER_ADDRESS, OpenConnections
from simswap.demo.server.visitors import Proxies
from simswap.demo.services.live_sessions import MAX_FRAME_BYTES

# Systems often allow a process 1,024 in all. An address may have 64 beside those at work.
MAX_CONNECTIONS, MAX_PER_ADDRESS = 900, MAX_REQUESTS_PER_ADDRESS + 64
SECONDS = 15.0  # for a request's headers, from the first byte or the answer before them
MAX_MESSAGE_BYTES = MAX_FRAME_BYTES + 1000  # a little more gets a sentence, the rest a close code
MAX_PARTS = 64  # of one message; a browser sends one
# In a second, by one WebSocket. A browser answers the server's ping every 20 s, and closes once.
MAX_CONTROLS = 10
MAX_MESSAGES = 200  # and their parts; the page sends up to 60
CLOSE_SECONDS = 1.0  # for the other end to close as well


class TimedProtocol(H11Protocol):
    """Uvicorn's protocol; a connection is closed if a request's headers do not come in time.

    One beyond its address's share is closed at once. A proxy's are not its own.
    """

    proxies = Proxies("")
    connections_by_address = OpenConnections(MAX_CONNECTIONS, MAX_PER_ADDRESS)
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._place = ExitStack()
        address = self.proxies.counted_peer((self.client or ("unknown", 0))[0])
        if address is not None:
            place = self.connections_by_address.one_more(address)
            if not self._place.enter_context(place):
                transport.abort()
                return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        self._place.close()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Wait no more if a request has come."""
        before = self.cycle
        super().handle_events()
        if self.cycle is not before and not self.cycle.response_complete:
            self._stop()

    def handle_websocket_upgrade(self, event: Request) -> None:
        """Wait no more: another protocol takes over."""
        self._stop()
        self._place.close()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Wait for the next request; also the rest of a body that nobody reads counts for none."""
        self._wait()
        super().on_response_complete()

    def _wait(self) -> None:
        self._stop()
        self._timer = self.loop.call_later(SECONDS, self.transport.close)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


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
