"""Encodes stretches of a video, each by itself into a file from which any number can be joined."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import av
import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from simswap.errors import OptionError
from simswap.files import JOB, replaced
from simswap.media.colours.high_range import bring_back
from simswap.video.source.container import naming_failures
from simswap.video.source.info import VideoInfo
from simswap.video.source.picture.colour import ColourConverter
from simswap.video.source.picture.side_data import Mastering
from simswap.video.source.reading import WatchedReader, read_deep_frames

ANIMATION_FORMATS = ("gif", "webp")
FORMATS = ("mp4", "mov", "mkv", "webm", *ANIMATION_FORMATS)
HIGH_RANGE_FORMATS = ("mp4", "mov", "mkv")
# x265 tells decoding times from its third frame on; those of fewer frames are whatever its memory
# held, which often cannot be written.
_UNTIMED = 2
# px; x265, as PyAV 18.1 has it, writes beyond its memory for narrower frames (seen at 16 to 48).
MIN_HIGH_RANGE_SIDE = 64
PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
)
_DEFAULT_CRF = {"libx264": 18, "libx265": 18, "libvpx-vp9": 28}
_MAX_CRF = {"libx264": 51, "libx265": 51, "libvpx-vp9": 63}
_LOSSLESS = "bgr0"  # pixels of an animation's segments
# The number of threads shapes the bits: fixed, so that every machine writes the same file.
_THREADS = 4
# So is what x264 may use of a CPU: its AVX-512 code gives other bits from run to run for frames of
# some widths (measured with PyAV 18.1's x264: 240, 320 and 480 px), and a resumed job would tell.
_AVX_512F = 13  # OpenCV's number for it, which has no name in Python
# An encoder holds frames to look ahead, tens of them. Of those up to Full HD that is little memory.
_LARGE = 1920 * 1088  # pixels
_AHEAD_BYTES = 25_000_000  # of larger frames: two of 4K


@dataclass(frozen=True)
class Encoding:
    """How a video is written.

    format: "mp4", "mov" or "mkv" (H.264), "webm" (VP9), "gif" or "webp" (an animation). crf:
    quality, lower is better and larger (H.264: 0 to 51, 18 is hard to tell from the original; VP9:
    0 to 63; an animation has none); None: 18 and 28. preset: speed against size, one of x264's
    names, fast to slow; for webm they choose the nearest speed of VP9. is_high_range: HDR stays
    HDR, as HEVC of 10 bits, whose crf and presets are H.264's; of HIGH_RANGE_FORMATS only.
    """

    format: str = "mp4"
    crf: int | None = None
    preset: str = "veryfast"
    is_high_range: bool = False

    def __post_init__(self) -> None:
        if self.format not in FORMATS:
            raise OptionError(f'format is "{self.format}"; choose one of {", ".join(FORMATS)}.')
        if self.preset not in PRESETS:
            raise OptionError(f'preset is "{self.preset}"; choose one of {", ".join(PRESETS)}.')
        if self.is_animation:
            if self.crf is not None:
                raise OptionError(f"crf is {self.crf}; a .{self.format} has none. Leave it out.")
            return
        highest = _MAX_CRF[self.codec]
        if self.crf is not None and not 0 <= self.crf <= highest:
            raise OptionError(f"crf is {self.crf}; give a number from 0 (best) to {highest}.")

    @property
    def is_animation(self) -> bool:
        """Whether the result has pictures only, which Pillow writes."""
        return self.format in ANIMATION_FORMATS

    @property
    def quality(self) -> int | None:
        """The crf that is used; None for an animation."""
        return _DEFAULT_CRF.get(self.codec) if self.crf is None else self.crf

    @property
    def codec(self) -> str:
        """The encoder's name; a segment of an animation keeps every pixel."""
        if self.is_animation:
            return "ffv1"
        if self.format == "webm":
            return "libvpx-vp9"
        return "libx265" if self.is_high_range else "libx264"

    @property
    def pixels(self) -> str:
        """The library's name of how pixels are stored."""
        if self.is_animation:
            return _LOSSLESS
        return "yuv420p10le" if self.is_high_range else "yuv420p"

    @property
    def container(self) -> str:
        """The library's name of the container."""
        return "matroska" if self.format == "mkv" else self.format

    def options(
        self, width: int, height: int, mastering: Mastering | None = None
    ) -> dict[str, str]:
        """The encoder's own options for frames of a size; it holds few large ones.

        mastering: of HDR, to be told.
        """
        if self.is_animation:
            return {}
        is_large = width * height > _LARGE
        ahead = max(_AHEAD_BYTES // (width * height * 3 // 2), 1)
        if self.codec == "libx264":
            more = ["asm=avx2"] if cv2.checkHardwareSupport(_AVX_512F) else []
            if is_large:
                more += [f"rc-lookahead={ahead}", "sync-lookahead=0", "bframes=0"]
            own = {"x264-params": ":".join(more)} if more else {}
            return {"crf": str(self.quality), "preset": self.preset} | own
        if self.codec == "libx265":
            more = ["log-level=none", "info=0", "open-gop=0", *_told(mastering or Mastering())]
            if is_large:  # in 10 bits, of two bytes each
                more += [f"rc-lookahead={max(ahead // 2, 1)}", "bframes=0", "frame-threads=1"]
            own = {"x265-params": ":".join(more)}
            return {"crf": str(self.quality), "preset": self.preset} | own
        speed = max(0, 8 - PRESETS.index(self.preset))
        return {
            "crf": str(self.quality),
            "b": "0",
            "deadline": "good" if speed <= 5 else "realtime",
            "cpu-used": str(speed),
            "row-mt": "1",
        } | ({"lag-in-frames": str(ahead)} if is_large else {})

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height as stored: H.264 and HEVC in 4:2:0 take even numbers only."""
        if self.codec in ("libx264", "libx265"):
            return width + width % 2, height + height % 2
        return width, height


def _told(mastering: Mastering) -> list[str]:
    """What x265 is to write of it."""
    parameters = []
    if mastering.display is not None:
        *points, least, most = mastering.display
        red, green, blue, white = (
            f"({x},{y})" for x, y in zip(points[::2], points[1::2], strict=True)
        )
        display = f"G{green}B{blue}R{red}WP{white}L({most},{least})"
        parameters.append(f"master-display={display}")
    if mastering.content is not None:
        parameters.append("max-cll={},{}".format(*mastering.content))
    return parameters


class SegmentWriter:
    """Encodes consecutive frames of a video into one segment file.

    The file appears under its name only when `close` has finished it; leaving the `with` block by
    an exception leaves nothing behind. Its frames have the times of the video's frames from
    number `first` on. An odd width or height is made even, where the format needs it, by
    repeating the last column or row. HDR that stays so is read once more beside them: only what
    was changed of its frames in standard range is changed in those.
    """

    def __init__(self, path: Path, info: VideoInfo, encoding: Encoding, first: int):
        self._path = path
        self._info, self._encoding, self._first = info, encoding, first
        self._num_written = 0
        self._converter = ColourConverter(info.colour, *info.stored_size)
        self._originals: WatchedReader | None = None
        if encoding.is_high_range:
            self._originals = read_deep_frames(info, first)
        with naming_failures(path), ExitStack() as stack:
            part = stack.enter_context(replaced(path, durable=True, owner=JOB))
            # NUT, because it keeps any time base exactly.
            self._container = av.open(str(part), "w", format="nut", options={"fflags": "+bitexact"})
            self._stream = self._add_stream()
            self._container.start_encoding()
            self._file = stack.pop_all()

    def __enter__(self) -> SegmentWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self.close()
            return
        self._let_go()
        with suppress(FFmpegError, OSError):  # it is thrown away in any case
            self._container.close()
        self._file.__exit__(kind, error, trace)

    def write(self, image: np.ndarray) -> None:
        """Append an upright frame, uint8 [H, W, 3] RGB of the video's size, in standard range."""
        info = self._info
        if image.shape != (info.height, info.width, 3) or image.dtype != np.uint8:
            raise ValueError(f"a frame is uint8 {(info.height, info.width, 3)}, not {image.shape}")
        number = self._first + self._num_written
        if self._originals is not None:
            original = next(self._originals)
            bring_back(original, image, info.colour.transfer)
            image = original
        size = self._encoding.size(info.width, info.height)
        frame = self._frame(_padded(image, *size))
        frame.pts = int(info.frame_times[number] - info.frame_times[self._first])
        frame.time_base = info.time_base
        with naming_failures(self._path):
            self._container.mux(self._stream.encode(frame))
        self._num_written += 1

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._let_go()
        with naming_failures(self._path), self._file:
            try:
                for packet in self._stream.encode():
                    if self._num_written <= _UNTIMED:  # these are stored in the order of showing
                        packet.dts = packet.pts
                    self._container.mux(packet)
            finally:
                self._container.close()

    def _let_go(self) -> None:
        if self._originals is not None:
            self._originals.close()

    def _frame(self, image: np.ndarray) -> VideoFrame:
        if self._encoding.is_animation:
            return VideoFrame.from_ndarray(image).reformat(format=_LOSSLESS)
        return self._converter.to_yuv(image)

    def _add_stream(self) -> VideoStream:
        info, encoding = self._info, self._encoding
        colour = info.colour if encoding.is_high_range else info.colour.in_standard_range
        size = encoding.size(info.width, info.height)
        options = encoding.options(*size, colour.mastering)
        stream = self._container.add_stream(encoding.codec, rate=info.frame_rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = encoding.pixels
        stream.time_base = stream.codec_context.time_base = info.time_base
        context = stream.codec_context
        context.sample_aspect_ratio = info.sample_aspect
        context.thread_count = _THREADS
        if encoding.is_animation:
            return stream
        context.color_range = colour.range
        context.colorspace = colour.space
        context.color_primaries = colour.primaries
        context.color_trc = colour.transfer
        return stream


def _padded(image: np.ndarray, width: int, height: int) -> np.ndarray:
    rows, columns = height - image.shape[0], width - image.shape[1]
    if rows or columns:
        return np.pad(image, ((0, rows), (0, columns), (0, 0)), mode="edge")
    return image
