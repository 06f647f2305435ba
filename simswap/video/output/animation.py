"""Animations, GIF and WebP, which Pillow writes from segments that keep every pixel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from simswap.errors import OptionError
from simswap.video.output.writing import Encoding
from simswap.video.source.container import opened
from simswap.video.source.info import VideoInfo

# Of all pictures: Pillow holds a byte of each while it writes a GIF, which may be as large where
# they are noise, and C2PA's library holds it twice to sign it.
MAX_PIXELS = 100_000_000
_NAMES = {"gif": "GIF", "webp": "WebP"}
_UNITS = {"gif": 10, "webp": 1}  # milliseconds in which times are told
_SHORTEST = {"gif": 20, "webp": 11}  # ms; what is to last less is shown for 100 by browsers
_LONGEST = {"gif": 655_350, "webp": 16_777_215}  # ms, of one picture
_QUALITY = 90  # of a WebP


def check_result(info: VideoInfo, first: int, end: int, encoding: Encoding) -> None:
    """Raise OptionError if frames `first` to `end` - 1 are too much for an animation."""
    num_pixels = info.width * info.height * (end - first)
    if encoding.is_animation and num_pixels > MAX_PIXELS:
        raise OptionError(
            f"{end - first} frames of {info.width}x{info.height} are {num_pixels / 1e6:.0f} million"
            f" pixels; a {_NAMES[encoding.format]} may have {MAX_PIXELS // 1_000_000} million here."
            " Choose a shorter part with start and end, or write a .mp4."
        )


def write_animation(
    segments: Sequence[Path],
    info: VideoInfo,
    span: tuple[int, int],
    format: str,
    part: Path,
    metadata: Mapping[str, str],
) -> tuple[str, ...]:
    """Write the frames span[0] to span[1] - 1 of a video, which are in the segments, to `part`.

    metadata: a "comment" of a GIF, "xmp" of a WebP. An animation is played as often as the source,
    a film's without end. Returns notices of what is lost.
    """
    kept, delays = _schedule(info, span, format)
    film = _Film(_frames(segments, kept), len(kept), (info.width, info.height))
    how = {"loop": info.num_plays or 0, "quality": _QUALITY}
    if format == "gif":
        # Where it is not told to be repeated, a GIF is shown once.
        how = {} if info.num_plays == 1 else {"loop": max(how["loop"] - 1, 0)}
        how["optimize"] = False  # takes very long, to save little where pictures have noise
    film.save(part, _NAMES[format], save_all=True, duration=delays, **how, **metadata)
    return _losses(info, format, num_left_out=span[1] - span[0] - len(kept))


def _schedule(info: VideoInfo, span: tuple[int, int], format: str) -> tuple[list[int], list[int]]:
    """Which frames are kept, counted from span[0], and for how many milliseconds each is shown."""
    unit, shortest = _UNITS[format], _SHORTEST[format]
    times = [*info.frame_times.tolist(), info.end_time][span[0] : span[1] + 1]
    in_units = [round(Fraction(t - times[0]) * info.time_base * 1000 / unit) for t in times]
    shown = [unit * time for time in in_units]
    kept = [0]
    for number, time in enumerate(shown[:-1]):
        if time - shown[kept[-1]] >= shortest:
            kept.append(number)
    starts = [shown[number] for number in kept]
    delays = np.diff([*starts, max(shown[-1], starts[-1] + shortest)])
    return kept, delays.clip(max=_LONGEST[format]).tolist()


def _frames(segments: Sequence[Path], kept: Sequence[int]) -> Iterator[np.ndarray]:
    """Those frames of the segments, [H, W, 3] uint8 RGB."""
    wanted, number = frozenset(kept), 0
    for segment in segments:
        with opened(segment) as container:
            for frame in container.decode(video=0):
                if number in wanted:
                    yield frame.to_ndarray(format="rgb24")
                number += 1


def _losses(info: VideoInfo, format: str, num_left_out: int) -> tuple[str, ...]:
    name, found = _NAMES[format], []
    if info.has_audio:
        found.append(f"A {name} has no sound: the sound ({info.audio_codec}) is left out.")
    if info.num_subtitles:
        tracks = "1 track is" if info.num_subtitles == 1 else f"{info.num_subtitles} tracks are"
        found.append(f"A {name} has no subtitles: {tracks} left out.")
    if info.num_chapters:
        found.append(f"A {name} has no chapters, of which there are {info.num_chapters}.")
    if format == "gif":
        found.append("A picture of a GIF has 256 colours.")
    if num_left_out:
        found.append(
            f"{num_left_out} frames are left out: browsers show none of a {name} for less than "
            f"{_SHORTEST[format]} ms."
        )
    if info.sample_aspect != 1:
        found.append(f"A {name} has square pixels: the picture looks wider or narrower.")
    return tuple(found)


class _Film(Image.Image):
    """Frames as Pillow takes those of an animation, of which only the newest is held."""

    def __init__(self, frames: Iterator[np.ndarray], num_frames: int, size: tuple[int, int]):
        super().__init__()
        blank = Image.new("RGB", size)
        self.im, self._mode, self._size = blank.im, blank.mode, blank.size
        self.n_frames = num_frames
        self._frames, self._shown = frames, -1
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Show a frame; only those that come later can be had, and the first at the end."""
        if frame >= self.n_frames:
            raise EOFError
        while self._shown < frame:
            self.paste(Image.fromarray(next(self._frames)))
            self._shown += 1

    def tell(self) -> int:
        """The number of the frame shown."""
        return max(self._shown, 0)
