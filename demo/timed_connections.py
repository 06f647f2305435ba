"""Connections on which no request comes are ended: uvicorn waits for its headers without end."""

from __future__ import annotations

import asyncio

from h11 import Request
from uvicorn import config
from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS = 15.0  # for a request's headers, from the first byte or the answer before them


class TimedProtocol(H11Protocol):
    """Uvicorn's protocol; a connection is closed if a request's headers do not come in time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
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


def time_connections() -> None:
    """Have each server that starts from now on treat its connections so."""
    config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{TimedProtocol.__name__}"
