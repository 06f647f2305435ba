"""How a video's numbers mean colours, and the way to RGB frames and back."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

# Codes of ITU-T H.273, as the container and the codec write them.
UNSPECIFIED = 2
_RGB = 0
_BT709 = 1
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_HD_HEIGHT = 720  # what players guess by where a file does not say: below it BT.601
_FLAGS = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


@dataclass(frozen=True)
class Colour:
    """What a video's numbers stand for.

    space (matrix), primaries, transfer: codes of ITU-T H.273, 2 where the file does not say.
    range: 1 limited (16 to 235), 2 full (0 to 255), 0 where the file does not say (limited).
    """

    space: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    def __post_init__(self) -> None:
        if self.range not in (0, 1, 2):
            raise ValueError(f"colour range is 0, 1 or 2, not {self.range}")

    def matrix(self, height: int) -> Colorspace:
        """The matrix between RGB and the stored numbers; `height` decides where none is told."""
        guess = Colorspace.ITU709 if height >= _HD_HEIGHT else Colorspace.ITU601
        return _MATRICES.get(self.space, guess)

    @property
    def is_full_range(self) -> bool:
        """Whether black is 0 and white 255."""
        return self.range == ColorRange.JPEG


def colour_of(frame: VideoFrame) -> Colour:
    """The colour a decoded frame has, as its own tags tell."""
    if frame.format.is_rgb or frame.format.name in ("pal8", "gray", "monow", "monob"):
        # RGB becomes BT.709 on the way out, and says so.
        return Colour(_BT709, int(ColorRange.MPEG), _BT709, _BT709)
    is_full = frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
    value = int(ColorRange.JPEG) if is_full else int(frame.color_range)
    space = UNSPECIFIED if int(frame.colorspace) == _RGB else int(frame.colorspace)
    return Colour(space, value, int(frame.color_primaries), int(frame.color_trc))


class ColourConverter:
    """Turns decoded frames into RGB arrays and back, always with the same matrix and range.

    Not for several threads at once. width, height: of the stored pictures, in pixels; a frame of
    another size, as some streams change to on their way, is scaled to it.
    """

    def __init__(self, colour: Colour, width: int, height: int):
        self._width, self._height = width, height
        self._matrix = colour.matrix(height)
        self._range = ColorRange.JPEG if colour.is_full_range else ColorRange.MPEG
        self._reformatter = VideoReformatter()

    def to_rgb(self, frame: VideoFrame) -> np.ndarray:
        """uint8 [H, W, 3] RGB of a decoded frame."""
        is_rgb = frame.format.is_rgb or frame.format.name == "pal8"
        rgb = self._reformatter.reformat(
            frame,
            width=self._width,
            height=self._height,
            format="rgb24",
            src_colorspace=None if is_rgb else self._matrix,
            dst_colorspace=None if is_rgb else self._matrix,
            src_color_range=ColorRange.JPEG if is_rgb else self._range,
            dst_color_range=ColorRange.JPEG,
            interpolation=_FLAGS,
            threads=1,
        )
        return rgb.to_ndarray()

    def to_yuv(self, image: np.ndarray) -> VideoFrame:
        """yuv420p frame of a uint8 [H, W, 3] RGB array."""
        frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="rgb24")
        return self._reformatter.reformat(
            frame,
            format="yuv420p",
            src_colorspace=self._matrix,
            dst_colorspace=self._matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=self._range,
            interpolation=_FLAGS,
            threads=1,
        )
