"""How steady a swapped video is, against the video itself.

    python tests/measure/videos/steadiness.py --source face.jpg clip.mp4 other.mp4 --frames 120

Prints, for each clip, as ratios to the target's own: how much the landmarks of swapped faces jump
from frame to frame, and their pictures by optical flow; how much the faces' mean colour flickers;
how much of the picture changes once the face's motion is taken out; and how much the mask's edge
jumps (train/evaluate/videos/steadiness.py). Pixels are judged before they are encoded; `python -m
train.evaluate.videos` judges files. `--no-watermark` leaves out the watermark; `--noise` judges the
target with noise in the swap's place: what its judges see of nothing; `--read` says in how many of
some frames the watermark is read after H.264; `--sheets FOLDER` writes pictures to look at.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from simswap import FaceSwapper, SwapOptions, geometry
from simswap.media.photos import read_photo, write_photo
from simswap.swap.rendering import AlignedFace, fit_crop
from simswap.swap.selection import SwapPlan
from simswap.swap.stream import StreamOptions
from simswap.types import Face, SwapResult
from simswap.video.source.info import probe_video
from simswap.video.source.reading import read_frames
from train.checks.watermark_channels import filmed
from train.evaluate.videos.steadiness import (
    LEAST_FRAMES,
    SteadinessMeter,
    Track,
    Unsteadiness,
    mask_edge,
)

TILE = 224  # px, of a sheet
TILES_A_ROW = 8
CRF, READ_EVERY = 23, 6  # of x264; frames, of which the watermark is read


class WatchedSwapper(FaceSwapper):
    """Keeps the edges of the masks by which it pastes: of each frame's swapped faces."""

    def __init__(self, *given: object) -> None:
        """See FaceSwapper."""
        super().__init__(*given)
        self.edges: list[list[np.ndarray]] = []

    def render(
        self,
        frames: Sequence[np.ndarray],
        plans: Sequence[SwapPlan],
        options: SwapOptions,
        **how: bool,
    ) -> list[SwapResult]:
        """See Pipeline.render."""
        if any(plan.covers is None for plan in plans):
            plans = self.with_covers(frames, plans, options)
        for frame, plan in zip(frames, plans, strict=True):
            faces = zip(self._aligned(frame, plan), plan.covers.values(), strict=True)
            self.edges.append([edge_in_frame(frame, *face, options) for face in faces])
        return super().render(frames, plans, options, **how)


def edge_in_frame(
    frame: np.ndarray, face: AlignedFace, cover: np.ndarray | None, options: SwapOptions
) -> np.ndarray:
    """Where a face's mask ends, in pixels of its frame, see mask_edge."""
    plain = replace(options, match_colour=False, match_light=False)
    face, crop = fit_crop(frame, face, np.float32(face.crop) / 255, plain, cover)
    edge = mask_edge(crop.mask, face.landmarks)
    return geometry.apply(geometry.invert(face.frame_to_crop), edge)


def told(name: str, tracks: Sequence[Track]) -> str:
    """A clip's figures, one line."""
    if not tracks:
        return f"{name}: no face stays for {LEAST_FRAMES} frames"
    found, side = Unsteadiness.of(tracks), np.concatenate([one.sides for one in tracks]).mean()
    jumps, shakes, flicker, change = (
        f"{found.ratio(of):.2f} of {getattr(found, of)['target']:.2f}"
        for of in ("jumps", "shakes", "flicker", "change")
    )
    return (
        f"{name}: {len(tracks)} tracks; landmarks {jumps} % "
        f"({found.jumps['swapped'] * side / 100:.2f} px of {side:.0f}); by flow {shakes} %; "
        f"colour {flicker}; picture {change}; aligned by {found.ratio('jumps', 'used'):.2f}; "
        f"mask's edge {found.ratio('jumps', 'edge'):.2f}, at most "
        f"{max(one.jumps('edge').max() for one in tracks):.1f} % where landmarks are at most "
        f"{max(one.jumps('target').max() for one in tracks):.1f} %"
    )


def noisy(frame: np.ndarray, sigma: float, random: np.random.Generator) -> np.ndarray:
    """A frame with grey noise of so many of 255."""
    noise = random.normal(0, sigma, (*frame.shape[:2], 1))
    return np.rint(np.clip(frame + noise, 0, 255)).astype(np.uint8)


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
    parser.add_argument("--noise", type=float, metavar="SIGMA", help="of 255, in place of the swap")
    parser.add_argument("--read", action="store_true", help="read the watermark")
    parser.add_argument("--sheets", type=Path, metavar="FOLDER", help="of pictures, made if needed")
    given = parser.parse_args()
    swapper = WatchedSwapper.from_pretrained()
    identity = swapper.identity_of(read_photo(given.source).image)
    options = SwapOptions(watermark=not given.no_watermark)
    stream = StreamOptions(given.detect_every, steady=not given.no_steady)
    random = np.random.default_rng(0)
    for clip in given.clips:
        info = probe_video(clip)
        end = min(given.start + given.frames, info.num_frames)
        frames = list(read_frames(info, given.start, end))
        measured, tiles, images = SteadinessMeter(swapper), [], []
        swapper.edges.clear()
        if given.live:
            results = swapper.swap_live(iter(frames), identity, options)
        else:
            results = swapper.swap_frames(iter(frames), identity, options, stream=stream)
        for number, (frame, result) in enumerate(zip(frames, results, strict=True)):
            used = [result.faces[i] for i in result.swapped]
            image = result.image if given.noise is None else noisy(frame, given.noise, random)
            measured.add(frame, image, swapper.detect(frame), used, swapper.edges[number])
            if given.read:
                images.append(result.image)
            tiles += [
                (tile(frame, result.faces[i]), tile(result.image, result.faces[i]))
                for i in islice(result.swapped, 1)
            ]
        print(told(clip.stem, measured.tracks()), flush=True)
        if given.read:
            read = [bool(swapper.read_watermarks(one)) for one in filmed(images, CRF)[::READ_EVERY]]
            print(f"  watermark read in {sum(read)} of {len(read)} frames at CRF {CRF}", flush=True)
        if given.sheets is not None and tiles:
            given.sheets.mkdir(parents=True, exist_ok=True)
            write_sheet(given.sheets / f"{clip.stem}.png", tiles)


if __name__ == "__main__":
    main()
