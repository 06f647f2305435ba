"""Another person's upper lip, chin and jaw on a target, whose own photo says what to undo.

A pseudo target of the classical kind: what is pasted is a real beard or a real lack of one, which
no generator of ours draws, and the lips stay the target's, with the expression to be kept.
"""

from __future__ import annotations

import cv2
import numpy as np

from simswap.geometry import apply, similarity_transform
from simswap.watermark.embedding import LUMA

MOST_APART = 0.09  # of the inter-eye distance: landmarks of faces that fit each other
CANDIDATES = 4  # faces looked at for the one whose beard differs most
# In inter-eye distances, on an upright face whose eyes' middle is the origin.
REGION_CENTRE, REGION_HALF = (0.0, 1.18), (0.70, 0.52)
LIPS_HALF = (0.62, 0.24)  # of the distance between the corners
FEATHER = 0.06
MOST_GAIN = 1.6  # of a channel, to bring both faces into one light
CHEEKS = ((-0.62, 0.55), (0.62, 0.55))
BEARD = ((-0.25, 0.86), (0.25, 0.86), (-0.35, 1.50), (0.0, 1.52), (0.35, 1.50))
PATCH = 0.12


def fits(landmarks: np.ndarray, others: np.ndarray) -> bool:
    """Whether two faces are alike in pose and proportions, by five landmarks [5, 2] each."""
    moved = apply(similarity_transform(others, landmarks), others)
    apart = np.sqrt(np.square(moved - landmarks).sum(1).mean())
    return bool(apart < MOST_APART * _upright(landmarks)[1])


def beard_of(photo: np.ndarray, landmarks: np.ndarray) -> float:
    """How bright upper lip and chin are against the cheeks: with a beard far below 1."""
    to_photo, distance = _upright(landmarks)
    places = apply(to_photo, np.array(BEARD))
    beard = np.mean([_patch(photo, place, distance) for place in places], axis=0) + 8
    return float((beard @ LUMA) / (_cheeks_of(photo, landmarks) @ LUMA))


def paste_lower_face(
    photo: np.ndarray, landmarks: np.ndarray, other: np.ndarray, others: np.ndarray
) -> np.ndarray | None:
    """`photo` with the lower face of the one in `other`, in its own light; None: they differ.

    photo, other: [H, W, 3] uint8 RGB; landmarks, others: [5, 2], theirs -> as photo.
    """
    gains = _cheeks_of(photo, landmarks) / _cheeks_of(other, others)
    if not (gains.min() > 1 / MOST_GAIN and gains.max() < MOST_GAIN):
        return None
    height, width = photo.shape[:2]
    padded = np.hstack([others, np.ones((5, 1))])
    transform = np.linalg.lstsq(padded, landmarks, rcond=None)[0].T  # [2, 3]
    warped = cv2.warpAffine(
        other, transform, (width, height), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE
    )
    mask = _mask(landmarks, (height, width))[..., None]
    target = photo.astype(np.float32)
    return (target + mask * (warped * gains - target) + 0.5).clip(0, 255).astype(np.uint8)


def _cheeks_of(photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Their mean colour [3], away from black."""
    to_photo, distance = _upright(landmarks)
    patches = [_patch(photo, place, distance) for place in apply(to_photo, np.array(CHEEKS))]
    return np.mean(patches, axis=0) + 8


def _mask(landmarks: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """1 on upper lip, chin and jaw, but for the lips: [H, W] float32, soft edges."""
    to_photo, distance = _upright(landmarks)
    mask = np.zeros(shape, np.float32)
    _ellipse(
        mask, apply(to_photo, np.array([REGION_CENTRE]))[0], REGION_HALF, to_photo, distance, 1
    )
    width = np.linalg.norm(landmarks[4] - landmarks[3])
    _ellipse(mask, landmarks[3:].mean(0), LIPS_HALF, to_photo, width, 0)
    return cv2.GaussianBlur(mask, (0, 0), FEATHER * distance)


def _ellipse(
    mask: np.ndarray,
    centre: np.ndarray,
    half: tuple[float, float],
    to_photo: np.ndarray,
    unit: float,
    value: float,
) -> None:
    angle = np.degrees(np.arctan2(to_photo[1, 0], to_photo[0, 0]))
    size = (2 * half[0] * unit, 2 * half[1] * unit)
    cv2.ellipse(mask, (tuple(map(float, centre)), size, float(angle)), value, -1)


def _upright(landmarks: np.ndarray) -> tuple[np.ndarray, float]:
    """From inter-eye distances around the eyes' middle to the photo [2, 3]; that distance, px."""
    across = landmarks[1] - landmarks[0]
    middle = landmarks[:2].mean(0)
    linear = np.array([[across[0], -across[1]], [across[1], across[0]]])
    return np.hstack([linear, middle[:, None]]), float(np.linalg.norm(across))


def _patch(photo: np.ndarray, place: np.ndarray, distance: float) -> np.ndarray:
    """Mean colour [3] around a place."""
    reach = max(int(PATCH * distance), 1)
    x, y = np.clip(place, reach, np.array(photo.shape[1::-1]) - reach).astype(int)
    return photo[y - reach : y + reach, x - reach : x + reach].mean((0, 1))
