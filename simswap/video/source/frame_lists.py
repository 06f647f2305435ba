"""Lists the frames of a video, mostly without decoding them."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream

from simswap.errors import MediaError
from simswap.video.source.container import is_too_large, packets_of
from simswap.video.source.limits import VideoLimits

# Timestamps of their packets can be trusted to be those of the frames.
_INDEXED = {"mov", "mp4", "matroska", "webm", "mpegts", "flv", "nut"}
_USUAL_RATE = Fraction(25)
_LONGEST = 1 << 53  # units of time; far more than any clock shows


@dataclass(frozen=True, eq=False)
class FrameList:
    """When the frames of a video are shown, and where decoding may begin.

    times: [N] int64 in the stream's time base, strictly ascending.
    key_frames: [K, 2] int64, (time shown, time to seek to) of frames that need no other, ascending;
        empty where decoding has to begin at the file's start.
    end: when the last frame ends. is_cut_short: the file breaks off before its end.
    """

    times: np.ndarray
    key_frames: np.ndarray
    end: int
    is_cut_short: bool


def list_frames(
    container: InputContainer, stream: VideoStream, limits: VideoLimits, name: str
) -> FrameList | None:
    """The frames of a video from its packets, or by decoding where packets do not tell.

    Reads the container to its end. name: of the file, for messages. None if there are no frames.
    Raises MediaError for more frames, or more pixels to decode, than the limits allow.
    """
    check_count(stream.frames, limits, name)
    listed = None
    kinds = set(container.format.name.split(","))
    # AVI has no times of its own; H.264 and HEVC in it are shown in another order than packets say.
    is_plain_avi = "avi" in kinds and stream.codec_context.name not in ("h264", "hevc")
    if kinds & _INDEXED or is_plain_avi:
        listed = _list_packets(container, stream, limits, name)
        if listed is None:
            container.seek(0)
    return listed if listed is not None else _list_by_decoding(container, stream, limits, name)


def check_count(num_frames: int, limits: VideoLimits, name: str) -> None:
    """Raise MediaError if a video of so many frames is not taken."""
    if limits.max_frames is not None and num_frames > limits.max_frames:
        raise MediaError(
            f"{name} has more than {limits.max_frames} frames, which are the most that are taken. "
            "Cut it first."
        )


def _list_packets(
    container: InputContainer, stream: VideoStream, limits: VideoLimits, name: str
) -> FrameList | None:
    """None if a packet has no time, or two have the same."""
    times, keys, end = array("q"), array("q"), 0
    is_cut_short = False
    try:
        for packet in packets_of(container, stream):
            if packet.size == 0:
                continue
            if packet.is_corrupt:
                is_cut_short = True
                continue
            if packet.pts is None:
                return None
            if packet.is_keyframe:
                keys.extend((packet.pts, packet.pts if packet.dts is None else packet.dts))
            # What stands before the first key frame cannot be decoded; what an edit list cuts
            # off is decoded but not shown.
            if keys and not packet.is_discard:
                times.append(packet.pts)
                check_count(len(times), limits, name)
                end = max(end, packet.pts + (packet.duration or 0))
    except av.error.MemoryError:
        raise
    except FFmpegError:
        is_cut_short = True
    if len(np.unique(np.array(times))) != len(times):
        return None
    return _frame_list(times, keys, end, stream, is_cut_short, name)


def _list_by_decoding(
    container: InputContainer, stream: VideoStream, limits: VideoLimits, name: str
) -> FrameList | None:
    """Decoders put frames out in the order in which they are shown, whatever their times say."""
    times: list[int | None] = []
    end, num_pixels, is_cut_short = 0, 0, False
    packets = packets_of(container, stream)
    context = stream.codec_context
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            num_pixels += context.width * context.height
            if num_pixels > (limits.max_decoded or np.inf):
                raise MediaError(
                    f"{name} has to be decoded to find its frames, and has too many of "
                    f"{context.width}x{context.height} pixels. Convert it to an MP4, make it "
                    "smaller, or cut it."
                )
        except av.error.MemoryError:
            raise
        except FFmpegError:
            is_cut_short = True
            break
        try:
            for frame in packet.decode():
                if is_too_large(frame, limits.max_pixels):
                    is_cut_short = True
                    continue
                times.append(frame.pts)
                check_count(len(times), limits, name)
                end = max(end, (frame.pts or 0) + (frame.duration or 0))
        except av.error.MemoryError:
            raise
        except FFmpegError:
            is_cut_short = True
    if None in times or len(set(times)) < len(times):
        step = max(1 / (_rate(stream) * stream.time_base), Fraction(1))
        times, end = [round(number * step) for number in range(len(times))], 0
    return _frame_list(array("q", times), array("q"), end, stream, is_cut_short, name)


def _rate(stream: VideoStream) -> Fraction:
    rate = stream.average_rate
    return rate if rate and rate > 0 else _USUAL_RATE


def _frame_list(
    times: array, keys: array, end: int, stream: VideoStream, is_cut_short: bool, name: str
) -> FrameList | None:
    if not times:
        return None
    shown = np.sort(np.array(times, np.int64))
    first, last = int(shown[0]), int(shown[-1])
    if end <= last:
        gap = last - int(shown[-2]) if len(shown) > 1 else 1 / (_rate(stream) * stream.time_base)
        end = last + max(1, int(gap))
    if end - first > _LONGEST or max(abs(first), abs(end)) >= 1 << 62:
        raise MediaError(
            f"{name} says of its frames that they are shown at times that make no sense. "
            "Convert it to an ordinary MP4 first."
        )
    key_frames = np.array(sorted(zip(keys[::2], keys[1::2], strict=True)), np.int64)
    return FrameList(shown, key_frames.reshape(-1, 2), end, is_cut_short)
