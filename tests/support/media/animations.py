"""Animated files, made on the spot by Pillow; each picture carries its number."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from tests.support.media.video_files import numbered_frame

DELAYS = (40, 50, 100, 70, 40, 200, 30, 500)  # ms


def make_animation(
    path: Path,
    delays: Sequence[int] = DELAYS,
    num_plays: int = 0,
    size: tuple[int, int] = (96, 64),
    **how: object,
) -> Path:
    """Write an animation of the kind that the path's ending says.

    delays: milliseconds for which each picture is shown. num_plays: 0 without end. size: width and
    height. how: Pillow's own options.
    """
    pictures = [Image.fromarray(numbered_frame(number, *size)) for number in range(len(delays))]
    loop: dict[str, object] = {"loop": num_plays}
    if path.suffix == ".gif":
        loop = {} if num_plays == 1 else {"loop": max(num_plays - 1, 0)}
    elif path.suffix == ".webp":
        loop["lossless"] = True
    first, *rest = pictures
    first.save(path, save_all=True, append_images=rest, duration=list(delays), **loop, **how)
    return path
