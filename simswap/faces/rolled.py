"""The second look at a face: in a crop, turned upright, at the size where landmarks are read best.

The detector reads landmarks of upright heads only: of a small lean it shows a third, steadily. A
head found rolled is therefore looked at in eight turns; where it looks most like a face, it nearly
stands. Then any head is turned by what it still leans, and looked at again, until it stands.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from simswap.faces.decoding import decode_upright
from simswap.faces.nms import Candidates, consensus, overlaps
from simswap.geometry import (
    TEMPLATES,
    apply,
    compose,
    invert,
    scale_of,
    similarity_transform,
    warp_to_crop,
)
from simswap.runtime.networks import DetectorNetworks
from simswap.runtime.pixels import network_input

CROP_SIZE = 128  # px
COARSE_SIZE = 64  # px; enough to tell in which of its turns a head stands, at a quarter of the cost
FACE_SHARE = (
    0.65625  # long side of the face, of the crop's; measured: landmarks scatter least there
)
ROLLS = tuple(range(-135, 181, 45))  # degrees tried on a head of unknown roll
LEAN_SHOWN = 0.36  # measured share of a head's lean that its landmarks show, up to 20 degrees
MAX_LEAN = 45.0  # degrees
UPRIGHT = 4.0  # degrees of lean with which a head stands
MAX_TURNS = 3  # looks one after the other
BATCH = {"cpu": 8, "cuda": 64}  # crops; on a CPU more gain nothing, and take memory
LEAST_SCORE = 0.3  # of the face in the crop, or the look has failed


class Look(NamedTuple):
    """Face number `face` of frame number `frame`, seen as if rolled by `roll` degrees."""

    frame: int
    face: int
    roll: float


def roll_of(landmarks: np.ndarray) -> float:
    """In-plane roll of a head from its [5, 2] landmarks: degrees in (-180, 180], clockwise."""
    upright_to_head = similarity_transform(TEMPLATES["arcface"], landmarks)
    return float(np.degrees(np.arctan2(upright_to_head[1, 0], upright_to_head[0, 0])))


def lean_of(landmarks: np.ndarray, roll: float = 0.0) -> float:
    """Degrees by which a head truly leans whose landmarks were read in a view turned by `roll`."""
    shown = (roll_of(landmarks) - roll + 180) % 360 - 180
    return float(np.clip(shown / LEAN_SHOWN, -MAX_LEAN, MAX_LEAN))


def look_again(
    detector: DetectorNetworks,
    frames: Sequence[np.ndarray],
    found: Sequence[Candidates],
    unclear: Sequence[np.ndarray],
) -> list[Candidates]:
    """Reads the landmarks of faces anew, and of rolled ones also score, box and roll.

    found: the faces of each frame; unclear: for each frame the numbers of those to look at. A
    rolled head that no turn makes a face gets the score 0; other failed looks change nothing.
    """
    wanted = [(i, j) for i, faces in enumerate(unclear) for j in faces]
    rolled = [(i, j) for i, j in wanted if found[i].may_be_rolled[j]]
    tries = [Look(*where, roll) for where in rolled for roll in ROLLS]
    looks = [Look(i, j, lean_of(found[i].landmarks[j])) for i, j in wanted if (i, j) not in rolled]
    coarse = _surest(detector, frames, found, tries, COARSE_SIZE)
    looks += [Look(*where, roll) for where, (_, roll) in coarse.items()]
    best: dict[tuple[int, int], Candidates] = {}
    for _ in range(MAX_TURNS):
        answers = _surest(detector, frames, found, looks, CROP_SIZE)
        best |= {where: face for where, (face, _) in answers.items()}
        leans = {where: lean_of(face.landmarks[0], roll) for where, (face, roll) in answers.items()}
        looks = [
            Look(*where, answers[where][1] + lean)
            for where, lean in leans.items()
            if abs(lean) > UPRIGHT
        ]
    result = [seen._replace(**{k: v.copy() for k, v in seen._asdict().items()}) for seen in found]
    for i, faces in enumerate(unclear):
        for j in faces:
            _settle(result[i], j, best.get((i, j)))
    return result


def _settle(seen: Candidates, j: int, face: Candidates | None) -> None:
    """Writes what the looks gave, if anything, over candidate j."""
    if face is None:
        seen.scores[j] *= not seen.is_rolled[j]
        return
    is_turned = abs(roll_of(face.landmarks[0])) > 45
    if is_turned and not seen.is_rolled[j] and face.scores[0] < seen.scores[j]:
        return  # it looked more like a face when it was taken for an upright one
    seen.landmarks[j] = face.landmarks[0]
    if is_turned or seen.is_rolled[j]:
        # The best of eight tries is flattered: a head that is not upright is doubted twice.
        seen.scores[j] = max(1 - (1 - face.scores[0]) * (2 if is_turned else 1), 0.0)
        seen.boxes[j] = face.boxes[0]


def _surest(
    detector: DetectorNetworks,
    frames: Sequence[np.ndarray],
    found: Sequence[Candidates],
    looks: Sequence[Look],
    size: int,
) -> dict[tuple[int, int], tuple[Candidates, float]]:
    """Per (frame, face) the surest answer of its looks, in frame pixels, and the look's roll.

    size: px, side of the crops that are looked at.
    """
    best: dict[tuple[int, int], tuple[Candidates, float]] = {}
    count = BATCH.get(detector.upright.device.type, BATCH["cpu"])
    for start in range(0, len(looks), count):
        batch = looks[start : start + count]
        to_crop = [
            _frame_to_crop(found[look.frame].boxes[look.face], look.roll, size) for look in batch
        ]
        crops = torch.from_numpy(np.stack(_crops(frames, batch, to_crop, size)))
        with torch.inference_mode():
            images = network_input(crops.to(detector.upright.device))
            answers = decode_upright(detector.upright(images), LEAST_SCORE)
        for look, transform, seen in zip(batch, to_crop, answers, strict=True):
            face = _central_face(seen, size)
            where = look.frame, look.face
            if face is not None and (where not in best or face.scores > best[where][0].scores):
                best[where] = face.moved(invert(transform)), look.roll
    return best


def _crops(
    frames: Sequence[np.ndarray],
    looks: Sequence[Look],
    to_crop: Sequence[np.ndarray],
    size: int,
) -> list[np.ndarray]:
    """What each look sees: [size, size, 3]; a face in many turns is shrunk once, then turned."""
    turns = Counter((look.frame, look.face) for look in looks)
    views: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
    crops = []
    for look, transform in zip(looks, to_crop, strict=True):
        image, where = frames[look.frame], (look.frame, look.face)
        if turns[where] > 1:
            if where not in views:  # of the same scale, and holding every turn
                side, linear = int(size * np.sqrt(2)) + 4, scale_of(transform) * np.eye(2)
                middle = apply(invert(transform), np.full(2, (size - 1) / 2))
                to_view = np.column_stack([linear, (side - 1) / 2 - linear @ middle])
                views[where] = warp_to_crop(image, to_view, side), to_view
            image, to_view = views[where]
            transform = compose(invert(to_view), transform)
        crops.append(warp_to_crop(image, transform, size))
    return crops


def _frame_to_crop(box: np.ndarray, roll: float, size: int) -> np.ndarray:
    """[2, 3] that turns a head upright, with the middle of its box in the middle of the crop."""
    scale = FACE_SHARE * size / max(box[2] - box[0], box[3] - box[1])
    cosine, sine = scale * np.cos(np.deg2rad(roll)), scale * np.sin(np.deg2rad(roll))
    linear = np.array([[cosine, sine], [-sine, cosine]])
    shift = (size - 1) / 2 - linear @ ((box[:2] + box[2:]) / 2)
    return np.column_stack([linear, shift])


def _central_face(seen: Candidates, size: int) -> Candidates | None:
    """The surest face near the crop's middle and of about the expected size, as one candidate."""
    middle, half = (size - 1) / 2, FACE_SHARE * size / 2
    expected = np.array([middle - half, middle - half, middle + half, middle + half])
    seen = seen.select(overlaps(expected, seen.boxes)[0] > 0.3)
    if not len(seen.scores):
        return None
    seen = seen.select(np.argsort(-seen.scores, kind="stable"))
    landmarks = consensus(seen, overlaps(seen.boxes[0], seen.boxes)[0])
    return seen.select(slice(1))._replace(landmarks=landmarks[None])
