"""SCRFD with landmarks, as a second opinion on where eyes, nose and mouth are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from train.errors import TrainingError
from train.judges import open_onnx

SIDE = 320  # px; the photo is enlarged or shrunk to this
MIN_SCORE = 0.5
STRIDES, ANCHORS_PER_CELL = (8, 16, 32), 2
NUM_OUTPUTS = 9  # scores, boxes, landmarks of each stride, in this order


class Scrfd:
    """An SCRFD network in insightface's layout, ONNX."""

    def __init__(self, path: Path) -> None:
        self.session = open_onnx(path)
        if len(self.session.get_outputs()) != NUM_OUTPUTS:
            raise TrainingError(f"{path} is not an SCRFD network with landmarks (nine outputs).")

    def nearest_landmarks(self, photo: np.ndarray, landmarks: np.ndarray) -> np.ndarray | None:
        """Its landmarks [5, 2] of the face at `landmarks`, in pixels of the photo; None if unseen.

        photo: [H, W, 3] uint8 RGB; landmarks: [5, 2].
        """
        found = self._landmarks(photo)
        if not len(found):
            return None
        distances = np.linalg.norm(found - landmarks, axis=2).mean(axis=1)
        reach = np.ptp(landmarks, axis=0).max() / 2
        return found[distances.argmin()] if distances.min() < reach else None

    def _landmarks(self, photo: np.ndarray) -> np.ndarray:
        """[N, 5, 2] of every cell that is sure, neighbours of one face among them."""
        height, width = photo.shape[:2]
        scale = SIDE / max(height, width)
        small = cv2.resize(photo, (round(width * scale), round(height * scale)))
        canvas = np.zeros((SIDE, SIDE, 3), np.float32)
        canvas[: small.shape[0], : small.shape[1]] = small
        pixels = ((canvas - 127.5) / 128).transpose(2, 0, 1)[None]
        name = self.session.get_inputs()[0].name
        outputs = self.session.run(None, {name: np.ascontiguousarray(pixels)})
        found = []
        for level, stride in enumerate(STRIDES):
            scores, offsets = outputs[level], outputs[level + 2 * len(STRIDES)]
            rows, columns = np.mgrid[: SIDE // stride, : SIDE // stride]
            cells = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2).astype(np.float64)
            cells = np.repeat(cells, ANCHORS_PER_CELL, axis=0)
            points = (cells + offsets.reshape(-1, 5, 2)) * stride / scale
            found.append(points[scores[:, 0] > MIN_SCORE])
        return np.concatenate(found)
