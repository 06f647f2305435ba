"""What Verify found, as HTML; a report may hold what a stranger wrote into a file."""

from __future__ import annotations

import html
from collections.abc import Sequence

from simswap.verification import Report, details, headline

# What a glance shows of each verdict; the words beside it say the same.
SIGNS = {"marked": "✓", "signed": "i", "altered": "!", "unmarked": "?", "error": "!"}


def show(report: Report) -> str:
    """A report."""
    return _card(report.verdict, headline(report), details(report))


def show_error(message: str) -> str:
    """Why there is no report."""
    return _card("error", message, ())


def _card(verdict: str, title: str, lines: Sequence[str]) -> str:
    listed = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return (
        f'<div class="report {verdict}"><span aria-hidden="true">{SIGNS[verdict]}</span>'
        f"<div><p>{html.escape(title)}</p>{listed and f'<ul>{listed}</ul>'}</div></div>"
    )
