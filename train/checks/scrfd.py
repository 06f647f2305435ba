"""SCRFD with landmarks, as a second opinion on where eyes, nose and mouth are."""

from __future__ import annotations

import numpy as np

from simswap.faces.scrfd import Scrfd

SIDE = 320  # px; the photo is enlarged or shrunk to this
MIN_SCORE = 0.5


def nearest_landmarks(
    scrfd: Scrfd, photo: np.ndarray, landmarks: np.ndarray, side: int = SIDE
) -> np.ndarray | None:
    """SCRFD's landmarks [5, 2] of the face at `landmarks`, in pixels of the photo; None if unseen.

    photo: [H, W, 3] uint8 RGB, shrunk or enlarged to `side` px; landmarks: [5, 2].
    """
    (faces,) = scrfd.detect_faces([photo], min_score=MIN_SCORE, side=side)
    if not faces:
        return None
    found = np.stack([face.landmarks for face in faces])
    distances = np.linalg.norm(found - landmarks, axis=2).mean(axis=1)
    reach = np.ptp(landmarks, axis=0).max() / 2
    return found[distances.argmin()] if distances.min() < reach else None
