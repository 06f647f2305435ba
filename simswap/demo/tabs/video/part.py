"""Which frame of a video is shown, and which part of it is swapped: one bar says both."""

from __future__ import annotations

import gradio as gr

from simswap.demo.calls.arguments import Number, Parts, Text, declare
from simswap.demo.look import theme
from simswap.demo.services import video_limits
from simswap.video.source.info import VideoInfo

MOST_TIMES = 500  # of frames, which the page is told


def build() -> gr.HTML:
    """The bar, which is shown where there is a choice; video_bar.js says what its value holds."""
    bar = gr.HTML(
        {},
        html_template=theme.read("video_bar.html"),
        js_on_load=theme.read("video_bar.js"),
        elem_id="video-bar",
    )
    number = Number()
    parts = {"of": Text(), "frame": number, "start": number, "end": number}
    declare(bar, "bar", Parts(parts=parts))
    return bar


def show(info: VideoInfo, path: str) -> dict[str, object]:
    """The bar's value for a video."""
    number = min(info.num_frames, MOST_TIMES)
    frames = [place * info.num_frames // number for place in range(number + 1)]
    allowed = video_limits.allowed_seconds()
    return {
        "of": path,
        "frames": info.num_frames,
        "times": [round(info.seconds(frame), 5) for frame in frames],
        "mostSeconds": allowed,
        "mostFrames": int(allowed * video_limits.FRAMES_PER_SECOND),
    }


def is_of(bar: object, path: str | None) -> bool:
    """Whether this is a video's bar; its value comes as the browser sends it."""
    return isinstance(bar, dict) and bar.get("of") == path


def frame_of(bar: object, path: str) -> int:
    """Number of the frame to be shown; the first one as long as the bar is another video's."""
    return int(_values(bar, path).get("frame") or 0)


def part_of(bar: object, path: str | None) -> dict[str, float | None]:
    """`start` and `end` of VideoChoices; the whole as long as the bar is another video's."""
    values = _values(bar, path)
    return {"start": values.get("start") or 0.0, "end": values.get("end")}


def _values(bar: object, path: str | None) -> dict[str, float | None]:
    return bar if is_of(bar, path) else {}
