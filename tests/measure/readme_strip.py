"""Draws the README's picture anew: `python tests/measure/readme_strip.py assets/strip.jpg`."""

import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from simswap import Face, FaceSwapper
from simswap.media import read_photo, write_photo

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
SIDE, GAP = 300, 8  # px of a tile, and between two
SURROUNDINGS = 1.9  # times a face's side


def around_face(photo: np.ndarray, face: Face) -> np.ndarray:
    """The square around a face of a photo ([H, W, 3]): [SIDE, SIDE, 3]."""
    side = min(round(SURROUNDINGS * float(np.sqrt(face.area))), *photo.shape[:2])
    middle = (face.box[:2] + face.box[2:]) / 2
    limits = np.array([photo.shape[1], photo.shape[0]]) - side
    left, top = np.clip(np.rint(middle - side / 2), 0, limits).astype(int)
    cut = photo[top : top + side, left : left + side]
    return cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def main() -> None:
    """Source, target and result, both ways round, in one row."""
    swapper = FaceSwapper.from_pretrained()
    people = [read_photo(EXAMPLES / f"{name}.jpg").image for name in ("grace_hopper", "astronaut")]
    gap = np.full((SIDE, GAP, 3), 255, np.uint8)
    tiles = []
    for source, target in (people, people[::-1]):
        result = swapper.swap_image(target, swapper.identity_of(source))
        shown = (
            (source, swapper.detect(source)[0]),
            *((photo, result.faces[0]) for photo in (target, result.image)),
        )
        for photo, face in shown:
            tiles += [around_face(photo, face), gap]
        tiles.append(gap)
    write_photo(sys.argv[1], np.hstack(tiles[:-2]), model=swapper.name, quality=88)


if __name__ == "__main__":
    main()
