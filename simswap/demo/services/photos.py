"""What the demo does with a visitor's photos; the page and the endpoints share these functions.

Models go by their names: what runs on a lent GPU is sent to another process, and they are not.
That process passes on no error but Gradio's own, so what runs there makes its errors readable.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import spaces  # before torch, which it prepares for such a GPU
import torch

from simswap import Face, OptionError, SigningError, SwapOptions, SwapResult
from simswap.demo import models
from simswap.demo.calls.failures import readable_errors, thrifty
from simswap.demo.choices import Choices
from simswap.demo.services.cancelling import is_cancelled, stop_if_cancelled
from simswap.demo.services.uploads import new_folder, read_upload, uploaded_file
from simswap.demo.services.video_limits import LOOK_SECONDS, VERIFY_LIMITS
from simswap.media.decoding import MIN_SIDE
from simswap.media.photos import Photo, write_photo
from simswap.provenance.signing import default_signer
from simswap.verify.report import Report, look_for_pixel_mark, verify

clock = time.monotonic
logger = logging.getLogger(__name__)

MAX_SOURCES = 8  # photos, all of them in memory at once, each of up to:
SOURCE_PIXELS = 6_000_000  # an identity is read from far fewer
SUFFIXES = {"png": ".png", "jpeg": ".jpg"}


@spaces.GPU(duration=15)
@readable_errors()
def find_faces(image: np.ndarray, min_score: float, model: str | None) -> list[Face]:
    """Faces of a photo ([H, W, 3] uint8 RGB) as a model's detector sees them, largest first."""
    stop_if_cancelled()
    return models.by_name(model).detect(image, min_score)


def gpu_seconds(
    sources: list[np.ndarray], target: np.ndarray, options: SwapOptions, model: str
) -> int:
    """For how long a lent GPU is asked for: a large photo takes longer, and so does each source."""
    megapixels = sum(image.shape[0] * image.shape[1] for image in (*sources, target)) / 1e6
    return min(10 + 2 * len(sources) + round(megapixels / 2), 60)


@spaces.GPU(duration=gpu_seconds)
@readable_errors()
def swap_faces(
    sources: list[np.ndarray], target: np.ndarray, options: SwapOptions, model: str
) -> tuple[SwapResult, dict[str, object]]:
    """Swap in a photo; all images [H, W, 3] uint8 RGB. Returns the result and its summary."""
    started = time.perf_counter()
    swapper = models.by_name(model)
    identity = swapper.identity_of(sources)
    stop_if_cancelled()
    result = swapper.swap_image(target, identity, options)
    summary = {
        "num_faces": len(result.faces),
        "swapped": list(result.swapped),
        "seconds": round(time.perf_counter() - started, 3),
        "notices": [*identity.notices, *result.notices],
    }
    return result, summary


def swap_uploads(
    sources: list[str], target: str | None, choices: Choices
) -> tuple[str, dict[str, object]]:
    """Swap in uploaded files. Returns the path of the marked result, and a summary."""
    path, summary, _ = swap_and_locate(sources, target, choices)
    return path, summary


@thrifty
def swap_and_locate(
    sources: list[str], target: str | None, choices: Choices, source_face: int | None = None
) -> tuple[str, dict[str, object], list[list[float]]]:
    """As `swap_uploads`, and the boxes of the swapped faces (xyxy, shares of width and height).

    source_face: which one of the first source photo is meant, numbered as detection does it; None
    is the largest.
    """
    model = models.by_name(choices.model).name
    options, suffix = choices.swap_options(), suffix_of(choices.format)
    photos = read_sources(sources)
    if target is None:
        raise OptionError("There is no target photo yet. Add the photo to put the face into.")
    target_photo = read_upload(target)
    images = [photo.image for photo in photos]
    if source_face is not None:
        images[0] = _without_others(images[0], source_face, model)
    stop_if_cancelled()
    result, summary = swap_faces(images, target_photo.image, options, model)
    del images
    target_photo = replace(target_photo, image=result.image)  # lets go of the photo's own pixels
    read_notices = [notice for photo in (*photos, target_photo) for notice in photo.notices]
    path, written = write_result(result.image, target_photo, suffix, model)
    summary["notices"] = [*read_notices, *summary["notices"], *written]
    return path, summary, _shares(result)


def _without_others(image: np.ndarray, number: int, model: str) -> np.ndarray:
    """A photo ([H, W, 3] uint8 RGB) of which one face is left, by its number."""
    faces = find_faces(image, SwapOptions().min_score, model)
    if not 0 <= number < len(faces):
        raise OptionError(
            f"There is no face number {number}: the source photo shows {len(faces)}. Choose again."
        )
    painted = image.copy()
    for face in faces:
        painted[_inside(face, image)] = 0
    kept = _inside(faces[number], image)
    painted[kept] = image[kept]
    return painted


def _inside(face: Face, image: np.ndarray) -> tuple[slice, slice]:
    """The part of a photo that is a face's box."""
    x0, y0, x1, y1 = np.maximum(face.box, 0).astype(int)
    return slice(y0, y1 + 1), slice(x0, x1 + 1)


def _shares(result: SwapResult) -> list[list[float]]:
    height, width = result.image.shape[:2]
    boxes = [result.faces[number].box for number in result.swapped]
    return [(box / (width, height, width, height)).round(4).tolist() for box in boxes]


def read_sources(paths: list[str]) -> list[Photo]:
    """Read the uploaded photos of the person to put in; large ones are shrunk one by one."""
    if not paths:
        raise OptionError("There is no source photo yet. Add one of the person to put in.")
    if len(paths) > MAX_SOURCES:
        raise OptionError(f"{len(paths)} source photos are too many. Use up to {MAX_SOURCES}.")
    return [_read_source(path) for path in paths]


def _read_source(path: str) -> Photo:
    photo = read_upload(path)
    height, width = photo.image.shape[:2]
    scale = (SOURCE_PIXELS / (height * width)) ** 0.5
    if scale >= 1:
        return photo
    size = (max(round(width * scale), MIN_SIDE), max(round(height * scale), MIN_SIDE))
    image = cv2.resize(photo.image, size, interpolation=cv2.INTER_AREA)
    return Photo(image, notices=photo.notices, path=photo.path)


@thrifty
def convert_result(path: str, format: str, model: str) -> str:
    """Write a result that a model made once more, as `format`; returns the new path."""
    result = read_upload(path)
    path, _ = write_result(result.image, result, suffix_of(format), model)
    return path


def write_result(
    image: np.ndarray, like: Photo, suffix: str, model: str | None
) -> tuple[str, tuple[str, ...]]:
    """Write a photo that a model made, marked and signed, to where it is deleted in time.

    model: None for a photo in which no face was swapped, which gets neither mark nor signature.

    Returns its path, and notices.
    """
    stop_if_cancelled()
    path = new_folder() / f"simswap{suffix}"
    notices = write_photo(path, image, like=like, model=model)
    return str(path), notices


@thrifty
def verify_upload(path: str | None) -> Report:
    """What an uploaded photo's or video's signature and marks say."""
    file = uploaded_file(path)
    stop_if_cancelled()
    return look_at_pixels(verify(file, VERIFY_LIMITS), file)


@spaces.GPU(duration=60)
@readable_errors()
def look_at_pixels(report: Report, file: Path) -> Report:
    """The report with what the pixels of an uploaded file say."""
    deadline = clock() + LOOK_SECONDS
    return look_for_pixel_mark(
        report,
        file,
        models.by_name(None),
        models.names(),
        VERIFY_LIMITS,
        is_over=lambda: is_cancelled() or clock() > deadline,
    )


def signing() -> str:
    """Who signs results, for the visitor; the operator's log has it too if nobody can."""
    try:
        signer = default_signer()
    except SigningError as error:
        logger.warning("Results are not signed. %s", error)
        return f"Results are not signed: {error}"
    if signer.is_self_made:
        return (
            "Results are signed (Content Credentials) with this installation's own certificate: "
            "other programs will call the signer unknown."
        )
    return "Results are signed (Content Credentials) with the operator's certificate."


def machine() -> str:
    """What swaps run on, for the visitor."""
    device = models.by_name(None).device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def suffix_of(format: str) -> str:
    """Of a photo's file. Raises OptionError for a format that is not written."""
    if format not in SUFFIXES:
        raise OptionError(f"format={format!r} is not known. Use 'png' or 'jpeg'.")
    return SUFFIXES[format]
