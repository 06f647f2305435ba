"""What Verify found, as HTML; a report may hold what a stranger wrote into a file."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from simswap.verify.report import Report, details, headline

# What a glance shows of each verdict; the words beside it say the same.
SIGNS = {
    "marked": "AI",
    "altered": "!",
    "unchecked": "?",
    "unmarked": "?",
    "error": "!",
}


WORKING = "<p>Looking at the file…</p>"
# Kinds of photos that every browser shows.
SHOWN = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".gif"}


def show(report: Report, path: str | None = None) -> str:
    """A report; path: the uploaded file, shown beside it if it is a photo of a usual kind."""
    shown = ""
    if path and report.kind == "photo" and Path(path).suffix.lower() in SHOWN:
        shown = f'<img src="gradio_api/file={quote(path)}" alt="The photo that was looked at">'
    return _card(report.verdict, headline(report), details(report), _timeline(report) + shown)


def show_error(message: str) -> str:
    """Why there is no report."""
    return _card("error", message, ())


def _card(verdict: str, title: str, lines: Sequence[str], more: str = "") -> str:
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    details = f"<details><summary>Details</summary><ul>{items}</ul></details>" if lines else ""
    return (
        f'<div class="report {verdict}"><span aria-hidden="true">{SIGNS[verdict]}</span>'
        f"<div><p>{html.escape(title)}</p>{more}{details}</div></div>"
    )


def _timeline(report: Report) -> str:
    """The frames of a video that were looked at, as a row of bars; the words are in the details."""
    found = report.watermark
    if report.kind != "video" or found is None:
        return ""
    bars = "".join(
        f'<i class="{"found" if is_marked else ""}" title="{seconds:.1f} s: '
        f'{"marked" if is_marked else "no mark found"}"></i>'
        for seconds, is_marked in zip(found.seconds, found.is_marked, strict=True)
    )
    ends = f"<span>{found.seconds[0]:.1f} s</span><span>{found.seconds[-1]:.1f} s</span>"
    label = f"{sum(found.is_marked)} of {len(found.seconds)} frames are marked"
    return (
        f'<div class="timeline" role="img" aria-label="{label}"><div>{bars}</div>'
        f"<small>{ends}</small></div>"
    )
