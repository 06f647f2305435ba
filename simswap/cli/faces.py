"""`python -m simswap faces`: list the faces of a photo."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace

from simswap.cli import options
from simswap.cli.messages import count_faces, give
from simswap.types import Face


def add_options(parser: ArgumentParser) -> None:
    """The options of `faces`."""
    parser.add_argument("photo", metavar="PHOTO")
    options.add_json(parser)
    options.add_min_score(parser)
    options.add_model(parser)


def run(arguments: Namespace) -> int:
    """List the faces, largest first."""
    photo = options.read_photo(arguments.photo)
    height, width = photo.image.shape[:2]
    faces = options.load_swapper(arguments, for_one_photo=True).detect(
        photo.image, arguments.min_score
    )
    if arguments.json:
        listed = [_as_json(number, face) for number, face in enumerate(faces)]
        give(json.dumps({"width": width, "height": height, "faces": listed}))
        return 0
    give(f"{count_faces(len(faces))} in {width}x{height} pixels")
    for number, face in enumerate(faces):
        give(f"{number}: {_in_words(face)}")
    return 0


def _as_json(number: int, face: Face) -> dict[str, object]:
    return {
        "number": number,
        "box": [round(float(value), 1) for value in face.box],
        "landmarks": [[round(float(x), 1), round(float(y), 1)] for x, y in face.landmarks],
        "score": round(float(face.score), 4),
    }


def _in_words(face: Face) -> str:
    x0, y0, x1, y1 = face.box
    points = " ".join(f"({x:.0f},{y:.0f})" for x, y in face.landmarks)
    return (
        f"{x1 - x0:.0f}x{y1 - y0:.0f} px at ({x0:.0f},{y0:.0f}), "
        f"score {face.score:.2f}, eyes, nose and mouth corners {points}"
    )
