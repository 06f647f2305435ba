"""Does the watermark outlive what happens to pictures, and is it ever seen where it is not?

    python -m train.checks.watermark --data ../shared/data

Swaps the evaluation pairs through the whole pipeline, with the watermark and without, changes the
results as sharing them does, finds the faces anew and reads. Prints the share of swaps whose
watermark is read, how far it changes the picture, its time, and false positives in unmarked photos.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simswap import FaceSwapper, NoFaceFoundError, SimSwapError, SwapOptions, SwapResult, geometry
from simswap.media.photos import read_photo
from simswap.swap.stream import StreamOptions
from simswap.watermark.carrier import PLANE, TEMPLATE
from train.checks.watermark_channels import CHANNELS, resized
from train.evaluate.pairs import Pair, find_evaluation_folder, load_pairs

PROGRESS_EVERY = 20
FILM = StreamOptions(steady=True)


@dataclass
class WatermarkFigures:
    """Counts and decibels over the swaps; filled one by one.

    decoded: of each channel, swaps whose watermark is read as our model's; wrong: as another's.
    crop_psnr, photo_psnr: marked against unmarked result, over the marked faces' aligned squares
    and over the whole photo.
    """

    num_swaps: int = 0
    num_too_small: int = 0
    num_faceless: int = 0
    decoded: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    crop_psnr: list[float] = field(default_factory=list)
    photo_psnr: list[float] = field(default_factory=list)
    read_seconds: list[float] = field(default_factory=list)

    def to_markdown(self) -> str:
        """The table of robustness, and below it the other figures."""
        lines = ["| what was done to the swap | watermark read |", "|---|---|"]
        for name in CHANNELS:
            share = self.decoded[name] / max(self.num_swaps, 1)
            lines.append(f"| {name} | {share:.1%} |")
        crop, photo = np.array(self.crop_psnr), np.array(self.photo_psnr)
        lines += [
            "",
            f"{self.num_swaps} swaps; {self.num_too_small} more have a face too small for a "
            f"watermark, in {self.num_faceless} no face was found. Read as another model's: "
            f"{self.wrong}.",
            f"PSNR, marked against unmarked: {np.median(crop):.1f} dB over the faces' aligned "
            f"squares (at least {crop.min():.1f}), {np.median(photo):.1f} dB over the photo "
            f"(at least {photo.min():.1f}).",
            f"Reading takes {np.median(self.read_seconds) * 1e3:.0f} ms a photo (median, with "
            "detection).",
        ]
        return "\n".join(lines)


def measure_swaps(
    swapper: FaceSwapper,
    pairs: Sequence[Pair],
    enlarge: float = 1.0,
    brightness: float = 1.0,
    film: bool = False,
) -> WatermarkFigures:
    """Swap, change and read every pair. Raises MediaError if a photo cannot be read.

    enlarge, brightness: by which targets are enlarged and darkened first: watermarks of large
    faces and of dark ones are weaker. film: whether watermarks are those of a film's frames.
    """
    figures = WatermarkFigures()
    for number, pair in enumerate(pairs, start=1):
        try:
            identity = swapper.identity_of(pair.read_source())
            (target,) = resized(pair.read_target(), enlarge)
            target = np.rint(target * brightness).astype(np.uint8)
            plain = swapper.swap_image(target, identity, SwapOptions(watermark=False)).image
            if film:
                (marked,) = swapper.swap_frames([target], identity, stream=FILM)
            else:
                marked = swapper.swap_image(target, identity)
        except NoFaceFoundError:
            figures.num_faceless += 1
            continue
        if 0 not in marked.marked:
            figures.num_too_small += 1
            continue
        _measure(figures, swapper, marked, plain)
        if number % PROGRESS_EVERY == 0:
            _say(f"{number} of {len(pairs)} pairs: {dict(figures.decoded)}")
    return figures


def count_false_positives(swapper: FaceSwapper, photos: Iterator[np.ndarray]) -> tuple[int, int]:
    """Photos read, and those of them in which a watermark of any model was seen."""
    num_photos = num_marked = 0
    for photo in photos:
        num_photos += 1
        num_marked += bool(swapper.read_watermarks(photo))
        if num_photos % (10 * PROGRESS_EVERY) == 0:
            _say(f"{num_photos} unmarked photos read, {num_marked} of them taken for marked")
    return num_photos, num_marked


def unmarked_photos(data: Path, limit: int) -> Iterator[np.ndarray]:
    """Every photo of eval/, then evenly spread ones of faces/, up to `limit`."""
    paths = sorted((find_evaluation_folder(data) / "photos").iterdir())[:limit]
    yield from (read_photo(path).image for path in paths)
    if limit > len(paths):
        yield from _photos_of_shards(sorted((data / "faces").glob("*.parquet")), limit - len(paths))


def _photos_of_shards(shards: Sequence[Path], limit: int) -> Iterator[np.ndarray]:
    import io

    import pyarrow.parquet as parquet
    from PIL import Image

    for number, shard in enumerate(shards):
        wanted = limit * (number + 1) // len(shards) - limit * number // len(shards)
        column = parquet.read_table(shard, columns=["image"])["image"]
        for row in np.linspace(0, len(column) - 1, wanted).astype(int):
            image = column[int(row)].as_py()
            content = image["bytes"] if isinstance(image, dict) else image
            yield np.array(Image.open(io.BytesIO(content)).convert("RGB"))


def _measure(
    figures: WatermarkFigures,
    swapper: FaceSwapper,
    marked: SwapResult,
    plain: np.ndarray,
) -> None:
    figures.num_swaps += 1
    errors = (marked.image.astype(np.float64) - plain) ** 2
    # Of all faces together: the squares of neighbours overlap, and each is marked by itself.
    area = sum(_square_of(marked.faces[number].landmarks) for number in marked.marked)
    figures.crop_psnr.append(10 * np.log10(255**2 * area / errors.mean(axis=2).sum()))
    figures.photo_psnr.append(10 * np.log10(255**2 / errors.mean()))
    for name, change in CHANNELS.items():
        found: set[int] = set()
        for frame in change(marked.image):
            started = time.perf_counter()
            found |= {reading.bundle_id for reading in swapper.read_watermarks(frame)}
            figures.read_seconds.append(time.perf_counter() - started)
            if swapper.watermark_id in found:
                break  # of a clip, one frame is enough
        figures.decoded[name] += swapper.watermark_id in found
        figures.wrong += bool(found - {swapper.watermark_id})


def _square_of(landmarks: np.ndarray) -> float:
    """Area, in pixels of the frame, of the watermark plane of a face."""
    to_plane = geometry.frame_to_crop_transform(landmarks, TEMPLATE, PLANE)
    return (PLANE / geometry.scale_of(to_plane)) ** 2


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m train.checks.watermark", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder above eval/ and faces/"
    )
    parser.add_argument("--model", help="bundle folder or Hub repo id (default: the bundled model)")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N pairs; 0: none")
    parser.add_argument(
        "--enlarge", type=float, default=1.0, metavar="TIMES", help="targets, before the swap"
    )
    parser.add_argument(
        "--brightness", type=float, default=1.0, metavar="SHARE", help="of targets; below 1: darker"
    )
    parser.add_argument(
        "--film", action="store_true", help="watermarks as a film's frames carry them"
    )
    parser.add_argument(
        "--photos", type=int, default=3000, metavar="N", help="unmarked photos (default 3000)"
    )
    arguments = parser.parse_args(argv)
    if not 0.25 <= arguments.enlarge <= 16:
        parser.error(f"--enlarge {arguments.enlarge:g} is outside 0.25 to 16.")
    if not 0 < arguments.brightness <= 1:
        parser.error(f"--brightness {arguments.brightness:g} is outside 0 to 1.")
    try:
        swapper = FaceSwapper.from_pretrained(arguments.model)
        if arguments.limit != 0:
            folder = find_evaluation_folder(arguments.data)
            pairs = load_pairs(folder, None, arguments.limit)
            how = (arguments.enlarge, arguments.brightness, arguments.film)
            figures = measure_swaps(swapper, pairs, *how)
            print(figures.to_markdown())
        if arguments.photos:
            photos = unmarked_photos(arguments.data, arguments.photos)
            num_photos, num_marked = count_false_positives(swapper, photos)
            print(f"Unmarked photos taken for marked: {num_marked} of {num_photos}.")
    except SimSwapError as error:
        _say(f"Error: {error}")
        return 1
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
