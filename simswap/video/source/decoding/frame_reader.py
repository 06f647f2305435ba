"""Decodes stretches of a video: upright RGB frames, exactly those that the file's list names.

In this process: `simswap.video.source.reading` has another one do it.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from simswap.errors import MediaError
from simswap.files import printable
from simswap.video.source.animation import READ_BY_PILLOW, pictures_of
from simswap.video.source.container import (
    holds_too_much,
    is_too_large,
    naming_damage,
    opened,
    packets_of,
    picture_stream,
)
from simswap.video.source.decoding.deinterlacing import deinterlaced
from simswap.video.source.info import VideoInfo
from simswap.video.source.packets import in_reach
from simswap.video.source.picture.colour import ColourConverter

logger = logging.getLogger(__name__)

_THREADS = 2  # of a decoder, each of which holds frames: so memory is the same on every machine
_LARGE = 3_000_000  # pixels of a frame; one thread decodes such


class Frames(Iterator[np.ndarray]):
    """Frames of a video, [H, W, 3], one after the other.

    num_repeated: frames so far that could not be decoded, for which the one before was given.
    """

    num_repeated = 0
    _frames: Generator[np.ndarray, None, None]

    def __next__(self) -> np.ndarray:
        return next(self._frames)

    def close(self) -> None:
        """Let go of the file before its frames are all read."""
        self._frames.close()


class FrameReader(Frames):
    """Frames `first` to `end` - 1 of a video; see reading.read_frames.

    num_scaled: frames given so far that are of another size in the file.
    """

    num_scaled = 0

    def __init__(
        self,
        info: VideoInfo,
        first: int,
        end: int,
        chosen: frozenset[int] | None = None,
        is_deep: bool = False,
    ) -> None:
        """Begin at `first`; chosen: the only frames to give, None for all.

        is_deep: see reading.read_deep_frames.
        """
        self._num_decoded = 0
        self._info, self._first, self._end, self._chosen = info, first, end, chosen
        self._is_deep = is_deep
        self._frames = self._read()

    def _read(self) -> Generator[np.ndarray, None, None]:
        with naming_damage(self._info.path):
            yield from self._read_on()

    def _read_on(self) -> Iterator[np.ndarray]:
        info = self._info
        converter = ColourConverter(info.colour, *info.stored_size)

        def convert(frame: VideoFrame) -> np.ndarray:
            self.num_scaled += (frame.width, frame.height) != info.stored_size
            return converter.to_deep_rgb(frame) if self._is_deep else converter.to_rgb(frame)

        # What a frame shows until its successor comes: also where that one cannot be decoded.
        shown: VideoFrame | None = None
        position = self._first
        chosen = self._chosen or range(self._first, self._end)
        for number, frame in self._decoded():
            self._num_decoded += self._first <= number < self._end
            if self._num_decoded == 0 and number >= self._end:
                break
            for missing in range(position, min(number, self._end)):
                self.num_repeated += 1
                if missing in chosen:
                    picture = shown if shown is not None else frame
                    yield _upright(convert(picture), info)
                position = missing + 1
            shown = frame
            if position == number < self._end:
                if number in chosen:
                    yield _upright(convert(frame), info)
                position += 1
            if position >= self._end:
                break
        if self._num_decoded == 0:
            raise MediaError(
                f"{printable(info.path.name)} cannot be decoded from "
                f"{info.seconds(self._first):.2f} s to {info.seconds(self._end):.2f} s: the file "
                "is damaged there. Leave that part out with start and end."
            )
        for missing in range(position, self._end):
            self.num_repeated += 1
            if missing in chosen:
                yield _upright(convert(shown), info)

    def _decoded(self) -> Iterator[tuple[int, VideoFrame]]:
        """Decoded frames with their numbers, from some frame at or before the first on."""
        info = self._info
        if info.codec in READ_BY_PILLOW:
            pictures = pictures_of(info.path)
            yield from ((n, VideoFrame.from_ndarray(p)) for n, p in enumerate(pictures))
            return
        times = info.frame_times
        # Deinterlacing looks at both neighbours: without them a frame would depend on the cut.
        wanted = max(self._first - 1, 0) if info.is_interlaced else self._first
        with ExitStack() as stack:
            packets = _packets_from(info, wanted, stack)
            packets = in_reach(packets, info, wanted, self._end, lambda: self._num_decoded > 0)
            frames = _decode(packets, info.max_pixels)
            if info.is_interlaced:
                frames = deinterlaced(frames, info)
            if len(info.key_frames) == 0:  # listed by decoding: in the order of decoding
                yield from enumerate(frames)
                return
            for frame in frames:
                if frame.pts is None:
                    continue
                number = int(np.searchsorted(times, frame.pts))
                if number < len(times) and times[number] == frame.pts:
                    yield number, frame


class ChosenFrames(Frames):
    """Some frames of a video, uint8 RGB; as FrameReader's. num_repeated: and those scaled."""

    def __init__(self, info: VideoInfo, numbers: Sequence[int]) -> None:
        """numbers: in any order; without key frames they are ascending, and it is decoded once."""
        self._frames = self._read(info, numbers)

    def _read(self, info: VideoInfo, numbers: Sequence[int]) -> Generator[np.ndarray, None, None]:
        if len(info.key_frames):
            stretches = [(number, number + 1) for number in numbers]
        else:
            stretches = [(numbers[0], numbers[-1] + 1)]
        chosen = frozenset(numbers)
        for first, end in stretches:
            with closing(FrameReader(info, first, end, chosen)) as reader:
                yield from reader
            self.num_repeated += reader.num_repeated + reader.num_scaled


def _upright(image: np.ndarray, info: VideoInfo) -> np.ndarray:
    upright = image[:, ::-1] if info.is_mirrored else image
    return np.ascontiguousarray(np.rot90(upright, info.rotation // 90))


def _packets_from(info: VideoInfo, frame: int, stack: ExitStack) -> Iterator[Packet]:
    """The stream's packets, from the last key frame on that is shown at or before `frame`."""
    keys = info.key_frames
    key = int(np.searchsorted(keys[:, 0], info.frame_times[frame], side="right")) - 1
    if key > 0:
        with ExitStack() as attempt:
            container, stream = _open(info, attempt)
            found = _seek(container, stream, int(keys[key, 0]), int(keys[key, 1]))
            if found is not None:
                packets = packets_of(container, stream)
                stack.push(attempt.pop_all())
                return _from_key(found, packets)
    container, stream = _open(info, stack)
    return packets_of(container, stream)


def _open(info: VideoInfo, stack: ExitStack) -> tuple[InputContainer, VideoStream]:
    container = stack.enter_context(opened(info.path, info.max_pixels))
    stream = picture_stream(container, printable(info.path.name))
    stream.thread_type = "AUTO"
    is_large = info.width * info.height > _LARGE
    stream.codec_context.thread_count = 1 if is_large else _THREADS
    return container, stream


def _seek(
    container: InputContainer, stream: VideoStream, shown: int, seek_to: int
) -> Packet | None:
    """The key frame's packet, reached by a seek; None where the container cannot get there."""
    try:
        container.seek(seek_to, stream=stream, backward=True)
        for packet in packets_of(container, stream):
            if packet.pts == shown and packet.is_keyframe:
                return packet
            if packet.size == 0 or (packet.dts is not None and packet.dts > shown):
                return None
    except FFmpegError:
        pass
    return None


def _from_key(key: Packet, packets: Iterator[Packet]) -> Iterator[Packet]:
    yield key
    yield from packets


def _decode(packets: Iterator[Packet], max_pixels: int) -> Iterator[VideoFrame]:
    """Frames of packets; those that cannot be decoded, or have grown too large, are left out.

    Ends before a decoder holds too much, which the first frames of a file do not tell.
    """
    while True:
        try:
            packet = next(packets, None)
        except av.error.MemoryError:
            raise
        except FFmpegError as error:  # the file breaks off here
            logger.debug("A packet cannot be read: %s", error)
            return
        if packet is None:
            return
        if packet.is_corrupt:
            continue  # as its frame is not in the file's list either
        try:
            frames = packet.decode()
        except av.error.MemoryError:
            raise
        except FFmpegError as error:
            logger.debug("A packet cannot be decoded: %s", error)
            continue
        if holds_too_much(packet.stream.codec_context, max_pixels):
            logger.warning("Decoding ends where frames become too large")
            return
        yield from (frame for frame in frames if not is_too_large(frame, max_pixels))
