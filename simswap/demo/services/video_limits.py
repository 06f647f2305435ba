"""What visitors may ask of the demo in the way of videos: all numbers in one place."""

from __future__ import annotations

import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from simswap.demo import settings
from simswap.demo.services.uploads import bytes_below
from simswap.errors import OptionError
from simswap.media.photos import MAX_FILE_BYTES
from simswap.video.options import VideoProgress, VideoReport
from simswap.video.output.writing import ANIMATION_FORMATS
from simswap.video.source import limits
from simswap.video.source.info import VideoInfo, trim

SETTING = "SIMSWAP_VIDEO_SECONDS"
DEFAULT_SECONDS = 120.0
MINUTES_SETTING, DEFAULT_MINUTES = "SIMSWAP_VIDEO_MINUTES", 30.0
SURE_AFTER = 60.0  # seconds of swapping, from which on the estimate of the rest is believed
SLACK = 1.25  # times what is allowed: who is let on is not ended shortly before the end
FRAMES_PER_SECOND = 60  # that many of a second are swapped at most
WRITTEN_BYTES = 200_000_000  # of a result: C2PA's library holds it twice to sign it
HELD_BYTES = 100_000_000  # of frames in which faces are followed from one look to the next
# Frames, or as many pixels: larger ones would take over 600 MB, missing to others, if their decoder
# refers to 16 frames, and an animation of them as much in any case.
LARGEST, LARGEST_ANIMATION = (1920, 1200), (1280, 720)

# Of the file as it is sent; app.py lets nothing larger in.
LIMITS = limits.VideoLimits(
    max_bytes=MAX_FILE_BYTES,
    max_pixels=LARGEST[0] * LARGEST[1],
    max_seconds=1800,
    max_frames=1800 * 240,  # a phone's slow motion
    max_decoded=limits.VERIFY_LIMITS.max_decoded,
    # In some five seconds. Of 1080p 964 frames; usual encoders make a key frame of every 250th.
    max_reach=2_000_000_000,
    max_tables=100_000_000,  # an hour of sound and all of max_frames take a fourth of it
    max_work=6.0,  # an ordinary file takes one, and each call looks through it again
)

# Of one that is verified, of which only some frames are looked at. With LOOK_SECONDS one file costs
# some ten seconds at most.
VERIFY_LIMITS = replace(
    limits.VERIFY_LIMITS,
    max_pixels=3840 * 2160,
    max_decoded=500_000_000,  # in a second or two, at 250 to 500 megapixels a second
    max_tables=LIMITS.max_tables,
    max_work=3.0,
)
# On the clock, once the credentials are read; an ordinary video's 12 frames take two or three.
LOOK_SECONDS = 6.0


def allowed_seconds() -> float:
    """How long the part may be that is swapped: two minutes, or what SIMSWAP_VIDEO_SECONDS says.

    Raises OptionError if that is no number above 0.
    """
    return settings.number(SETTING, DEFAULT_SECONDS, "seconds")


def allowed_minutes() -> float:
    """How long a swap may take, others waiting: half an hour, or what SIMSWAP_VIDEO_MINUTES says.

    Raises OptionError if that is no number above 0.
    """
    return settings.number(MINUTES_SETTING, DEFAULT_MINUTES, "minutes")


def in_time(
    steps: Generator[VideoProgress, None, VideoReport],
) -> Generator[VideoProgress, None, VideoReport]:
    """Pass on how far a swap has come, unless it takes too long: OptionError."""
    begun, allowed, swapping = time.monotonic(), allowed_minutes(), None
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return end.value
        now = time.monotonic()
        seconds, eta = now - begun, step.eta_seconds or 0.0
        if swapping is None and eta:
            swapping = now  # people may have been looked for until then
        if swapping is not None and now - swapping >= SURE_AFTER:
            seconds += eta
        if seconds > 60 * allowed * SLACK:
            raise OptionError(
                f"This video would take {max(seconds / 60, 1):.0f} minutes here, where others wait "
                f"for theirs; up to {allowed:g} are taken. Choose a shorter part with start and "
                "end, or the largest face only, or scale the video down."
            )
        yield step


def check_length(info: VideoInfo, start: float | None, end: float | None) -> None:
    """Raise OptionError if the part from start to end (seconds) is too long to be swapped here."""
    first, stop = trim(info, start, end)
    seconds, allowed = info.seconds(stop) - info.seconds(first), allowed_seconds()
    advice = "Choose a shorter part with start and end."
    if seconds > allowed + 0.001:
        raise OptionError(
            f"{seconds:.1f} s of video are too much for this server, which swaps up to "
            f"{allowed:g} s at a time. {advice}"
        )
    if stop - first > allowed * FRAMES_PER_SECOND:
        raise OptionError(
            f"{stop - first} frames are too many for this server, which swaps up to "
            f"{allowed * FRAMES_PER_SECOND:.0f} at a time. {advice}"
        )


def check_format(info: VideoInfo, format: str) -> None:
    """Raise OptionError if an animation would have larger pictures than are written here."""
    width, height = LARGEST_ANIMATION
    if format in ANIMATION_FORMATS and info.width * info.height > width * height:
        raise OptionError(
            f"format={format!r} takes too much memory here for pictures of {info.width}x"
            f"{info.height}; at most {width}x{height}. Choose mp4, or scale the video down."
        )


def check_written(folder: Path) -> None:
    """Raise OptionError if a job has written too much: its result would leave others no room.

    folder: the job's. Joined, and then signed, what is in it is on the disk three times.
    """
    most = min(settings.disk_bytes() / settings.DISK_SHARE / 3, WRITTEN_BYTES)
    if bytes_below(folder) > most:
        raise OptionError(
            f"The result takes more than {most / 1e6:.0f} MB, too much for this server. Choose a "
            "larger crf, or a shorter part with start and end."
        )


def check_held(info: VideoInfo, detect_every: int) -> None:
    """Raise OptionError if too many bytes of frames lie from one look for faces to the next."""
    most = max(HELD_BYTES // info.frame_bytes, 1)
    if detect_every > most:
        raise OptionError(
            f"detect_every={detect_every} holds too many frames of {info.width}x{info.height} at a "
            f"time for this server. Give at most {most}, or scale the video down."
        )
