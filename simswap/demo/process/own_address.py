"""Where the demo listens, and how it reaches itself, as it does when it starts and for MCP."""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import socket
from collections.abc import Mapping

from simswap import OptionError

logger = logging.getLogger(__name__)

PORT, NAME = "GRADIO_SERVER_PORT", "GRADIO_SERVER_NAME"
LOCALHOST = "127.0.0.1"
OWN_HOSTS = ("localhost", "127.0.0.1", "::1")
ANY_HOST = ("", "0.0.0.0", "::", "[::]")  # listens everywhere, and is reached by localhost
NO_PROXY = ("NO_PROXY", "no_proxy")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
HTTP_SCHEMES, SOCKS_SCHEMES = ("http", "https"), ("socks5", "socks5h")


def free_port(environment: Mapping[str, str] = os.environ) -> int | None:
    """The port that GRADIO_SERVER_PORT names; None if it names none, and any free one will do.

    Raises OptionError if it is not a port's number, or if the demo could not listen there.
    """
    host = environment.get(NAME, "").strip("[]") or LOCALHOST
    text = environment.get(PORT) or "0"  # to the system, any
    if not text.isascii() or not text.isdecimal() or int(text[:9]) > 65535:
        raise OptionError(f"{PORT} is {text[:40]!r}; give a port's number, 1 to 65535.")
    port = int(text)
    try:
        for each in dict.fromkeys([LOCALHOST, host]):  # Gradio wants both
            _try_to_listen(each, port)
    except OSError as error:
        reason = error.strerror or "it is no address"
        if port and error.errno in (errno.EADDRINUSE, errno.EACCES):
            raise OptionError(
                f"Port {port} ({PORT}) cannot be had: {reason}. Free it, or name another."
            ) from error
        raise OptionError(
            f"The demo cannot listen at {host[:100]!r} ({NAME}): {reason}. Name an address of "
            "this machine."
        ) from error
    return port or None


def _try_to_listen(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)


def variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Environment by which no proxy is asked for this machine's own addresses.

    A proxy of a kind that the HTTP client here does not know, which would keep it from every
    address, is left out and logged.
    """
    changes = {}
    host = environment.get(NAME, "").strip("[]")
    own = [*OWN_HOSTS, *([host] if host not in (*ANY_HOST, *OWN_HOSTS) else [])]
    for name in NO_PROXY:
        listed = [entry.strip() for entry in environment.get(name, "").split(",") if entry.strip()]
        if "*" not in listed:
            changes[name] = ",".join([*listed, *(each for each in own if each not in listed)])
    known = HTTP_SCHEMES
    if importlib.util.find_spec("socksio") is not None:
        known += SOCKS_SCHEMES
    for name in (*PROXIES, *map(str.lower, PROXIES)):
        scheme, separator, _ = environment.get(name, "").partition("://")
        if separator and scheme.lower() not in known:
            changes[name] = ""
            logger.warning("%s is left out: %s proxies are not known here.", name, scheme[:20])
    return changes
