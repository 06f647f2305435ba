"""Files that a request names: only uploads of this run get as far as Gradio.

Gradio deletes, when they are old, the files that calls have named; it copies others into its own
folder and hands them out; and it would fetch addresses. So what a call names is checked before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import gradio as gr
from fastapi import HTTPException, Request
from gradio import processing_utils, routes

from simswap.demo.services.uploads import MAX_PATH, resolved, upload_folder

FETCHED = "Addresses are not fetched. Upload the file itself."
NOT_AN_UPLOAD = (
    "That file was not uploaded to this server, or has been deleted since. Upload the file itself."
)
TOO_DEEP = "The arguments are nested too deeply. Check them against the page's API link."
OWN_FILE = "/gradio_api/file="  # in the address that this server gives an upload
SCHEMES = ("http://", "https://")
MAX_ADDRESS = 4 * MAX_PATH  # characters; each of a path's may be written as three
# Of one call; each takes some 0.2 ms in which nobody is answered. The page sends those of its
# gallery, up to 64, once more with whose they are, and a target.
MAX_FILES = 150
TOO_MANY = f"The call names more than {MAX_FILES} files. Give fewer at a time."
MAX_DEPTH = 32  # lists and objects within each other; the page sends 5


def check_number(value: object) -> None:
    """Raise gr.Error if a JSON value names more files (objects with a "path") than a call may."""
    if sum(isinstance(part, dict) and "path" in part for part in parts_of(value)) > MAX_FILES:
        raise gr.Error(TOO_MANY, print_exception=False)


def parts_of(value: object) -> Iterator[object]:
    """All that a JSON value holds, at any depth, and itself; tuples count as lists."""
    parts = [value]
    while parts:
        yield (part := parts.pop())
        if isinstance(part, dict):
            parts += part.values()
        elif isinstance(part, list | tuple):
            parts += part


def checked(value: object, depth: int = 0) -> object:
    """The same JSON value, with the paths of its files (objects with a "path") checked.

    An upload's own address becomes its path. Raises gr.Error, with a sentence, for any other
    address and for a path that is no upload of this run.
    """
    if depth > MAX_DEPTH:
        raise gr.Error(TOO_DEEP, print_exception=False)
    if isinstance(value, dict):
        copy = {key: checked(item, depth + 1) for key, item in value.items()}
        if isinstance(copy.get("path"), str):
            copy |= {"path": upload_named(copy["path"]), "url": None, "is_stream": False}
        return copy
    if isinstance(value, list):
        return [checked(item, depth + 1) for item in value]
    return value


def upload_named(name: str) -> str:
    """The path of the upload that a path or this server's own address of it names.

    Raises gr.Error for anything else.
    """
    if len(name) > MAX_ADDRESS:
        raise gr.Error(NOT_AN_UPLOAD, print_exception=False)
    if name.startswith(SCHEMES):
        name = _path_in_own_address(name)
    path = path_of_upload(name)
    if path is None:
        raise gr.Error(NOT_AN_UPLOAD, print_exception=False)
    return str(path)


def path_of_upload(name: str) -> Path | None:
    """The file that a path names if it is an upload or a result of this run, else None.

    Those lie in folders of the upload folder. What lies in it directly is not meant: files that
    are only half there, and the lock that keeps the folder (see retention).
    """
    folder = upload_folder()
    try:
        path = resolved(name, strict=True)
        inside = path.relative_to(folder.resolve())
        is_upload = len(inside.parts) > 1 and path.is_file()
    except (OSError, ValueError, RuntimeError):  # not there, elsewhere, no path at all
        return None
    return folder / inside if is_upload else None


def _path_in_own_address(address: str) -> str:
    # Not by urllib, which normalizes a host's name, in time by the square of its accents.
    _, is_own, path = re.split(r"[?#]", address, maxsplit=1)[0].partition(OWN_FILE)
    if not is_own:
        raise gr.Error(FETCHED, print_exception=False)
    return unquote(path)


async def refuse_to_fetch(url: str, cache_dir: str) -> str:
    """Raise gr.Error: what is fetched for a visitor has been uploaded, and needs no address."""
    raise gr.Error(FETCHED, print_exception=False)


async def refuse_to_relay(url: str, request: Request) -> None:
    """Answer 403: this server is nobody's proxy."""
    raise HTTPException(403, FETCHED)


def refuse_addresses() -> None:
    """Take these for Gradio's own functions, for every component and route."""
    processing_utils.async_ssrf_protected_download = refuse_to_fetch
    routes.secure_url_stream_response = refuse_to_relay
