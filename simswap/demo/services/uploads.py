"""Files that visitors send: only what was uploaded is read, whatever path a request names."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
from gradio.data_classes import ListFiles
from PIL import Image

from simswap.demo.services.cancelling import stop_if_cancelled
from simswap.errors import MediaError
from simswap.media.photos import Photo, read_photo
from simswap.provenance.metadata import synthetic_xmp

RESULT = "-simswap"  # the end of a result's name, before its suffix
MAX_STEM = 50  # characters, of up to four bytes each
MAX_NAME = 255  # bytes that file systems take
MAX_PATH = 1024  # characters of an upload's path, which has some 150; see `resolved`

# Of the call at work: the folders that it has made.
_made: ContextVar[list[Path] | None] = ContextVar("made", default=None)


class OneOrMoreFiles(ListFiles):
    """One file, or a list of files."""

    @classmethod
    def model_json_schema(cls, *given: Any, **named: Any) -> dict[str, Any]:
        """Its type; all in one piece, where pydantic's refers to definitions by their place.

        That is another one where a tool of MCP has this as one of its arguments.
        """
        schema = super().model_json_schema(*given, **named)
        parts = schema.pop("$defs")
        schema["items"] = parts["FileData"]
        schema["items"]["properties"]["meta"] = parts["FileDataMeta"]
        return schema


def upload_folder() -> Path:
    """Where Gradio keeps uploads and results, until they are old; see process.retention."""
    folder = Path(gr.utils.get_upload_folder()).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def new_folder() -> Path:
    """A new folder among the uploads, for what a call makes."""
    folder = Path(tempfile.mkdtemp(dir=upload_folder()))
    if (made := _made.get()) is not None:
        made.append(folder)
    return folder


def bytes_below(folder: Path) -> int:
    """How many all files in a folder have, and in those within."""
    num_bytes = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # deleted meanwhile
                num_bytes += os.lstat(os.path.join(place, name)).st_size
    return num_bytes


def result_name(target: Path | None, suffix: str) -> str:
    """What a result is called: as its target, and as what it is."""
    stem = "snapshot" if target is None else target.stem.removesuffix(RESULT)
    return f"{stem[:MAX_STEM]}{RESULT}{suffix}"


@contextmanager
def new_folders() -> Iterator[list[Path]]:
    """The folders that the call in this block makes; removed if it fails, with all in them."""
    made: list[Path] = []
    before = _made.set(made)
    try:
        yield made
    except BaseException:
        for folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    finally:
        _made.reset(before)


def uploaded_file(path: str | None) -> Path:
    """A file that was uploaded to this server.

    Raises MediaError if there is none, or the path lies elsewhere: some of Gradio's components
    hand on a path that a hand-made request names, and it could be any file of the server.
    """
    if path is None:
        raise MediaError("No file was given. Add one.")
    try:
        real = resolved(path)
        is_here = real.is_relative_to(upload_folder().resolve())
        is_file = is_here and real.is_file()
    except (OSError, ValueError):  # no path at all: too long, or with a null character
        is_here = is_file = False
    if not is_here:
        raise MediaError("That file was not uploaded to this server. Upload the file itself.")
    if not is_file:
        raise MediaError("That file is not on this server any more. Upload it again.")
    return Path(path)


def resolved(path: str | Path, *, strict: bool = False) -> Path:
    """What a path that a request names leads to, without links; strict: it is there.

    Raises OSError or ValueError for what is no path, as one with `..`, a long one, and one that
    does not begin with the upload folder's own: Python takes time for links and, before 3.13, by
    the square of a path's length, in which nobody is answered.
    """
    if len(str(path)) > MAX_PATH or ".." in Path(path).parts:
        raise ValueError(f"a path of more than {MAX_PATH} characters, or with ..")
    folder = upload_folder()
    if not any(Path(path).is_relative_to(one) for one in (folder, folder.resolve())):
        raise ValueError("a path outside of the upload folder")
    return Path(path).resolve(strict=strict)


def read_upload(path: str | None) -> Photo:
    """Read a photo that was uploaded to this server; raises MediaError as `uploaded_file` does.

    Raises CancelledError if the call at work is cancelled.
    """
    stop_if_cancelled()
    return read_photo(uploaded_file(path))


def shrunk(photo: Photo, most_pixels: int) -> Photo:
    """The photo, made smaller if it has more pixels."""
    height, width = photo.image.shape[:2]
    scale = (most_pixels / (height * width)) ** 0.5
    if scale >= 1:
        return photo
    size = int(width * scale), int(height * scale)
    image = cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA)
    alpha = photo.alpha
    if alpha is not None:
        alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)
    return replace(photo, image=image, alpha=alpha)


def write_shown(path: Path, image: np.ndarray, model: str | None = None) -> str:
    """Write a picture that the page shows, [H, W, 3] uint8 RGB, as a JPEG; returns its path.

    model: which swapped faces in it, for the metadata label; None where none was swapped.
    """
    label = synthetic_xmp(model) if model is not None else b""
    Image.fromarray(image).save(path, "JPEG", quality=90, xmp=label)
    return str(path)
