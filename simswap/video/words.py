"""A video's report in words, for shell and page."""

from __future__ import annotations

from simswap.video.options import VideoReport


def told(report: VideoReport) -> str:
    """The report in a sentence or two."""
    frames = "1 frame" if report.frames == 1 else f"{report.frames} frames"
    text = f"Swapped {report.faces_swapped} faces in {frames}"
    if report.frames_without_face:
        text += f" ({report.frames_without_face} without a face)"
    text += f" in {report.seconds:.1f} s, {report.frames_per_second:.1f} frames/s."
    if report.first_pass_seconds:
        text += f" Telling people apart took {report.first_pass_seconds:.1f} s of it."
    if report.resumed_frames:
        text += f" {report.resumed_frames} frames were done before."
    return text


def clock(seconds: float) -> str:
    """Seconds as "1:05" or "1:01:05"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
