"""What a video file holds: its frames' times, shape, colours and sound."""

from __future__ import annotations

import json
import math
import os
import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from simswap.errors import MediaError, OptionError
from simswap.video.source.container import check_is_file
from simswap.video.source.decoding.child import Piece, Request
from simswap.video.source.decoding.process import answers_of
from simswap.video.source.limits import VideoLimits, check_size, usual_memory
from simswap.video.source.picture.colour import Colour
from simswap.video.source.picture.side_data import Mastering
from simswap.video.source.structure.kinds import check_is_no_photo, check_structure
from simswap.video.source.structure.mp4 import MAX_SAMPLES

MAX_PIECE = 16 * MAX_SAMPLES  # bytes of what is told of a file: two times of each key frame
KEPT_FRAMES, KEPT_INFOS = 20_000, 64  # of a film of eleven minutes; so many films


@dataclass(frozen=True, eq=False)
class VideoInfo:
    """A video file as it will be read.

    width, height: of the frames as shown. is_mirrored: whether players flip the stored pictures
    left to right; rotation: degrees counter-clockwise (0, 90, 180, 270) that they turn them by
    after that. time_base: seconds per unit of all times. frame_times: [N] int64, when each frame is
    shown, ascending; end_time: when the last ends. max_pixels: of the largest frame to be decoded,
    also if frames grow; max_reach: see VideoLimits; max_memory: bytes that decoding it may take.
    origin: seconds at which the file's own clock starts. sample_aspect: width of a pixel by its
    height. key_frames: see FrameList. notices: what is dropped or changed. num_plays: of an
    animation, 0 without end; None for a film.
    num_subtitles: tracks of them. num_films: tracks of moving pictures, of which one is read.
    """

    path: Path
    max_pixels: int
    width: int
    height: int
    rotation: int
    is_mirrored: bool
    time_base: Fraction
    frame_times: np.ndarray
    end_time: int
    key_frames: np.ndarray
    origin: Fraction
    frame_rate: Fraction
    codec: str
    colour: Colour
    bit_depth: int
    is_interlaced: bool
    sample_aspect: Fraction
    has_audio: bool
    audio_codec: str | None
    notices: tuple[str, ...]
    num_plays: int | None = None
    num_subtitles: int = 0
    num_films: int = 1
    num_chapters: int = 0
    max_reach: int | None = None
    max_memory: int = VideoLimits().memory

    @property
    def num_frames(self) -> int:
        """How many frames there are; at least one."""
        return len(self.frame_times)

    @property
    def duration(self) -> float:
        """Seconds from the first frame's start to the last one's end."""
        return float((self.end_time - int(self.frame_times[0])) * self.time_base)

    @property
    def stored_size(self) -> tuple[int, int]:
        """Width and height before rotation."""
        return (self.height, self.width) if self.rotation % 180 else (self.width, self.height)

    @property
    def frame_bytes(self) -> int:
        """Of a decoded frame, [H, W, 3] uint8."""
        return 3 * self.width * self.height

    def seconds(self, frame: int) -> float:
        """When a frame (0 to N; N: the end) is shown, counted from the first one."""
        time = self.end_time if frame >= self.num_frames else int(self.frame_times[frame])
        return float((time - int(self.frame_times[0])) * self.time_base)


@dataclass(frozen=True, eq=False)
class Look:
    """What was found out of a file: its tags, and what it holds, or why that cannot be told."""

    tags: tuple[str, ...]
    problem: str = ""
    info: VideoInfo | None = None


@dataclass(frozen=True)
class FileRequest(Request):
    """Something is wanted of a file of which nothing is known yet."""

    path: Path
    limits: VideoLimits

    usual_memory = usual_memory(0)

    @property
    def memory(self) -> int:
        """As much as decoding its frames may take."""
        return self.limits.memory

    @property
    def piece_seconds(self) -> float:
        """Of processor time, for all of it."""
        return self.limits.max_work

    seconds_each = piece_seconds


class LookRequest(FileRequest):
    """What a file holds is wanted: a Look in JSON, then the times of frames and of key frames."""

    num_pieces = 3

    def pieces(self) -> Iterator[Piece]:
        """What `look` puts together again."""
        # Not above: what looks makes a VideoInfo.
        from simswap.video.source.looking import look_through, read_tags

        check_structure(self.path, self.limits.max_decoded)
        told = {"tags": read_tags(self.path, self.limits)}
        times = keys = np.empty(0, np.int64)
        try:
            info = look_through(self.path, self.limits)
            times, keys = info.frame_times, info.key_frames
            plain = asdict(info) | {"frame_times": None, "key_frames": None, "path": None}
            told["info"] = plain
        except MediaError as error:
            told["problem"] = str(error)
        yield 0, json.dumps(told, default=str).encode()  # fractions as "1/25"
        yield 0, times.tobytes()
        yield 0, keys.tobytes()

    def room(self, size: int) -> bytearray | None:
        """A piece's."""
        return bytearray(size) if size <= MAX_PIECE else None

    def look(self) -> Look:
        """The answer. Raises MediaError if the file cannot be opened, CostlyVideoError."""
        with closing(answers_of(self)) as answers:
            text, times, keys = (piece for _, piece in answers)
        told = json.loads(text)
        tags = tuple(told["tags"])
        if "problem" in told:
            return Look(tags, told["problem"])
        plain, colour = told["info"], told["info"]["colour"]
        if colour["mastering"]:
            lists = colour["mastering"]
            colour["mastering"] = Mastering(
                **{key: tuple(it) if isinstance(it, list) else it for key, it in lists.items()}
            )
        for key in ("time_base", "origin", "frame_rate", "sample_aspect"):
            plain[key] = Fraction(plain[key])
        plain |= {"path": self.path, "colour": Colour(**colour), "notices": tuple(plain["notices"])}
        plain["frame_times"] = np.frombuffer(times, np.int64)
        plain["key_frames"] = np.frombuffer(keys, np.int64).reshape(-1, 2)
        return Look(tags, info=VideoInfo(**plain))


class VideoRequest(Request):
    """Something is wanted of a video that has been looked through."""

    info: VideoInfo

    @property
    def path(self) -> Path:
        """The video's."""
        return self.info.path

    @property
    def memory(self) -> int:
        """As much as finding out what the file holds may take."""
        return self.info.max_memory


class _Kept:
    """What the newest files hold, each until it changes, without names, tags or pictures.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._infos: OrderedDict[Hashable, VideoInfo] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: Path, file: Hashable) -> VideoInfo | None:
        """What is known of a file, which lies at `path`; file: its state, from `_state_of`."""
        with self._lock:
            if file not in self._infos:
                return None
            self._infos.move_to_end(file)
            return replace(self._infos[file], path=path)

    def put(self, info: VideoInfo, file: Hashable) -> None:
        """Keep it, unless it is of very many frames."""
        if info.num_frames > KEPT_FRAMES:
            return
        with self._lock:
            self._infos[file] = replace(info, path=Path())
            if len(self._infos) > KEPT_INFOS:
                self._infos.popitem(last=False)


_kept = _Kept()


def look_at(path: str | os.PathLike[str], limits: VideoLimits) -> Look:
    """What a file holds, found out by a decoding process, once what it claims is within limits.

    Raises MediaError for a file that is missing, no video or over a limit, and CostlyVideoError for
    one that takes too much time or memory.
    """
    path = _checked(path, limits)
    file = _state_of(path, limits)
    look = LookRequest(path, limits).look()
    if look.info is not None:
        _kept.put(look.info, file)
    return look


def probe_video(path: str | os.PathLike[str], limits: VideoLimits | None = None) -> VideoInfo:
    """Everything that reading and writing need to know of a video.

    Reads the file once through without decoding it (with decoding, where its packets do not tell
    when frames are shown: GIF, AVI), so that a damaged file is known before work begins.
    Raises MediaError, in one sentence, for a file that is missing, no video, damaged from its
    first frame on, without frames, or over a limit.
    """
    limits = limits or VideoLimits()
    checked = _checked(path, limits)
    if info := _kept.get(checked, _state_of(checked, limits)):
        return info
    look = look_at(path, limits)
    if look.info is None:
        raise MediaError(look.problem)
    return look.info


def _checked(path: str | os.PathLike[str], limits: VideoLimits) -> Path:
    path = Path(path).absolute()  # another process reads it
    check_is_file(path)
    check_size(path, limits)
    check_is_no_photo(path)
    return path


def _state_of(path: Path, limits: VideoLimits) -> Hashable:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, limits


def trim(info: VideoInfo, start: float | None, end: float | None) -> tuple[int, int]:
    """First frame and end frame (exclusive) of a stretch of a video.

    start, end: seconds from the first frame; None: the video's own. A frame belongs to it if it is
    the one on screen at `start`, or begins after that and before `end`.
    Raises OptionError if no frame lies between, or a value is not within the video.
    """
    start = 0.0 if start is None else start
    for name, value in (("start", start), ("end", end)):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise OptionError(f"{name} is {value}; give seconds from 0 up.")
    if start >= info.duration:
        raise OptionError(f"start is {start:g} s, but the video ends at {info.duration:.3f} s.")
    if end is not None and end <= start:
        raise OptionError(f"end ({end:g} s) is not after start ({start:g} s).")
    seconds = (info.frame_times - info.frame_times[0]) * float(info.time_base)
    # Half a millisecond of grace: 0.0333 means the second frame of 30 per second.
    first = int(np.searchsorted(seconds, start + 0.0005, side="right")) - 1
    last = info.num_frames if end is None else int(np.searchsorted(seconds, end - 0.0005))
    return first, max(last, first + 1)
