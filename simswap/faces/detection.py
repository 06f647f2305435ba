"""Frames to faces: a pass of the detector over each frame, then a second look at some faces.

The pass finds faces, heads rolled by any angle among them, in the frame shrunk to a working size.
Faces that it saw rolled, shrunk, or at an unfavourable size are looked at again (rolled.py). A
frame in which no face was found is searched once more from further away: its face may fill it.
A panorama is also searched piece by piece: shrunk as a whole, its faces would be too small.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from simswap.faces.decoding import decode
from simswap.faces.nms import Candidates, concatenate, suppress_doubles, to_faces
from simswap.faces.rolled import lean_of, look_again
from simswap.geometry import invert
from simswap.runtime.networks import DetectorNetworks
from simswap.runtime.pixels import network_input
from simswap.types import Face

WORKING_SIZE = 640  # px, long side of the pass; smaller frames are taken as they are
# px, sides of the network's inputs: OpenVINO keeps a megabyte for each size that it has seen, and
# never gives it back. Photos of 3:2 and 16:9 fit well; all divide by 32, as the network needs.
INPUT_SIDES = (128, 192, 256, 320, 384, 448, 512, 640, 768, 960, 1120, 1280)
FINE_SIZE = 1280  # px, long side of one more pass over frames larger than this
FINE_FACE = 100.0  # px; that pass adds no larger faces: it takes their parts for faces
# A frame so many times as long as wide is a panorama; length and overlap of its pieces are told in
# its shorter sides. There are at most MAX_PIECES of them, which are longer then.
PANORAMA, PIECE, OVERLAP = 3.0, 2.0, 0.5
MAX_PIECES = 12
ROLLED_SCORE = 0.6  # enough for a rolled head to be looked at again, which decides
CLEAR_FACE = (60.0, 170.0)  # px, long side of faces that need no second look...
# A frame without a face is seen once more at so many px of its long side, with so many px of black
# around it: the detector knows faces that are smaller than their picture.
FAR_SIZE, FAR_MARGIN = 216, 52
FILLING_FACE = 0.5  # of the frame's shorter side; that look finds no smaller faces
MAX_LOOKS = 64  # second looks at a frame, at its largest faces
CLEAR_LEAN = 12.0  # ...if they are upright within these degrees, and the frame was not shrunk


def detect_faces(
    detector: DetectorNetworks,
    frames: Sequence[np.ndarray],
    *,
    min_score: float = 0.7,
    min_face: float = 16.0,
) -> list[list[Face]]:
    """Faces of each frame, largest first, at most nms.MAX_FOUND; heads may be rolled by any angle.

    Args:
        detector: the bundled one, or another of its kind, on any device.
        frames: uint8 [H, W, 3] RGB of any size; those of equal size share one batch.
        min_score: faces below this confidence, in (0, 1), are left out.
        min_face: px; faces whose box has a shorter side than this are left out.

    Returns:
        One list per frame. Landmarks are named as on the head turned upright.

    Raises:
        ValueError: a frame is not uint8 [H, W, 3].
    """
    for frame in frames:
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ValueError(f"Frame {frame.dtype} {frame.shape} must be uint8 [H, W, 3].")
    found: list[list[Face]] = [[] for _ in frames]
    for shape in dict.fromkeys(frame.shape for frame in frames):
        indices = [i for i, frame in enumerate(frames) if frame.shape == shape]
        alike = [frames[i] for i in indices]
        seen = _search(detector, alike, min_score)
        seen = _settled(detector, alike, seen, [_unclear(one, shape) for one in seen], min_score)
        if lost := [n for n, faces in enumerate(seen) if not len(faces.scores)]:
            without = [alike[n] for n in lost]
            filling = _search_filled(detector, without, min_score)
            # A look at what reaches out of the frame reads landmarks worse (by a third).
            rolled = [np.flatnonzero(faces.may_be_rolled) for faces in filling]
            filling = _settled(detector, without, filling, rolled, min_score)
            seen = [filling.pop(0) if n in lost else faces for n, faces in enumerate(seen)]
        for i, faces in zip(indices, seen, strict=True):
            found[i] = to_faces(faces.select(faces.sides.min(axis=1) >= min_face), shape)
    return found


def _settled(
    detector: DetectorNetworks,
    frames: Sequence[np.ndarray],
    seen: Sequence[Candidates],
    unclear: Sequence[np.ndarray],
    min_score: float,
) -> list[Candidates]:
    """What a search saw in frames, after the second look at some, less doubles and doubts."""
    seen = look_again(detector, frames, seen, unclear)
    return [suppress_doubles(faces.select(faces.scores >= min_score)) for faces in seen]


def _search(
    detector: DetectorNetworks, frames: Sequence[np.ndarray], min_score: float
) -> list[Candidates]:
    """The pass over frames of one size, and pieces of them; rolled heads are not settled yet."""
    found = [_search_whole(detector, frames, min_score)]
    for piece in pieces(*frames[0].shape[:2]):
        found.append(_search_piece(detector, frames, piece, min_score))
    if len(found) == 1:
        return found[0]
    return [suppress_doubles(concatenate(list(parts))) for parts in zip(*found, strict=True)]


def _search_piece(
    detector: DetectorNetworks,
    frames: Sequence[np.ndarray],
    piece: tuple[int, int],
    min_score: float,
) -> list[Candidates]:
    """A piece of panoramas, less the faces at its cuts, which its neighbours have whole."""
    (start, end), (height, width) = piece, frames[0].shape[:2]
    along = int(height > width)
    part = np.s_[start:end] if along else np.s_[:, start:end]
    seen = _search_whole(detector, [frame[part] for frame in frames], min_score)
    margin = OVERLAP * min(height, width) / 10
    low = start + margin if start else -np.inf
    high = end - margin if end < max(height, width) else np.inf
    to_frame = np.column_stack([np.eye(2), [0, start] if along else [start, 0]])
    moved = [faces.moved(to_frame) for faces in seen]
    return [
        faces.select((faces.boxes[:, along] > low) & (faces.boxes[:, along + 2] < high))
        for faces in moved
    ]


def pieces(height: int, width: int) -> list[tuple[int, int]]:
    """Start and end of the pieces of a panorama, along its longer side; of others, none."""
    short, long = sorted((height, width))
    if long < PANORAMA * short or long <= FINE_SIZE:
        return []
    overlap = OVERLAP * short
    number = math.ceil((long - overlap) / ((PIECE - OVERLAP) * short))
    step = (long - overlap) / min(number, MAX_PIECES)
    starts = [round(step * i) for i in range(min(number, MAX_PIECES))]
    return [(start, min(math.ceil(start + step + overlap), long)) for start in starts]


def _search_whole(
    detector: DetectorNetworks, frames: Sequence[np.ndarray], min_score: float
) -> list[Candidates]:
    long_side = max(frames[0].shape[:2])
    # Working size of each pass, and the largest face in its pixels that it may add.
    sizes = [(min(long_side, WORKING_SIZE), np.inf)]
    if long_side > FINE_SIZE:
        sizes.append((FINE_SIZE, FINE_FACE))
    passes = [
        _pass(detector, *letterbox(frames, size), min_score, (0, largest_face))
        for size, largest_face in sizes
    ]
    return [suppress_doubles(concatenate(parts)) for parts in zip(*passes, strict=True)]


def _search_filled(
    detector: DetectorNetworks, frames: Sequence[np.ndarray], min_score: float
) -> list[Candidates]:
    """The pass over frames of one size that a face may fill, and reach beyond."""
    height, width = frames[0].shape[:2]
    least = FILLING_FACE * min(height, width) * FAR_SIZE / max(height, width)
    images, frame_to_image = letterbox(frames, FAR_SIZE, FAR_MARGIN)
    found = _pass(detector, images, frame_to_image, min_score, (least, np.inf))
    return [suppress_doubles(faces) for faces in found]


def _pass(
    detector: DetectorNetworks,
    images: Tensor,
    frame_to_image: np.ndarray,
    min_score: float,
    face_sizes: tuple[float, float],
) -> list[Candidates]:
    """What the detector sees in each image, in pixels of its frame; doubles are still in.

    images, frame_to_image: as letterbox gives them. face_sizes: the least and the most px of a
    face's long side in the image.
    """
    least, image_to_frame = min(ROLLED_SCORE, min_score), invert(frame_to_image)
    with torch.inference_mode():
        seen_in_images = decode(detector.whole(images.to(detector.whole.device)), least)
    per_frame = []
    for seen in seen_in_images:
        enough = np.where(seen.is_rolled, least, min_score)
        sides = seen.sides.max(axis=1)
        fits = (sides >= face_sizes[0]) & (sides <= face_sizes[1])
        seen = seen.select((seen.scores >= enough) & fits)
        per_frame.append(seen.moved(image_to_frame))
    return per_frame


def letterbox(
    frames: Sequence[np.ndarray], long_side: int, margin: int = 0
) -> tuple[Tensor, np.ndarray]:
    """Frames of one size -> network input, and the [2, 3] transform from frame to its pixels.

    The image lies in the upper left corner, or `margin` px from it; black fills the rest, at least
    `margin` px and up to INPUT_SIDES.
    frames: uint8 [H, W, 3] -> [B, 3, H', W'] float32 in [0, 1]. long_side: with the margins at most
    the largest of these.
    """
    height, width = frames[0].shape[:2]
    factor = long_side / max(height, width)
    inner = max(round(width * factor), 1), max(round(height * factor), 1)
    outer = [next(n for n in INPUT_SIDES if n >= side + 2 * margin) for side in inner]
    images = np.zeros((len(frames), outer[1], outer[0], 3), np.uint8)
    for image, frame in zip(images, frames, strict=True):
        if inner != (width, height):
            frame = cv2.resize(frame, inner, interpolation=cv2.INTER_AREA)
        image[margin : margin + inner[1], margin : margin + inner[0]] = frame
    scale_x, scale_y = inner[0] / width, inner[1] / height
    # Pixel 0 has its middle at 0, so scaling moves it by half of what it grows.
    frame_to_image = np.array(
        [[scale_x, 0, (scale_x - 1) / 2 + margin], [0, scale_y, (scale_y - 1) / 2 + margin]]
    )
    return network_input(torch.from_numpy(images)), frame_to_image


def _unclear(seen: Candidates, shape: tuple[int, ...]) -> np.ndarray:
    """Numbers of the faces that deserve a second look.

    It steadies landmarks by a third (against an independent detector), but where the pass saw the
    frame's own pixels, an upright head and a good size, its reading stands.
    """
    areas = seen.sides.clip(min=0).prod(axis=1)
    largest = np.sort(np.argsort(-areas, kind="stable")[:MAX_LOOKS])
    if max(shape[:2]) > WORKING_SIZE:
        return largest
    long_sides = seen.sides.max(axis=1)
    leans = np.array([lean_of(landmarks) for landmarks in seen.landmarks])
    is_clear = (long_sides >= CLEAR_FACE[0]) & (long_sides <= CLEAR_FACE[1]) & ~seen.may_be_rolled
    is_clear &= np.abs(leans) <= CLEAR_LEAN
    return largest[~is_clear[largest]]
