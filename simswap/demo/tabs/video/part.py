"""Which part of a video is swapped: by its seconds, or from where the preview's slider stands."""

from __future__ import annotations

import gradio as gr

from simswap.demo.calls.failures import readable_errors
from simswap.demo.look import theme, video
from simswap.demo.services import video_limits, videos
from simswap.video.source.info import trim

# What is typed before the video's own are filled in would be lost.
NO_PART = gr.Number(0, interactive=False), gr.Number(0, interactive=False)


def start_here(target: dict | None, number: int) -> float:
    """When a frame begins, in seconds."""
    return _second(target, number)


def end_here(target: dict | None, number: int) -> float:
    """When the frame after it begins, so that it is the last one."""
    return _second(target, number + 1)


def _second(target: dict | None, number: int) -> float:
    info = videos.look_at(target and target["path"])
    return round(info.seconds(max(int(number), 0)), 3)


def show_part(target: dict | None, start: float | None, end: float | None) -> str:
    """How many frames lie between start and end, or why they cannot be swapped."""
    if target is None:
        return ""
    end = end or None  # the field shows 0 until it is filled in
    try:
        with readable_errors():
            info = videos.look_at(target["path"])
            video_limits.check_length(info, start, end)
            return video.part(info, *trim(info, start, end))
    except gr.Error as error:
        return theme.message(error.message)


class VideoPart:
    """Start and end of the part, in seconds, and buttons that set them.

    cut: the buttons' row, which is shown where there is a choice.
    """

    def build_fields(self) -> tuple[gr.Number, gr.Number]:
        """Start and end, until there is a video. Gradio shows a number that is not given as 0."""
        with gr.Row():
            no_part = {"value": 0, "minimum": 0, "interactive": False}
            self._start = gr.Number(label="Start, in seconds", **no_part)
            self._end = gr.Number(label="End, in seconds", **no_part)
        self._said = theme.build_message()
        return self._start, self._end

    def build_buttons(self) -> None:
        """Where the slider stands, the part begins or ends."""
        with gr.Row(visible=False) as self.cut:
            self._from = gr.Button("Start here", min_width=90)
            self._to = gr.Button("End here", min_width=90)

    def join(self, target: gr.File, slider: gr.Slider) -> None:
        """Let the buttons set the fields, and say what comes of that."""
        private = {"api_visibility": "private", "preprocess": False, "show_progress": "hidden"}
        lane = {"concurrency_id": "preview", "trigger_mode": "always_last"}
        self._from.click(start_here, [target, slider], self._start, **private, **lane)
        self._to.click(end_here, [target, slider], self._end, **private, **lane)
        for changed in (self._start.change, self._end.change, target.change):
            changed(show_part, [target, self._start, self._end], self._said, **private, **lane)
