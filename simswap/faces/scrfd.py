"""Detection by an SCRFD network of an insightface pack, run by the insightface package.

Paper: Guo et al., 2021, "Sample and Computation Redistribution for Efficient Face Detection".
Its networks are made for upright heads. Nothing is fetched here: only a file's path is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from simswap.errors import ModelError
from simswap.types import Face

SIDE = 640  # px; frames are enlarged or shrunk to this, as insightface does
MAX_FOUND = 256  # faces of a frame, the largest


class Scrfd:
    """An SCRFD network with landmarks; safe to share between threads."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        """Open an ONNX file; threads: 0 lets onnxruntime choose. Raises ModelError."""
        self.path = path
        self._network = _open(path, threads)
        if not getattr(self._network, "use_kps", False):
            raise ModelError(f"{path} is not an SCRFD network with landmarks.")

    def detect_faces(
        self,
        frames: Sequence[np.ndarray],
        *,
        min_score: float,
        min_face: float = 0.0,
        side: int = SIDE,
    ) -> list[list[Face]]:
        """As detection.detect_faces: faces of each frame ([H, W, 3] uint8 RGB), largest first.

        side: px to which frames are enlarged or shrunk; a network of one fixed size keeps its own.
        """
        found = []
        for frame in frames:
            if max(frame.shape) > side * min(frame.shape[:2]):
                found.append([])  # less than a row would be left of it
                continue
            boxes, landmarks = self._network.detect(
                cv2.cvtColor(frame, cv2.COLOR_RGB2BGR), (side, side), det_thresh=min_score
            )
            faces = [
                Face(box[:4], points.astype(np.float32), float(box[4]))
                for box, points in zip(boxes, landmarks, strict=True)
                if min(box[2:4] - box[:2]) >= min_face
            ]
            found.append(sorted(faces, key=lambda face: -face.area)[:MAX_FOUND])
        return found


def _open(path: Path, threads: int) -> object:
    try:
        import onnxruntime
        from insightface.model_zoo import get_model
        from onnxruntime.capi import onnxruntime_pybind11_state as states
    except ImportError as error:
        raise ModelError(
            f"{path} needs the package insightface: run `pip install insightface`, or use the "
            "bundled detector."
        ) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Waiting threads would spin on the cores that torch is about to use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    kinds = (states.Fail, states.InvalidArgument, states.InvalidGraph, states.InvalidProtobuf)
    kinds += (states.NoSuchFile, states.NotImplemented, states.RuntimeException)
    try:
        # On ZeroGPU only torch may use the GPU, so this stays on the CPU everywhere.
        return get_model(
            str(path),
            providers=["CPUExecutionProvider"],
            sess_options=options,
            static_shape_sessions=False,
        )
    except (*kinds, LookupError, TypeError, AssertionError) as error:  # of odd inputs and outputs
        reason = " ".join(str(error).split())[:160]
        raise ModelError(f"{path} is no ONNX network ({reason}). Fetch it again.") from error
