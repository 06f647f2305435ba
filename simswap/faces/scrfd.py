"""Detection by an SCRFD network from an insightface pack, where the user has one.

Paper: Guo et al., 2021, "Sample and Computation Redistribution for Efficient Face Detection". The
networks come as ONNX files with nine outputs: scores, boxes and landmarks at strides 8, 16 and 32.
They are made for upright heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from simswap.errors import ModelError
from simswap.faces.nms import Candidates, concatenate, overlaps, to_faces
from simswap.types import Face

SIDE = 640  # px; frames are enlarged or shrunk to this, as insightface does
STRIDES, ANCHORS_PER_CELL = (8, 16, 32), 2
NUM_OUTPUTS = 9
MAX_OVERLAP = 0.4  # intersection over union above which the lower score is a double


class Scrfd:
    """An SCRFD network with landmarks; safe to share between threads."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open an ONNX file; threads: 0 lets onnxruntime choose. Raises ModelError."""
        self.path = path
        self._session = _open(path, threads)
        outputs, inputs = self._session.get_outputs(), self._session.get_inputs()
        if len(outputs) != NUM_OUTPUTS or len(inputs) != 1 or len(inputs[0].shape) != 4:
            raise ModelError(
                f"{path} is not an SCRFD network with landmarks: it has {len(inputs)} inputs and "
                f"{len(outputs)} outputs, not 1 and {NUM_OUTPUTS}."
            )
        self._input = inputs[0].name
        fixed = inputs[0].shape[2:]
        self._side = fixed[0] if isinstance(fixed[0], int) and fixed[0] > 0 else None

    def detect_faces(
        self, frames: Sequence[np.ndarray], *, min_score: float, min_face: float = 0.0
    ) -> list[list[Face]]:
        """As detection.detect_faces: faces of each frame ([H, W, 3] uint8 RGB), largest first."""
        found = []
        for frame in frames:
            seen = _suppress_doubles(self.candidates(frame, min_score))
            found.append(to_faces(seen.select(seen.sides.min(axis=1) >= min_face)))
        return found

    def candidates(self, frame: np.ndarray, min_score: float, side: int = SIDE) -> Candidates:
        """Every cell that is sure enough, doubles among them, in pixels of the frame.

        frame: [H, W, 3] uint8 RGB, shrunk or enlarged to `side` px.
        """
        side = self._side or side
        height, width = frame.shape[:2]
        scale = side / max(height, width)
        inner = max(round(width * scale), 1), max(round(height * scale), 1)
        canvas = np.zeros((side, side, 3), np.float32)
        canvas[: inner[1], : inner[0]] = cv2.resize(frame, inner)
        pixels = np.ascontiguousarray(((canvas - 127.5) / 128).transpose(2, 0, 1)[None])
        outputs = self._session.run(None, {self._input: pixels})
        parts = [_decode(outputs, level, side, min_score) for level in range(len(STRIDES))]
        seen = concatenate(parts)
        return seen._replace(boxes=seen.boxes / scale, landmarks=seen.landmarks / scale)


def _decode(outputs: list[np.ndarray], level: int, side: int, min_score: float) -> Candidates:
    """The cells of one stride that are sure enough, in pixels of the network's input."""
    stride = STRIDES[level]
    scores, reaches, offsets = (
        outputs[level + kind * len(STRIDES)].reshape(-1, width).astype(np.float64)
        for kind, width in enumerate((1, 4, 10))
    )
    rows, columns = np.mgrid[: side // stride, : side // stride]
    cells = np.stack([columns, rows], axis=-1).reshape(-1, 2).repeat(ANCHORS_PER_CELL, axis=0)
    sure = np.flatnonzero(scores[:, 0] >= min_score)
    cells, reaches = cells[sure] * stride, reaches[sure] * stride  # left, up, right, down
    upright = np.zeros(len(sure), bool)
    return Candidates(
        scores=scores[sure, 0],
        boxes=np.concatenate([cells - reaches[:, :2], cells + reaches[:, 2:]], axis=1),
        landmarks=cells[:, None] + offsets[sure].reshape(-1, 5, 2) * stride,
        is_rolled=upright,
        may_be_rolled=upright,
    )


def _suppress_doubles(seen: Candidates) -> Candidates:
    kept, seen = [], seen.select(np.argsort(-seen.scores, kind="stable"))
    while len(seen.scores):
        kept.append(seen.select(slice(1)))
        is_other = overlaps(seen.boxes[0], seen.boxes)[0] <= MAX_OVERLAP
        is_other[0] = False
        seen = seen.select(is_other)
    return concatenate(kept) if kept else seen


def _open(path: Path, threads: int) -> object:
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as states
    except ImportError as error:
        raise ModelError(
            f"{path} needs onnxruntime: run `pip install onnxruntime`, or use the bundled detector."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Waiting threads would spin on the cores that torch is about to use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    kinds = (states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf)
    try:
        # On ZeroGPU only torch may use the GPU, so this stays on the CPU everywhere.
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except (*kinds, states.NoSuchFile, states.NotImplemented, states.RuntimeException) as error:
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"{path} is no ONNX network ({reason}). Fetch it again.") from error
