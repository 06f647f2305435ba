"""SCRFD with landmarks, as a second opinion on where eyes, nose and mouth are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from simswap.faces import scrfd

SIDE = 320  # px; the photo is enlarged or shrunk to this
MIN_SCORE = 0.5


class Scrfd(scrfd.Scrfd):
    """An SCRFD network in insightface's layout, ONNX."""

    def __init__(self, path: Path) -> None:
        """Open the network. Raises ModelError if it is none, or onnxruntime is not installed."""
        super().__init__(path, torch.get_num_threads())

    def nearest_landmarks(
        self, photo: np.ndarray, landmarks: np.ndarray, side: int = SIDE
    ) -> np.ndarray | None:
        """Its landmarks [5, 2] of the face at `landmarks`, in pixels of the photo; None if unseen.

        photo: [H, W, 3] uint8 RGB, shrunk or enlarged to `side` px; landmarks: [5, 2].
        """
        found = self.candidates(photo, MIN_SCORE, side).landmarks
        if not len(found):
            return None
        distances = np.linalg.norm(found - landmarks, axis=2).mean(axis=1)
        reach = np.ptp(landmarks, axis=0).max() / 2
        return found[distances.argmin()] if distances.min() < reach else None
