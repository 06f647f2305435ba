"""How a video is swapped, how far it has come, and what came of it: plain values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from simswap.errors import OptionError
from simswap.files import printable
from simswap.video.output.writing import (
    FORMATS,
    HIGH_RANGE_FORMATS,
    MIN_HIGH_RANGE_SIDE,
    Encoding,
)
from simswap.video.source.info import VideoInfo, VideoLimits

SEGMENT_SECONDS = 4.0  # what an interruption costs at most, and what one GPU call does
FORMAT_OF_SUFFIX = {f".{name}": name for name in FORMATS}


@dataclass(frozen=True)
class VideoOptions:
    """How a video is read, followed and written; what is done to a face is in SwapOptions.

    Raises OptionError for a value outside its range.
    """

    start: float | None = None  # s from the video's first frame; None: from the beginning
    end: float | None = None  # s, the frame on screen then is the first left out; None: to the end
    format: str | None = None  # one of writing.FORMATS; None: what the output's ending says
    crf: int | None = None  # quality, lower is better; None: 18 for mp4, 28 for webm
    preset: str = "veryfast"  # of x264, speed against size
    keep_hdr: bool = True  # where the format can; False: what a display of standard range shows
    # Frames from one detection to the next, faces are followed by optical flow between. Measured
    # against detection of every frame on four clips, in % of a face's side: medians up to 0.4 (3)
    # and 1.2 (5), 95th percentiles up to 4.7 and 6.3; who turns up between is seen frames late.
    detect_every: int = 3
    steady: bool = True  # hold landmarks steady against the neighbouring frames: half the jitter
    segment_frames: int | None = None  # frames of a segment; None: about four seconds
    limits: VideoLimits = field(default_factory=VideoLimits)

    def __post_init__(self) -> None:
        if not 1 <= self.detect_every <= 100:
            raise OptionError(f"detect_every={self.detect_every} is outside 1 to 100 frames.")
        if self.segment_frames is not None and not 1 <= self.segment_frames <= 100_000:
            raise OptionError(f"segment_frames={self.segment_frames} is outside 1 to 100000.")
        Encoding(self.format or "mp4", None if self.format is None else self.crf, self.preset)

    def encoding(self, output: Path, info: VideoInfo | None = None) -> Encoding:
        """How `output` is encoded. Raises OptionError if its ending is unknown or fits not.

        info: of the video, once it is known.
        """
        by_name = FORMAT_OF_SUFFIX.get(output.suffix.lower())
        if by_name is None:
            raise OptionError(
                f"The output {printable(output.name)!r} has an unknown ending. "
                "Use .mp4, .mov, .mkv, .webm, .gif or .webp."
            )
        if self.format not in (None, by_name):
            raise OptionError(
                f"format={self.format!r} does not go with the output's ending "
                f"{output.suffix.lower()}. Leave one of them out, or let them agree."
            )
        is_kept = False
        if info is not None and self.keep_hdr and by_name in HIGH_RANGE_FORMATS:
            is_large = min(info.width, info.height) >= MIN_HIGH_RANGE_SIDE
            is_kept = info.colour.is_high_range and is_large
        return Encoding(by_name, self.crf, self.preset, is_kept)

    def frames_per_segment(self, frame_rate: float) -> int:
        """Length of a segment: whole groups of `detect_every` frames."""
        frames = self.segment_frames or max(round(SEGMENT_SECONDS * frame_rate), 1)
        return -(-frames // self.detect_every) * self.detect_every


@dataclass(frozen=True, eq=False)
class VideoProgress:
    """How far a video has come.

    frames_done: of frames_total, those of an earlier run among them; it only ever grows.
    frames_per_second: of this run, since its first pass. eta_seconds: None until there is a speed.
    thumbnail: [h, w, 3] uint8 RGB, the newest swapped frame made small; None before the first.
    frames_looked_at: of frames_total, while people are told apart; None before and after.
    """

    frames_done: int
    frames_total: int
    frames_per_second: float
    eta_seconds: float | None
    thumbnail: np.ndarray | None
    frames_looked_at: int | None = None


OnProgress = Callable[[VideoProgress], None]


@dataclass(frozen=True)
class VideoReport:
    """What came of a video.

    faces_swapped: summed over all frames. frames_without_face: in which none was found.
    seconds, frames_per_second: of this run. resumed_frames: done in earlier runs.
    first_pass_seconds: of `seconds`, for telling people apart; 0 where that was of no matter.
    """

    frames: int
    faces_swapped: int
    frames_without_face: int
    seconds: float
    frames_per_second: float
    notices: tuple[str, ...]
    resumed_frames: int = 0
    first_pass_seconds: float = 0.0
