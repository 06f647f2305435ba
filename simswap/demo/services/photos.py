"""What the demo does with a visitor's photos; the page and the endpoints share these functions.

Models go by their names: what runs on a lent GPU is sent to another process, and they are not.
That process passes on no error but Gradio's own, so what runs there makes its errors readable.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import spaces  # before torch, which it prepares for such a GPU

from simswap import (
    Assignment,
    Face,
    FaceSwapper,
    Identity,
    OptionError,
    SwapOptions,
    SwapResult,
)
from simswap.demo import models
from simswap.demo.calls.failures import readable_errors
from simswap.demo.choices import Choices
from simswap.demo.services import nsfw
from simswap.demo.services.allowances import SWAPS, in_lane
from simswap.demo.services.cancelling import stop_if_cancelled
from simswap.demo.services.uploads import new_folder, read_upload, result_name, shrunk
from simswap.media.photos import Photo, write_photo
from simswap.swap.selection import choose_faces
from simswap.types import Source

MAX_SOURCES = 8  # photos, all of them in memory at once, each of up to:
SOURCE_PIXELS = 1_500_000  # an identity is read from far fewer
TARGET_BYTES = 120_000_000  # of pixels; a result of more would take too much memory to be signed
SUFFIXES = {"png": ".png", "jpeg": ".jpg"}

Who = dict[int, int] | None


@dataclass(frozen=True)
class Person:
    """Who is put in: paths of their uploaded photos.

    face: which one of a single photo is meant, numbered as detection does it; None is the largest.
    """

    photos: list[str]
    face: int | None = None


@dataclass(frozen=True, eq=False)
class Role:
    """Who resembles `reference` ([512] unit norm) gets the one at this place among those put in."""

    reference: np.ndarray
    place: int


Roles = Sequence[Role] | None  # None: everybody gets the first


@spaces.GPU(duration=15)
@readable_errors()
def find_faces(image: np.ndarray, min_score: float, model: str | None) -> list[Face]:
    """Faces of a photo ([H, W, 3] uint8 RGB) as a model's detector sees them, largest first."""
    stop_if_cancelled()
    return models.by_name(model).detect(image, min_score)


def left_to_right(faces: Sequence[Face]) -> list[int]:
    """Numbers of a photo's faces, in the order in which people read."""
    return sorted(range(len(faces)), key=lambda number: float(faces[number].box[[0, 2]].sum()))


def gpu_seconds(
    people: list[list[np.ndarray]], target: np.ndarray, options: SwapOptions, model: str, who: Who
) -> int:
    """For how long a lent GPU is asked for: a large photo takes longer, and so does each source."""
    sources = [image for images in people for image in images]
    megapixels = sum(image.shape[0] * image.shape[1] for image in (*sources, target)) / 1e6
    return min(10 + 2 * len(sources) + round(megapixels / 2), 60)


@spaces.GPU(duration=gpu_seconds)
@readable_errors()
def swap_faces(
    people: list[list[np.ndarray]], target: np.ndarray, options: SwapOptions, model: str, who: Who
) -> tuple[SwapResult, dict[str, object]]:
    """Swap in a photo; all images [H, W, 3] uint8 RGB. Returns the result and its summary.

    people: the photos of each. who: see `swap_and_locate`.
    """
    started = time.perf_counter()
    swapper = models.by_name(model)
    identities = [swapper.identity_of(images) for images in people]
    source = identities[0]
    if len(identities) > 1:
        source = _assigned(swapper, target, identities, options, who) or source
    stop_if_cancelled()
    result = swapper.swap_image(target, source, options)
    summary = {
        "num_faces": len(result.faces),
        "swapped": list(result.swapped),
        "seconds": round(time.perf_counter() - started, 3),
        "notices": [*notices_of(identities), *result.notices],
    }
    return result, summary


def source_of(
    swapper: FaceSwapper, people: list[list[np.ndarray]], roles: Roles
) -> tuple[Source, list[str]]:
    """Who gets whom, and notices. people: the photos of each, [H, W, 3] uint8 RGB."""
    identities = [swapper.identity_of(images) for images in people]
    notices = notices_of(identities)
    if roles is None:
        return identities[0], notices
    given = [Assignment(identities[role.place], Identity(role.reference)) for role in roles]
    return given, notices


def notices_of(identities: Sequence[Identity]) -> list[str]:
    """What is to be said of the photos of those who are put in."""
    return [
        f"Person {number}: {notice}" if len(identities) > 1 else notice
        for number, identity in enumerate(identities, start=1)
        for notice in identity.notices
    ]


def _assigned(
    swapper: FaceSwapper,
    target: np.ndarray,
    identities: list[Identity],
    options: SwapOptions,
    who: Who,
) -> list[Assignment]:
    """Whom each chosen face of a photo gets, which is its own reference; empty if there is none."""
    faces = swapper.detect(target, options.min_score)
    numbers = choose_faces(faces, options)
    if not numbers:
        return []
    if who is None:
        who = {number: i % len(identities) for i, number in enumerate(left_to_right(faces))}
    own = swapper.embed(target, [faces[number] for number in numbers])
    return [
        Assignment(identities[who.get(number, 0)], Identity(embedding))
        for number, embedding in zip(numbers, own, strict=True)
    ]


def swap_uploads(
    sources: list[str], target: str | None, choices: Choices
) -> tuple[str, dict[str, object]]:
    """Swap in uploaded files. Returns the path of the marked result, and a summary."""
    path, summary, _ = swap_and_locate([Person(sources)], target, choices)
    return path, summary


@in_lane(SWAPS)
def swap_and_locate(
    people: list[Person], target: str | None, choices: Choices, who: Who = None
) -> tuple[str, dict[str, object], list[list[float]]]:
    """As `swap_uploads`, and the boxes of the swapped faces (xyxy, shares of width and height).

    who: by the number of a face, the place in `people` of whom it gets, if there are several; None
    takes them in turn, from left to right.
    """
    model = models.by_name(choices.model).name
    options, suffix = choices.swap_options(), suffix_of(choices.format)
    read = read_people(people, model)
    if target is None:
        raise OptionError("There is no target photo yet. Add the photo to put the face into.")
    target_photo = _read_target(target)
    nsfw.check(target_photo.image, "The target photo")
    photos = [photo for of_one in read for photo in of_one]
    images = images_of(read)
    del read
    stop_if_cancelled()
    result, summary = swap_faces(images, target_photo.image, options, model, who)
    del images
    target_photo = replace(target_photo, image=result.image)  # lets go of the photo's own pixels
    read_notices = [notice for photo in (*photos, target_photo) for notice in photo.notices]
    path, written = write_result(result.image, target_photo, suffix, model)
    summary["notices"] = [*read_notices, *summary["notices"], *written]
    return path, summary, _shares(result)


def _read_target(path: str) -> Photo:
    photo = read_upload(path)
    smaller = shrunk(photo, TARGET_BYTES // (3 if photo.alpha is None else 4))
    if smaller is photo:
        return photo
    old, new = ("{1}x{0}".format(*one.image.shape) for one in (photo, smaller))
    notice = f"The target photo, {old} pixels, was made smaller for this server: {new}."
    return replace(smaller, notices=(*photo.notices, notice))


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
    in_order = [number for number in left_to_right(result.faces) if number in result.swapped]
    boxes = [result.faces[number].box for number in in_order]
    return [(box / (width, height, width, height)).round(4).tolist() for box in boxes]


def read_people(people: Sequence[Person], model: str) -> list[list[Photo]]:
    """Read the photos of each, if they are not too many."""
    check_number([photo for person in people for photo in person.photos])
    return [read_person(person, model) for person in people]


def images_of(people: list[list[Photo]]) -> list[list[np.ndarray]]:
    """The pictures of each one's photos, [H, W, 3] uint8 RGB."""
    return [[photo.image for photo in photos] for photos in people]


def read_person(person: Person, model: str) -> list[Photo]:
    """Read a person's photos, with no other face than theirs where one was picked."""
    photos = read_sources(person.photos)
    if person.face is not None:
        image = _without_others(photos[0].image, person.face, model)
        photos[0] = replace(photos[0], image=image)
    return photos


def read_sources(paths: list[str]) -> list[Photo]:
    """Read the uploaded photos of the person to put in; large ones are shrunk one by one.

    What is named several times is read once.
    """
    if not paths:
        raise OptionError("There is no source photo yet. Add one of the person to put in.")
    check_number(paths)
    read: dict[str, Photo] = {}
    for number, path in enumerate(paths, start=1):
        if path not in read:
            read[path] = shrunk(replace(read_upload(path), alpha=None), SOURCE_PIXELS)
            name = f"Source photo {number}" if paths[1:] else "The source photo"
            nsfw.check(read[path].image, name)
    return [read[path] for path in paths]


def check_number(paths: list[str]) -> None:
    """Raise OptionError for more source photos than are read at once, of however many people."""
    if len(paths) > MAX_SOURCES:
        raise OptionError(f"{len(paths)} source photos are too many. Use up to {MAX_SOURCES}.")


@in_lane(SWAPS)
def convert_result(path: str, format: str, model: str) -> str:
    """Write a result that a model made once more, as `format`; returns the new path."""
    result = read_upload(path)
    path, _ = write_result(result.image, result, suffix_of(format), model)
    return path


def write_result(
    image: np.ndarray, like: Photo, suffix: str, model: str | None
) -> tuple[str, tuple[str, ...]]:
    """Write a photo that a model made, marked and signed, to where it is deleted in time.

    model: None for a photo in which no face was swapped, which gets neither label nor signature.
    Returns its path, and notices.
    """
    stop_if_cancelled()
    path = new_folder() / result_name(like.path, suffix)
    notices = write_photo(path, image, like=like, model=model)
    return str(path), notices


def suffix_of(format: str) -> str:
    """Of a photo's file. Raises OptionError for a format that is not written."""
    if format not in SUFFIXES:
        raise OptionError(f"format={format!r} is not known. Use 'png' or 'jpeg'.")
    return SUFFIXES[format]
