"""How steady a swapped video is, against the video itself.

A jump is the difference of a face's landmarks in three frames in a row from an even motion, in % of
the face's side. A shake is the same of its picture, which optical flow follows: a detector reads
other landmarks for the slightest noise, flow does not. Flicker is the change of its mean colour
from frame to frame. Change is how much of its picture changes from frame to frame once its motion
is taken out. All are those of the result beside the target's own, because a talking face is not
still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import cv2
import numpy as np

from simswap import FaceSwapper, geometry
from simswap.faces.nms import overlaps
from simswap.faces.tracking import motion_of
from simswap.swap.pasting.masks import face_mask
from simswap.types import Face

LEAST_FRAMES = 10  # of a face that is measured
LEAST_SIDE = 32.0  # px; in smaller faces the detector's own noise is all there is
SAME_FACE = 0.4  # overlap of a face with itself, a frame later or swapped
SIZE = 128  # px, of the crops that are compared
SOFTNESS = 0.08  # of the mask over which they are
BLUR = 2.0  # px, so that what the two frames' resampling does to fine grain does not count
# % of the target's jumps or shakes; larger ones count as the last of these, because a detector that
# takes one face for another would outweigh all else.
COUNTED = 95
KINDS = ("target", "swapped")
OF_THE_SWAP = ("used", "edge")
RAYS = 32  # from a face's middle, on which the edge of its mask is measured
EDGE_STEP = 0.25  # px of the mask, along them


@dataclass
class Track:
    """A face in frames in a row, of the kinds "target" and "swapped".

    points, colours: of each frame, landmarks and mean colour; changes: by how much the picture
    differs from that of the frame before, of 255; motions: to the frame before, by kind, None where
    flow does not hold. Of kind "used", the points of the swap's own; of kind "edge", of its mask's.
    """

    face: Face
    sides: list[float] = field(default_factory=list)
    points: dict[str, list[np.ndarray]] = field(default_factory=dict)
    colours: dict[str, list[np.ndarray]] = field(default_factory=dict)
    changes: dict[str, list[float]] = field(default_factory=dict)
    motions: list[dict[str, np.ndarray] | None] = field(default_factory=list)

    def jumps(self, kind: str) -> np.ndarray:
        """Of each three frames in a row, in % of the face's side."""
        points = np.stack(self.points[kind])
        away = np.linalg.norm(points[:-2] - 2 * points[1:-1] + points[2:], axis=-1).mean(1)
        return 100 * away / np.array(self.sides[1:-1])

    def shakes(self, kind: str) -> np.ndarray:
        """Of each three frames in a row between which flow holds, in % of the face's side."""
        found = []
        for i, (one, other) in enumerate(pairwise(self.motions), start=1):
            if one is not None and other is not None:
                here = self.points["used"][i]
                ahead = geometry.apply(geometry.invert(other[kind]), here)
                away = np.linalg.norm(geometry.apply(one[kind], here) - 2 * here + ahead, axis=-1)
                found.append(100 * away.mean() / self.sides[i])
        return np.array(found)

    def flicker(self, kind: str) -> np.ndarray:
        """Of each two frames in a row, of 255."""
        return np.linalg.norm(np.diff(np.stack(self.colours[kind]), axis=0), axis=1)

    def change(self, kind: str) -> np.ndarray:
        """Of each two frames in a row between which flow holds, of 255."""
        return np.array(self.changes.get(kind, []))


@dataclass(frozen=True)
class Unsteadiness:
    """Means over all frames of all tracks, by kind; NaN where nothing could be measured.

    jumps, shakes: % of the face's side; flicker, change: of 255.
    """

    num_tracks: int
    jumps: dict[str, float]
    shakes: dict[str, float]
    flicker: dict[str, float]
    change: dict[str, float]

    @classmethod
    def of(cls, tracks: Sequence[Track]) -> Unsteadiness:
        """Of tracks that were measured alike; there may be none."""
        of_swap = [kind for kind in OF_THE_SWAP if all(kind in one.points for one in tracks)]
        return cls(
            len(tracks),
            _capped({k: _all(one.jumps(k) for one in tracks) for k in (*KINDS, *of_swap)}),
            _capped({kind: _all(one.shakes(kind) for one in tracks) for kind in KINDS}),
            *(
                {kind: _mean(_all(getattr(one, name)(kind) for one in tracks)) for kind in KINDS}
                for name in ("flicker", "change")
            ),
        )

    def ratio(self, name: str, kind: str = "swapped") -> float:
        """Of "jumps", "shakes", "flicker" or "change" to the target's; NaN where that is still."""
        values = getattr(self, name)
        return values[kind] / values["target"] if values["target"] > 0 else np.nan


class SteadinessMeter:
    """Takes a video's frames in a row, and finds the tracks in them."""

    def __init__(self, swapper: FaceSwapper) -> None:
        self._swapper = swapper
        self._live: list[Track] = []
        self._ended: list[Track] = []
        self._before: dict[str, np.ndarray] = {}

    def add(
        self,
        frame: np.ndarray,
        result: np.ndarray,
        found: Sequence[Face],
        used: Sequence[Face] | None = None,
        edges: Sequence[np.ndarray] = (),
    ) -> None:
        """Take the next frame, and what it became.

        frame, result: [H, W, 3] uint8 RGB; found: the faces detected in the frame, largest first;
        used: those that the swap took, with their own landmarks, None: the largest that was found;
        edges: of the mask of each of them, see mask_edge, or none.
        """
        pictures = {"target": frame, "swapped": result}
        faces = {"target": found, "swapped": self._swapper.detect(result)}
        going_on: list[Track] = []
        for number, face in enumerate(found[:1] if used is None else used):
            if (side := float((face.box[2:] - face.box[:2]).max())) < LEAST_SIDE:
                continue
            seen = {kind: same_face(face, of_kind) for kind, of_kind in faces.items()}
            if any(one is None for one in seen.values()):
                continue
            track = self._track(face, going_on)
            track.sides.append(side)
            for kind, one in {**seen, "used": face}.items():
                track.points.setdefault(kind, []).append(one.landmarks)
            if edges:
                track.points.setdefault("edge", []).append(edges[number])
            self._compare(track, seen["target"], pictures)
            track.face = face
            going_on.append(track)
        self._ended += [track for track in self._live if track not in going_on]
        self._live, self._before = going_on, pictures

    def tracks(self) -> list[Track]:
        """Those that are long enough."""
        return [one for one in self._ended + self._live if len(one.sides) >= LEAST_FRAMES]

    def _track(self, face: Face, taken: Sequence[Track]) -> Track:
        free = [track for track in self._live if track not in taken]
        last = same_face(face, [track.face for track in free])
        return next((one for one in free if one.face is last), Track(face))

    def _compare(self, track: Track, face: Face, pictures: dict[str, np.ndarray]) -> None:
        """Measure both pictures at the target's own face, wherever the swap took it to be."""
        here, motions = _to_crop(face), {}
        if track.colours:
            motions = {
                kind: motion_of(face, picture, self._before[kind])
                for kind, picture in pictures.items()
            }
            holds = all(motion is not None for motion in motions.values())
            track.motions.append(motions if holds else None)
        for kind, picture in pictures.items():
            crop = _crop_of(picture, here)
            track.colours.setdefault(kind, []).append(_over_mask(crop, face))
            if (motion := motions.get("target")) is not None:
                there = geometry.compose(geometry.invert(motion), here)
                change = np.abs(crop - _crop_of(self._before[kind], there))
                track.changes.setdefault(kind, []).append(float(_over_mask(change, face).mean()))


def same_face(face: Face, faces: Sequence[Face]) -> Face | None:
    """The one of `faces` that is the same."""
    if not faces:
        return None
    overlap = overlaps(face.box, np.stack([one.box for one in faces]))[0]
    return faces[int(overlap.argmax())] if overlap.max() >= SAME_FACE else None


def mask_edge(mask: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """Where a face's mask ends on RAYS rays from the landmarks' middle: [RAYS, 2], in its pixels.

    mask: [S, S] float32, 1 where the swap is kept; landmarks: [5, 2]. A soft edge counts at its
    half, and a hole shortens the rays that cross it: what pops up in a mask moves its edge.
    """
    angles = np.linspace(0, 2 * np.pi, RAYS, endpoint=False)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=-1)[:, None]
    middle, steps = landmarks.mean(axis=0), np.arange(0, len(mask), EDGE_STEP)[:, None]
    places = (middle + rays * steps).astype(np.float32)  # [RAYS, N, 2]
    seen = cv2.remap(mask, places, None, cv2.INTER_LINEAR)
    return middle + rays[:, 0] * seen.sum(axis=1, keepdims=True) * EDGE_STEP


def _to_crop(face: Face) -> np.ndarray:
    """[2, 3] from the frame to a crop of SIZE pixels."""
    return geometry.frame_to_crop_transform(face.landmarks, "simswap_frontal", SIZE)


def _crop_of(frame: np.ndarray, frame_to_crop: np.ndarray) -> np.ndarray:
    """[SIZE, SIZE, 3] of 255."""
    crop = geometry.warp_to_crop(frame, frame_to_crop, SIZE).astype(np.float64)
    return cv2.GaussianBlur(crop, (0, 0), BLUR)


def _over_mask(values: np.ndarray, face: Face) -> np.ndarray:
    """The mean of [SIZE, SIZE, C] over the geometric mask of a face: [C]."""
    weight = face_mask(geometry.apply(_to_crop(face), face.landmarks), SIZE, SOFTNESS)
    return (values * weight[..., None]).sum((0, 1)) / weight.sum()


def _all(parts: object) -> np.ndarray:
    return np.concatenate([np.zeros(0), *parts])


def _capped(values: dict[str, np.ndarray]) -> dict[str, float]:
    """Means by kind, up to what COUNTED says."""
    target = values["target"]
    most = np.percentile(target, COUNTED) if len(target) else np.nan
    return {kind: _mean(np.minimum(of_kind, most)) for kind, of_kind in values.items()}


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan
