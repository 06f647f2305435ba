"""How a video's numbers mean colours, and the way to RGB frames and back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from simswap.media.colours.high_range import HLG, PQ, to_standard_range
from simswap.video.source.picture.side_data import Mastering, mastering_of

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
    mastering: of HDR.
    """

    space: int = UNSPECIFIED
    range: int = 0
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    mastering: Mastering | None = None

    def __post_init__(self) -> None:
        if self.range not in (0, 1, 2):
            raise ValueError(f"colour range is 0, 1 or 2, not {self.range}")

    @property
    def is_high_range(self) -> bool:
        """Whether it is HDR (PQ or HLG)."""
        return self.transfer in (PQ, HLG)

    @property
    def in_standard_range(self) -> Colour:
        """The same, but for HDR, which becomes BT.709."""
        return STANDARD if self.is_high_range else self

    def matrix(self, height: int) -> Colorspace:
        """The matrix between RGB and the stored numbers; `height` decides where none is told."""
        guess = Colorspace.ITU709 if height >= _HD_HEIGHT else Colorspace.ITU601
        if self.is_high_range:
            guess = Colorspace.BT2020
        return _MATRICES.get(self.space, guess)

    @property
    def range_used(self) -> ColorRange:
        """Full (black is 0 and white 255), or limited where the file does not say."""
        return ColorRange.JPEG if self.range == ColorRange.JPEG else ColorRange.MPEG


def colour_of(frame: VideoFrame) -> Colour:
    """The colour a decoded frame has, as its own tags tell."""
    if frame.format.is_rgb or frame.format.name in ("pal8", "gray", "monow", "monob"):
        # RGB becomes BT.709 on the way out, and says so.
        return STANDARD
    is_full = frame.format.name.startswith("yuvj") or frame.color_range == ColorRange.JPEG
    value = int(ColorRange.JPEG) if is_full else int(frame.color_range)
    space = UNSPECIFIED if int(frame.colorspace) == _RGB else int(frame.colorspace)
    colour = Colour(space, value, int(frame.color_primaries), int(frame.color_trc))
    return replace(colour, mastering=mastering_of(frame)) if colour.is_high_range else colour


STANDARD = Colour(_BT709, int(ColorRange.MPEG), _BT709, _BT709)


class ColourConverter:
    """Turns decoded frames into RGB arrays and back, always with the same matrix and range.

    HDR is read as a display of standard range shows it, or as it is.

    Not for several threads at once. width, height: of the stored pictures, in pixels; a frame of
    another size, as some streams change to on their way, is scaled to it.
    """

    def __init__(self, colour: Colour, width: int, height: int):
        self._width, self._height = width, height
        standard = colour.in_standard_range
        self._own = colour.matrix(height), colour.range_used
        self._standard = standard.matrix(height), standard.range_used
        self._transfer = colour.transfer if colour.is_high_range else None
        self._reformatter = VideoReformatter()

    def to_rgb(self, frame: VideoFrame) -> np.ndarray:
        """uint8 [H, W, 3] RGB of a decoded frame, in standard range."""
        if self._transfer is None:
            return self._read(frame, "rgb24")
        return to_standard_range(self.to_deep_rgb(frame), self._transfer)

    def to_deep_rgb(self, frame: VideoFrame) -> np.ndarray:
        """uint16 [H, W, 3] RGB of a decoded frame, in its own transfer and primaries."""
        return self._read(frame, "gbrp16le")  # rgb48le comes out wrong

    def _read(self, frame: VideoFrame, depth: str) -> np.ndarray:
        is_rgb = frame.format.is_rgb or frame.format.name == "pal8"
        matrix, value = self._own
        rgb = self._reformatter.reformat(
            frame,
            width=self._width,
            height=self._height,
            format=depth,
            src_colorspace=None if is_rgb else matrix,
            dst_colorspace=None if is_rgb else matrix,
            src_color_range=ColorRange.JPEG if is_rgb else value,
            dst_color_range=ColorRange.JPEG,
            interpolation=_FLAGS,
            threads=1,
        )
        return rgb.to_ndarray()

    def to_yuv(self, image: np.ndarray) -> VideoFrame:
        """yuv420p frame of what to_rgb gave; of what to_deep_rgb gave, yuv420p10le."""
        if image.dtype == np.uint16:
            frame, format = VideoFrame.from_ndarray(image, format="gbrp16le"), "yuv420p10le"
            matrix, value = self._own
        else:
            pixels = np.ascontiguousarray(image)
            frame, format = VideoFrame.from_numpy_buffer(pixels, format="rgb24"), "yuv420p"
            matrix, value = self._standard
        return self._reformatter.reformat(
            frame,
            format=format,
            src_colorspace=matrix,
            dst_colorspace=matrix,
            src_color_range=ColorRange.JPEG,
            dst_color_range=value,
            interpolation=_FLAGS,
            threads=1,
        )
