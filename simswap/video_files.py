"""Opens video files safely and lists their frames, mostly without decoding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from simswap.errors import MediaError
from simswap.provenance import printable

# Nothing but files of these kinds is ever opened: a playlist that calls itself an MP4 could
# otherwise make the library fetch addresses or read other files.
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpegts,mpeg,flv,asf,ogg,nut,m4v,"
    "mp3,wav,flac,aac,aiff"  # sound files, so that they can be told from broken ones
)
_OPTIONS = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
KINDS = "H.264, HEVC, VP9, AV1 or MPEG-4 video in MP4, MOV, WebM, MKV or AVI, or an animated GIF"
# Timestamps of their packets can be trusted to be those of the frames.
_INDEXED = {"mov", "mp4", "matroska", "webm", "mpegts", "flv", "nut"}


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


@contextmanager
def opened(path: Path) -> Iterator[InputContainer]:
    """The file at `path`, open for reading; closed at the end.

    Raises MediaError if there is no such file or it is not of a kind that is read here.
    """
    name = printable(path.name)
    try:
        if not path.is_file():
            problem = "is not a file" if path.exists() else "does not exist"
            raise MediaError(f"{name} {problem}. Give the path of a video file.")
        if path.stat().st_size == 0:
            raise MediaError(f"{name} is empty (0 bytes). Give a video file.")
        # The scheme keeps a name such as "concat:a|b" from being anything but a name.
        container = av.open(
            f"file:{path.absolute()}", options=dict(_OPTIONS), metadata_errors="replace"
        )
    except FFmpegError as error:
        if isinstance(error, PermissionError):
            raise MediaError(f"{name} cannot be opened ({error.strerror}).") from error
        raise MediaError(
            f"{name} is not a video that can be read, or it is damaged or cut off. Give {KINDS}."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise MediaError(f"{name} cannot be opened ({reason}). Check the path.") from error
    with container:
        yield container


def picture_stream(container: InputContainer, name: str) -> VideoStream:
    """The stream of moving pictures (not a music file's cover).

    Raises MediaError if there is none, or none that can be decoded.
    """
    cover = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & cover]
    if not streams:
        what = "sound but no pictures" if container.streams.audio else "no moving pictures"
        raise MediaError(f"{name} has {what}. Give {KINDS}.")
    usable = [stream for stream in streams if stream.codec_context is not None]
    if not usable:
        raise MediaError(f"{name} holds pictures in a format that is not known here. Give {KINDS}.")
    best = container.streams.best("video")
    return best if best in usable else usable[0]


def packets_of(container: InputContainer, stream: Stream) -> Iterator[Packet]:
    """A stream's packets, to the file's end.

    Raises FFmpegError where the file breaks off or is damaged beyond reading on.
    """
    try:
        yield from container.demux(stream)
    except IndexError as error:  # what the library raises when another stream begins midway
        raise InvalidDataError(0, "the file's streams change midway") from error


def list_frames(container: InputContainer, stream: VideoStream) -> FrameList | None:
    """The frames of a video from its packets, or by decoding where packets do not tell.

    Reads the container to its end. None if there are no frames.
    """
    listed = None
    kinds = set(container.format.name.split(","))
    # AVI has no times of its own; H.264 and HEVC in it are shown in another order than packets say.
    is_plain_avi = "avi" in kinds and stream.codec_context.name not in ("h264", "hevc")
    if kinds & _INDEXED or is_plain_avi:
        listed = _list_packets(container, stream)
        if listed is None:
            container.seek(0)
    return listed if listed is not None else _list_by_decoding(container, stream)


def _list_packets(container: InputContainer, stream: VideoStream) -> FrameList | None:
    """None if a packet has no time, or two have the same."""
    times, keys, ends = [], [], []
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
                keys.append((packet.pts, packet.pts if packet.dts is None else packet.dts))
            # What stands before the first key frame cannot be decoded; what an edit list cuts
            # off is decoded but not shown.
            if keys and not packet.is_discard:
                times.append(packet.pts)
                ends.append(packet.pts + (packet.duration or 0))
    except FFmpegError:
        is_cut_short = True
    if len(set(times)) != len(times):
        return None
    return _frame_list(times, keys, max(ends, default=0), stream, is_cut_short)


def _list_by_decoding(container: InputContainer, stream: VideoStream) -> FrameList | None:
    """Decoders put frames out in the order in which they are shown, whatever their times say."""
    times: list[int | None] = []
    end, is_cut_short = 0, False
    packets = packets_of(container, stream)
    while True:
        try:
            packet = next(packets, None)
        except FFmpegError:
            is_cut_short = True
            break
        if packet is None:
            break
        try:
            for frame in packet.decode():
                times.append(frame.pts)
                end = max(end, (frame.pts or 0) + (frame.duration or 0))
        except FFmpegError:
            is_cut_short = True
    if None in times or len(set(times)) < len(times):
        step = 1 / ((stream.average_rate or Fraction(25)) * stream.time_base)
        times, end = [round(number * step) for number in range(len(times))], 0
    return _frame_list(times, [], end, stream, is_cut_short)


def _frame_list(
    times: list[int], keys: list, end: int, stream: VideoStream, is_cut_short: bool
) -> FrameList | None:
    if not times:
        return None
    shown = np.sort(np.array(times, np.int64))
    if end <= shown[-1]:
        rate = stream.average_rate or Fraction(25)
        gap = shown[-1] - shown[-2] if len(shown) > 1 else int(1 / (rate * stream.time_base))
        end = int(shown[-1] + max(1, gap))
    key_frames = np.array(sorted(keys), np.int64).reshape(-1, 2)
    return FrameList(shown, key_frames, int(end), is_cut_short)


@contextmanager
def naming_failures(path: Path) -> Iterator[None]:
    """Turns a failure to write, within the block, into a MediaError that names the file."""
    try:
        yield
    except (FFmpegError, OSError) as error:
        remedy = "Check the disk's free space and the folder's rights."
        if not isinstance(error, OSError):  # nothing the disk said
            remedy = "Try other settings, or convert the video to a plain MP4 first."
        raise MediaError(
            f"{printable(path.name)} could not be written ({error.strerror}). {remedy}"
        ) from error
