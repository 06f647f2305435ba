"""Files that visitors send: only what was uploaded is read, whatever path a request names."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
from gradio.data_classes import ListFiles
from pydantic import model_validator

from simswap.errors import MediaError
from simswap.media import Photo, read_photo


class OneOrMoreFiles(ListFiles):
    """One file, or a list of files."""

    @model_validator(mode="before")
    @classmethod
    def _wrap(cls, payload: object) -> object:
        return [payload] if isinstance(payload, dict) else payload


def upload_folder() -> Path:
    """Where Gradio keeps uploads and results, until its delete_cache removes them."""
    folder = Path(gr.utils.get_upload_folder()).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def uploaded_file(path: str | None) -> Path:
    """A file that was uploaded to this server.

    Raises MediaError if there is none, or the path lies elsewhere: some of Gradio's components
    hand on a path that a hand-made request names, and it could be any file of the server.
    """
    if path is None:
        raise MediaError("No file was given. Add one.")
    if not Path(path).resolve().is_relative_to(upload_folder().resolve()):
        raise MediaError("That file was not uploaded to this server. Upload the file itself.")
    return Path(path)


def read_upload(path: str | None) -> Photo:
    """Read a photo that was uploaded to this server; raises MediaError as `uploaded_file` does."""
    return read_photo(uploaded_file(path))
