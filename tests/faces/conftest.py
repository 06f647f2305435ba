import numpy as np
import pytest

from simswap.geometry import apply, invert
from simswap.types import Face
from tests.support.media.face_videos import face_frame, face_to_frame


@pytest.fixture(scope="package")
def frames(astronaut) -> list[np.ndarray]:
    """A face that sways and leans."""
    return [face_frame(astronaut, number) for number in range(12)]


@pytest.fixture(scope="package")
def true_faces(swapper, frames) -> list[Face]:
    """The first frame's face, moved as the picture was moved."""
    (first,) = swapper.detect(frames[0])
    portrait = apply(invert(face_to_frame(0)), first.landmarks)
    middle = apply(invert(face_to_frame(0)), (first.box[:2] + first.box[2:]) / 2)
    half = (first.box[2:] - first.box[:2]) / 2
    faces = []
    for number in range(len(frames)):
        centre = apply(face_to_frame(number), middle)
        box = np.concatenate([centre - half, centre + half]).astype(np.float32)
        landmarks = apply(face_to_frame(number), portrait).astype(np.float32)
        faces.append(Face(box, landmarks, first.score))
    return faces


@pytest.fixture(scope="package")
def error():
    """Root mean square over the landmarks of two faces, in pixels."""

    def of(face: Face, true: Face) -> float:
        return float(np.sqrt(((face.landmarks - true.landmarks) ** 2).sum(axis=1).mean()))

    return of
