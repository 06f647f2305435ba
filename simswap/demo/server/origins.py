"""Whether the page that asks is this demo's own: another web site may not use a visitor's browser.

Browsers tell the truth about that. Programs send neither header; they are nobody's browser.
"""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from simswap.demo.process.own_address import NAME, OWN_HOSTS
from simswap.demo.server import visitors

OWN_SITE = ("same-origin", "none")  # none: the visitor's own doing, such as a bookmark
ROOT_SETTING = "GRADIO_ROOT_PATH"
SHARE_SETTING = "GRADIO_SHARE"


def is_foreign_page(headers: Headers) -> bool:
    """Whether a page of another site sent a request."""
    if site := headers.get("sec-fetch-site"):
        return site not in OWN_SITE
    return "origin" in headers and not is_own_origin(headers)


def is_own_origin(headers: Headers) -> bool:
    """Whether a request names as its page's origin the very host that it asks.

    Behind a proxy that is X-Forwarded-Host, or where GRADIO_ROOT_PATH says that the demo is.
    """
    try:
        origin = urlsplit(headers.get("origin", ""))
        root = urlsplit(os.environ.get(ROOT_SETTING, "")).netloc
    except ValueError:
        return False
    host = headers.get("x-forwarded-host") or headers.get("host", "")
    return origin.scheme in ("http", "https") and origin.netloc in {host, root} - {""}


def is_foreign_host(headers: Headers) -> bool:
    """Whether a demo that serves its own machine only is asked for by another machine's name.

    Such a name, of a web site, can be made to mean this machine; then that site's pages would be
    the demo's own to a browser. Who lets others come has GRADIO_SERVER_NAME, GRADIO_ROOT_PATH,
    SIMSWAP_TRUSTED_PROXIES or GRADIO_SHARE say so.
    """
    listens_for_others = os.environ.get(NAME, "").strip("[]") not in ("", *OWN_HOSTS)
    settings = os.environ.get(visitors.SETTING) or os.environ.get(SHARE_SETTING)
    if listens_for_others or settings or visitors.is_public() or "host" not in headers:
        return False
    try:
        name = urlsplit(f"//{headers['host']}").hostname
        root = urlsplit(os.environ.get(ROOT_SETTING, "")).hostname
    except ValueError:
        return True
    return name not in (*OWN_HOSTS, root)
