"""One picture of the pairs that went best, middling and worst."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from simswap.swapper import FaceSwapper
from train.evaluate.judges import aligned_crop
from train.evaluate.measurements import Measurements
from train.evaluate.methods import SeenPhoto, swap_method
from train.evaluate.pairs import Pair

TILE = 128  # px, side of one face; with surroundings, so that the mask's border can be judged
TRIPLES_PER_LINE, LINES_PER_GROUP = 4, 2
CAPTION, LABEL, GAP = 20, 90, 8  # px: height below a triple, width left of a group, between triples
FONT, FONT_SIZE = cv2.FONT_HERSHEY_SIMPLEX, 0.42
INK, PAPER = (0, 0, 0), 255
GROUPS = ("best", "median", "worst")


def choose_pairs(cosines: np.ndarray, count: int) -> dict[str, np.ndarray]:
    """Places of the pairs with the highest, the middle and the lowest cosine to source.

    cosines: [N], N >= 1 -> for each of GROUPS at most `count` places, fewer where N is small.
    """
    order = np.argsort(-cosines, kind="stable")
    count = max(min(count, len(order) // len(GROUPS)), 1)
    middle = (len(order) - count) // 2
    return {
        "best": order[:count],
        "median": order[middle : middle + count],
        "worst": order[len(order) - count :],
    }


def make_contact_sheet(
    swapper: FaceSwapper, pairs: Sequence[Pair], measurements: Measurements
) -> np.ndarray:
    """[H, W, 3] uint8 RGB: source, target and result of the chosen pairs, a group below another.

    They are swapped anew: keeping every result until the choice is known would cost more memory.
    """
    m = measurements
    to_source, to_target = (m.results * m.sources).sum(1), (m.results * m.targets).sum(1)
    by_number = {pair.number: pair for pair in pairs}
    chosen = choose_pairs(to_source, TRIPLES_PER_LINE * LINES_PER_GROUP)
    groups = []
    for name, places in chosen.items():
        triples = [
            _triple(swapper, by_number[int(m.numbers[i])], to_source[i], to_target[i])
            for i in places
        ]
        groups.append(_group(name, triples))
    return np.concatenate([_header(groups[0].shape[1]), *groups])


def _triple(swapper: FaceSwapper, pair: Pair, to_source: float, to_target: float) -> np.ndarray:
    source, target = pair.read_source(), pair.read_target()
    image = swap_method(swapper)(SeenPhoto(source, swapper), SeenPhoto(target, swapper)).image
    tiles = [
        aligned_crop(photo, landmarks, "ffhq", TILE)
        for photo, landmarks in (
            (source, pair.source_landmarks),
            (target, pair.target_landmarks),
            (image, pair.target_landmarks),
        )
    ]
    caption = _paper(CAPTION, 3 * TILE)
    text = f"#{pair.number}: {to_source:.2f} to source, {to_target:.2f} to target"
    _write(caption, text, 2, CAPTION - 6)
    return np.pad(
        np.concatenate([np.concatenate(tiles, axis=1), caption]),
        ((0, 0), (0, GAP), (0, 0)),
        constant_values=PAPER,
    )


def _group(name: str, triples: list[np.ndarray]) -> np.ndarray:
    triples = triples + [np.full_like(triples[0], PAPER)] * (-len(triples) % TRIPLES_PER_LINE)
    lines = [
        np.concatenate(triples[start : start + TRIPLES_PER_LINE], axis=1)
        for start in range(0, len(triples), TRIPLES_PER_LINE)
    ]
    body = np.concatenate(lines)
    label = _paper(len(body), LABEL)
    _write(label, name, 10, 24, size=1.5 * FONT_SIZE)
    return np.concatenate(
        [np.concatenate([label, body], axis=1), _paper(GAP, LABEL + body.shape[1])]
    )


def _header(width: int) -> np.ndarray:
    header = _paper(CAPTION + 4, width)
    for number in range(TRIPLES_PER_LINE):
        for place, name in enumerate(("source", "target", "swapped")):
            _write(header, name, LABEL + number * (3 * TILE + GAP) + place * TILE + 2, CAPTION - 4)
    return header


def _paper(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), PAPER, np.uint8)


def _write(image: np.ndarray, text: str, x: int, y: int, size: float = FONT_SIZE) -> None:
    cv2.putText(image, text, (x, y), FONT, size, INK, 1, cv2.LINE_AA)
