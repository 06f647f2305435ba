"""A real Chromium for tests that look at pages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def launched(flags: Sequence[str] = ()) -> Iterator["playwright.sync_api.Browser"]:  # noqa: F821
    """The browser, closed at the end; skips the test where it is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
    if not CHROMIUM.exists():
        pytest.skip(f"needs {CHROMIUM} (Debian package chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(CHROMIUM), args=[*FLAGS, *flags])
        yield browser
        browser.close()


def consent_box(page: "playwright.sync_api.Page"):  # noqa: F821
    """The checkbox without which the demo swaps nothing."""
    return page.get_by_label("I have the right to use these faces: they are mine")
