"""Who asks: a visitor's address, by which requests, jobs and uploads are counted.

Behind a proxy every visitor comes from the proxy's address, and the proxy says in X-Forwarded-For
whose request it passes on. Anybody can write that header, so it is believed only if it comes from a
proxy that is named in SIMSWAP_TRUSTED_PROXIES, and only what such a proxy has added to its end.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from simswap.demo.settings import is_public
from simswap.errors import OptionError

if TYPE_CHECKING:
    from gradio.mcp import GradioMCPServer

SETTING = "SIMSWAP_TRUSTED_PROXIES"
# Where a Space's proxies are. They add the address that they saw, the visitor's first of all, so
# the last one that is not of these is the visitor's, whatever the visitor wrote before it.
ON_A_SPACE = (
    "10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.168.0.0/16,"
    "::1,fc00::/7,fe80::/10"
)
MAX_HOPS = 16
IPV6_PREFIX = 64  # bits: a household or a machine has all of the addresses that share them
KEY = "simswap.visitor"  # in a request's scope
MCP = re.compile(r"(/gradio_api)?/mcp/?")  # the path of calls by MCP
# Of what this server asks of itself: for whom it does, and that it does. Two names, as Gradio's
# client has its own headers take the place of those that it passes on.
HEADER, OWN_HEADER = "x-simswap-visitor", "x-simswap-own"
# Nothing here needs cookies, but Gradio has them read: in time by the square of their length,
# minutes for one of 200 kB, before Python 3.11.10 and 3.12.6.
UNREAD = (HEADER.encode(), OWN_HEADER.encode(), b"cookie")


@dataclass(frozen=True)
class Visitor:
    """Who sent a request.

    is_counted: False for what this server asks of itself to answer a request that was counted.
    """

    address: str
    is_counted: bool = True


class Proxies:
    """The proxies whose word for a visitor's address is taken."""

    def __init__(self, text: str | None = None) -> None:
        """text: addresses and networks, separated by commas; None takes the setting.

        Raises OptionError for what is neither.
        """
        if text is None:
            text = os.environ.get(SETTING) or (ON_A_SPACE if is_public() else "")
        entries = [entry.strip() for entry in text.split(",") if entry.strip()]
        try:
            self._networks = [ip_network(entry, strict=False) for entry in entries]
        except ValueError as error:
            raise OptionError(
                f"{SETTING} is {text!r}: {error}. Give addresses or networks, such as "
                "10.0.0.7,192.168.0.0/16."
            ) from error

    def visitor(self, peer: str, forwarded: list[str]) -> str:
        """The visitor's address.

        peer: who the connection comes from; forwarded: the X-Forwarded-For headers, in order.
        """
        known = _parsed(peer)
        if known is None:
            return peer
        hops = [hop for line in forwarded for hop in line.split(",")][-MAX_HOPS:]
        while hops and self._are_trusted(known):
            said = _parsed(hops.pop())
            if said is None:
                break
            known = said
        return _counted_as(known)

    def counted_peer(self, peer: str) -> str | None:
        """As whose the connections from an address count; None for a proxy's."""
        known = _parsed(peer)
        if known is None:
            return peer
        return None if self._are_trusted(known) else _counted_as(known)

    def _are_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)


class KnowVisitor:
    """ASGI middleware that writes into each request's scope who sent it, and takes cookies out.

    A part of a file is answered without what its request brought, or was given here.
    """

    def __init__(self, app: ASGIApp, proxies: Proxies | None = None) -> None:
        self._app = app
        self._proxies = proxies or Proxies()
        self._secret = secrets.token_urlsafe(24)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        sent = set()
        if scope["type"] != "lifespan":
            scope[KEY] = self._visitor(scope)
            others = [(name, value) for name, value in scope["headers"] if name not in UNREAD]
            scope["headers"] = others
            path = scope["path"].removeprefix(scope.get("root_path", ""))
            if MCP.fullmatch(path):  # its headers go with what this server then asks of itself
                word = f"{self._secret};{scope[KEY].address}"
                scope["headers"] = [*others, (HEADER.encode(), word.encode())]
            sent = set(scope["headers"])

        async def send_without(message: Message) -> None:
            if (
                message["type"] == "http.response.start"
                and message["status"] == HTTPStatus.PARTIAL_CONTENT
            ):
                # Gradio repeats the request's headers there, also those that proxies have added.
                message["headers"] = [each for each in message["headers"] if each not in sent]
            await send(message)

        await self._app(scope, receive, send_without)

    def identify(self, server: GradioMCPServer) -> None:
        """Let the client by which the MCP server calls this demo say that it is no visitor."""
        connect = server._get_or_create_client

        def connect_and_tell() -> object:
            client = connect()
            client.headers[OWN_HEADER] = self._secret
            return client

        server._get_or_create_client = connect_and_tell

    def _visitor(self, scope: Scope) -> Visitor:
        headers = Headers(scope=scope)
        peer = (scope.get("client") or ("unknown", 0))[0]
        secret, _, address = headers.get(HEADER, "").partition(";")
        if self._is_secret(secret):
            return Visitor(address or peer, is_counted=False)
        if self._is_secret(headers.get(OWN_HEADER, "")):
            return Visitor(peer, is_counted=False)
        return Visitor(self._proxies.visitor(peer, headers.getlist("x-forwarded-for")))

    def _is_secret(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._secret.encode())


def visitor_of(scope: Scope) -> Visitor:
    """Who sent a request that has passed KnowVisitor, or else the connection's other end."""
    return scope.get(KEY) or Visitor((scope.get("client") or ("unknown", 0))[0])


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """An address, which may be followed by a port; None if it is none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _counted_as(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv6Address) and not address.is_loopback:
        return str(IPv6Network((address, IPV6_PREFIX), strict=False))
    return str(address)
