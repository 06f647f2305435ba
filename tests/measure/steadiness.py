"""How steady a swapped video is, against the video itself.

    python tests/measure/steadiness.py --source face.jpg clip.mp4 other.mp4 --frames 120

Prints, for each clip, as ratios to the target's own: how much the landmarks of swapped faces jump
from frame to frame; how much the faces' mean colour flickers; and how much of the picture changes
once the face's motion is taken out. A jump is the difference of three frames in a row from an even
motion, in % of the face's side; those beyond 95 % of the target's count as much as these, because a
detector that takes one face for another would outweigh all else. Pixels are judged before they are
encoded. `--no-watermark` leaves out the watermark, of which the detector sees more than the eye;
`--sheets FOLDER` writes pictures to look at.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from simswap import FaceSwapper, SwapOptions, geometry
from simswap.faces.nms import overlaps
from simswap.faces.tracking import motion_of
from simswap.media.photos import read_photo, write_photo
from simswap.swap.blending import face_mask
from simswap.swap.stream import StreamOptions
from simswap.types import Face, SwapResult
from simswap.video.source.info import probe_video
from simswap.video.source.reading import read_frames

LEAST_FRAMES = 10  # of a face that is measured
LEAST_SIDE = 32.0  # px; in smaller faces the detector's own noise is all there is
SAME_FACE = 0.4  # overlap of a face with itself, a frame later or swapped
SIZE = 128  # px, of the crops that are compared
SOFTNESS = 0.08  # of the mask over which they are
BLUR = 2.0  # px, so that what the two frames' resampling does to fine grain does not count
COUNTED = 95  # % of the target's jumps; larger ones count as the last of these
TILE = 224  # px, of a sheet
TILES_A_ROW = 8
KINDS = ("target", "swapped")


@dataclass
class Track:
    """A face in frames in a row; by kind: of each frame landmarks and mean colour, and by how much
    the picture differs from that of the frame before, of 255.
    """

    face: Face
    sides: list[float] = field(default_factory=list)
    points: dict[str, list[np.ndarray]] = field(default_factory=dict)
    colours: dict[str, list[np.ndarray]] = field(default_factory=dict)
    changes: dict[str, list[float]] = field(default_factory=dict)

    def jumps(self, kind: str) -> np.ndarray:
        """Of each three frames in a row, in % of the face's side."""
        points = np.stack(self.points[kind])
        away = np.linalg.norm(points[:-2] - 2 * points[1:-1] + points[2:], axis=-1).mean(1)
        return 100 * away / np.array(self.sides[1:-1])

    def flicker(self, kind: str) -> np.ndarray:
        """Of each two frames in a row, of 255."""
        return np.linalg.norm(np.diff(np.stack(self.colours[kind]), axis=0), axis=1)

    def change(self, kind: str) -> np.ndarray:
        """Of each two frames in a row between which flow holds."""
        return np.array(self.changes.get(kind, []))


def to_crop(face: Face) -> np.ndarray:
    """[2, 3] from the frame to a crop of SIZE pixels."""
    return geometry.frame_to_crop_transform(face.landmarks, "simswap_frontal", SIZE)


def crop_of(frame: np.ndarray, frame_to_crop: np.ndarray) -> np.ndarray:
    """[SIZE, SIZE, 3] of 255."""
    crop = geometry.warp_to_crop(frame, frame_to_crop, SIZE).astype(np.float64)
    return cv2.GaussianBlur(crop, (0, 0), BLUR)


def over_mask(values: np.ndarray, face: Face) -> np.ndarray:
    """The mean of [SIZE, SIZE, C] over the geometric mask of a face: [C]."""
    weight = face_mask(geometry.apply(to_crop(face), face.landmarks), SIZE, SOFTNESS)
    return (values * weight[..., None]).sum((0, 1)) / weight.sum()


def same_face(face: Face, faces: Sequence[Face]) -> Face | None:
    """The one of `faces` that is the same."""
    if not faces:
        return None
    overlap = overlaps(face.box, np.stack([one.box for one in faces]))[0]
    return faces[int(overlap.argmax())] if overlap.max() >= SAME_FACE else None


class Measured:
    """The tracks of a clip."""

    def __init__(self, swapper: FaceSwapper) -> None:
        self._swapper = swapper
        self._live: list[Track] = []
        self._ended: list[Track] = []
        self._before: dict[str, np.ndarray] = {}

    def add(self, frame: np.ndarray, result: SwapResult) -> None:
        """Take the next frame, and what it became."""
        pictures = {"target": frame, "swapped": result.image}
        found = {kind: self._swapper.detect(picture) for kind, picture in pictures.items()}
        going_on: list[Track] = []
        for face in (result.faces[i] for i in result.swapped):
            if (side := float((face.box[2:] - face.box[:2]).max())) < LEAST_SIDE:
                continue
            seen = {kind: same_face(face, faces) for kind, faces in found.items()}
            if any(one is None for one in seen.values()):
                continue
            track = self._track(face, going_on)
            track.sides.append(side)
            for kind, one in {**seen, "used": face}.items():
                track.points.setdefault(kind, []).append(one.landmarks)
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
        here, motion = to_crop(face), None
        if track.colours:
            motion = motion_of(face, pictures["target"], self._before["target"])
        for kind, picture in pictures.items():
            crop = crop_of(picture, here)
            track.colours.setdefault(kind, []).append(over_mask(crop, face))
            if motion is not None:
                there = geometry.compose(geometry.invert(motion), here)
                change = np.abs(crop - crop_of(self._before[kind], there))
                track.changes.setdefault(kind, []).append(float(over_mask(change, face).mean()))


def told(name: str, tracks: Sequence[Track]) -> str:
    """A clip's figures, one line."""
    if not tracks:
        return f"{name}: no face stays for {LEAST_FRAMES} frames"

    def all_of(of: str, kind: str) -> np.ndarray:
        return np.concatenate([getattr(track, of)(kind) for track in tracks])

    most = np.percentile(all_of("jumps", "target"), COUNTED)
    jumps = {k: np.minimum(all_of("jumps", k), most).mean() for k in (*KINDS, "used")}
    colour, change = ({k: all_of(of, k).mean() for k in KINDS} for of in ("flicker", "change"))
    return (
        f"{name}: {len(tracks)} tracks; landmarks {jumps['swapped'] / jumps['target']:.2f} of "
        f"{jumps['target']:.2f} %; colour {colour['swapped'] / colour['target']:.2f} of "
        f"{colour['target']:.2f}; picture {change['swapped'] / change['target']:.2f} of "
        f"{change['target']:.2f}; aligned by {jumps['used'] / jumps['target']:.2f}"
    )


def tile(picture: np.ndarray, face: Face) -> np.ndarray:
    """A face and what is around it."""
    half = 0.75 * float((face.box[2:] - face.box[:2]).max())
    x, y = face.box.reshape(2, 2).mean(axis=0)
    scale = TILE / (2 * half)
    return cv2.warpAffine(
        picture,
        np.array([[scale, 0, (half - x) * scale], [0, scale, (half - y) * scale]]),
        (TILE, TILE),
        flags=cv2.INTER_AREA,
    )


def write_sheet(path: Path, tiles: Sequence[tuple[np.ndarray, np.ndarray]]) -> None:
    """Targets above results, frame after frame."""
    rows = []
    for start in range(0, len(tiles), TILES_A_ROW):
        some = list(tiles[start : start + TILES_A_ROW])
        some += [tuple(np.zeros_like(one) for one in some[0])] * (TILES_A_ROW - len(some))
        rows += [np.hstack(row) for row in zip(*some, strict=True)]
    write_photo(path, np.vstack(rows), model=None)


def main() -> None:
    """Swap, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("clips", type=Path, nargs="+", metavar="CLIP")
    parser.add_argument("--source", type=Path, required=True, help="photo of a face")
    parser.add_argument("--start", type=int, default=0, metavar="N", help="first frame")
    parser.add_argument("--frames", type=int, default=120, metavar="N", help="of each clip")
    parser.add_argument("--detect-every", type=int, default=3, metavar="N")
    parser.add_argument("--live", action="store_true", help="as the webcam is swapped")
    parser.add_argument("--no-steady", action="store_true")
    parser.add_argument("--no-watermark", action="store_true", help="without the watermark")
    parser.add_argument("--sheets", type=Path, metavar="FOLDER", help="of pictures, made if needed")
    given = parser.parse_args()
    swapper = FaceSwapper.from_pretrained()
    identity = swapper.identity_of(read_photo(given.source).image)
    options = SwapOptions(watermark=not given.no_watermark)
    stream = StreamOptions(given.detect_every, steady=not given.no_steady)
    for clip in given.clips:
        info = probe_video(clip)
        end = min(given.start + given.frames, info.num_frames)
        frames = list(read_frames(info, given.start, end))
        measured, tiles = Measured(swapper), []
        if given.live:
            results = swapper.swap_live(iter(frames), identity, options)
        else:
            results = swapper.swap_frames(iter(frames), identity, options, stream=stream)
        for frame, result in zip(frames, results, strict=True):
            measured.add(frame, result)
            tiles += [
                (tile(frame, result.faces[i]), tile(result.image, result.faces[i]))
                for i in islice(result.swapped, 1)
            ]
        print(told(clip.stem, measured.tracks()), flush=True)
        if given.sheets is not None and tiles:
            given.sheets.mkdir(parents=True, exist_ok=True)
            write_sheet(given.sheets / f"{clip.stem}.png", tiles)


if __name__ == "__main__":
    main()
