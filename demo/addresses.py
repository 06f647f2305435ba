"""Addresses in place of uploads: refused, whatever they point to.

Gradio would fetch them: of any length into memory, after asking a name server of others. What it
fetches is no file of this server's network, but this demo also tells visitors that it sends nothing
anywhere.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import gradio as gr
from fastapi import HTTPException, Request
from gradio import processing_utils, routes

REFUSAL = "Addresses are not fetched. Upload the file itself."
OWN_FILE = "/gradio_api/file="  # in the address that this server gives an upload


async def own_upload(url: str, cache_dir: str) -> str:
    """The path of an upload that its own address names, which readers of uploads then check.

    Raises gr.Error for any other address.
    """
    _, is_own, path = urlsplit(url).path.partition(OWN_FILE)
    if not is_own:
        raise gr.Error(REFUSAL, print_exception=False)
    return unquote(path)


async def refuse_to_relay(url: str, request: Request) -> None:
    """Answer 403: this server is nobody's proxy."""
    raise HTTPException(403, REFUSAL)


def refuse_addresses() -> None:
    """Take these for Gradio's own functions, for every component and route."""
    processing_utils.async_ssrf_protected_download = own_upload
    routes.secure_url_stream_response = refuse_to_relay
