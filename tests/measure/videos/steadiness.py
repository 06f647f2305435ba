"""How steady a swapped video is, against the video itself.

    python tests/measure/videos/steadiness.py --source face.jpg clip.mp4 other.mp4 --frames 120

Prints, for each clip, as ratios to the target's own: how much the landmarks of swapped faces jump
from frame to frame; how much the faces' mean colour flickers; and how much of the picture changes
once the face's motion is taken out (train/evaluate/videos/steadiness.py). Pixels are judged before
they are encoded; `python -m train.evaluate.videos` judges files. `--no-watermark` leaves out the
watermark; `--read` says in how many of some frames it is read after H.264; `--sheets FOLDER` writes
pictures to look at.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[3]))

from simswap import FaceSwapper, SwapOptions
from simswap.media.photos import read_photo, write_photo
from simswap.swap.stream import StreamOptions
from simswap.types import Face
from simswap.video.source.info import probe_video
from simswap.video.source.reading import read_frames
from train.checks.watermark_channels import filmed
from train.evaluate.videos.steadiness import LEAST_FRAMES, SteadinessMeter, Track, Unsteadiness

TILE = 224  # px, of a sheet
TILES_A_ROW = 8
CRF, READ_EVERY = 23, 6  # of x264; frames, of which the watermark is read


def told(name: str, tracks: Sequence[Track]) -> str:
    """A clip's figures, one line."""
    if not tracks:
        return f"{name}: no face stays for {LEAST_FRAMES} frames"
    found, side = Unsteadiness.of(tracks), np.concatenate([one.sides for one in tracks]).mean()
    jumps, flicker, change = (
        f"{found.ratio(of):.2f} of {getattr(found, of)['target']:.2f}"
        for of in ("jumps", "flicker", "change")
    )
    return (
        f"{name}: {len(tracks)} tracks; landmarks {jumps} % "
        f"({found.jumps['swapped'] * side / 100:.2f} px of {side:.0f}); colour {flicker}; "
        f"picture {change}; aligned by {found.ratio('jumps', 'used'):.2f}"
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
    parser.add_argument("--read", action="store_true", help="read the watermark")
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
        measured, tiles, images = SteadinessMeter(swapper), [], []
        if given.live:
            results = swapper.swap_live(iter(frames), identity, options)
        else:
            results = swapper.swap_frames(iter(frames), identity, options, stream=stream)
        for frame, result in zip(frames, results, strict=True):
            used = [result.faces[i] for i in result.swapped]
            measured.add(frame, result.image, swapper.detect(frame), used)
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
