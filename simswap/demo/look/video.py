"""What the Video tab says and shows while it works, as HTML; no faces are handled here."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from simswap import VideoProgress
from simswap.demo.calls.arguments import UPLOADED
from simswap.demo.look import pictures, theme
from simswap.demo.services import video_limits
from simswap.demo.services.videos import Outcome, Preview
from simswap.video.output.writing import ANIMATION_FORMATS
from simswap.video.source.info import VideoInfo
from simswap.video.words import clock, told

# value: { film, poster } as uploads, is_picture; or {} for none.
FILM_HTML = """${value.film && value.is_picture ? `
<img src="${value.film.url}" alt="The target">` : value.film ? `
<video src="${value.film.url}" poster="${value.poster?.url ?? ""}" aria-label="The target video"
  controls playsinline preload="metadata"></video>` : ""}"""


def allowed() -> str:
    """What is taken, for who has given no video yet."""
    seconds, (width, height) = video_limits.allowed_seconds(), video_limits.LARGEST
    size = f"{theme.MOST_MEGABYTES} MB and {width} x {height} pixels"
    time = f"in up to {video_limits.allowed_minutes():g} minutes"
    return theme.message(f"Up to {size}, of which {seconds:g} s are swapped at a time, {time}.")


def film(info: VideoInfo, path: str, poster: str | None) -> dict[str, object]:
    """The video itself, for FILM_HTML; poster: a picture for browsers that do not play it."""
    files = {"film": path, "poster": poster}
    shown = {name: {"path": file, "meta": UPLOADED} for name, file in files.items() if file}
    return shown | {"is_picture": info.num_plays is not None}  # browsers show animations as such


def waiting(num_before: int = 0) -> dict[str, object]:
    """The stage from the click until work begins; num_before: videos that come first."""
    videos = "1 video is" if num_before == 1 else f"{num_before} videos are"
    line = f"Waiting: {videos} before yours." if num_before else "Waiting for its turn..."
    return {"line": line, "done": 0, "total": 1}


def beginning() -> dict[str, object]:
    """The stage once work has begun, before its first frame."""
    return {"line": "Looking at the video...", "done": 0, "total": 1}


def progress(step: VideoProgress) -> dict[str, object]:
    """The stage while a video is at work: how far it has come, with its newest frame."""
    parts = [f"{step.frames_done} of {step.frames_total} frames"]
    if step.frames_per_second:
        parts.append(f"{step.frames_per_second:.1f} frames/s")
    if step.eta_seconds:
        parts.append(f"{clock(step.eta_seconds)} left")
    picture = None
    if step.thumbnail is not None:
        picture = pictures.data_uri(Image.fromarray(step.thumbnail), max(step.thumbnail.shape))
    line = " · ".join(parts)
    return {
        "line": line,
        "done": step.frames_done,
        "total": step.frames_total,
        "picture": picture,
    }


def result(outcome: Outcome) -> dict[str, object]:
    """The stage with a finished video, and what came of it."""
    said = theme.message(told(outcome.report), *outcome.report.notices)
    is_picture = Path(outcome.path).suffix[1:] in ANIMATION_FORMATS
    return {
        "film": {"path": outcome.path, "meta": UPLOADED},
        "is_picture": is_picture,
        "said": said,
    }


def found(info: VideoInfo) -> str:
    """What a video holds, for its visitor."""
    kind = f"{info.width}x{info.height}, {float(info.frame_rate):.4g} frames/s"
    frames = "1 frame" if info.num_frames == 1 else f"{info.num_frames} frames"
    length = f"{info.duration:.3g} s" if info.duration < 60 else f"{clock(info.duration)} min"
    return theme.message(f"{length}, {kind}, {frames}.", *info.notices)


def previewed(frame: Preview) -> str:
    """What the previewed frame shows."""
    place = f"At {frame.seconds:.2f} s: "
    if frame.after is None:
        return theme.message(place + "as it is. To see it swapped, add a source and tick the box.")
    if not frame.num_faces:
        return theme.message(place + "no face; such frames stay as they are.")
    faces = "face" if frame.num_faces == 1 else "faces"
    return theme.message(place + f"{frame.num_swapped} of {frame.num_faces} {faces} swapped.")
