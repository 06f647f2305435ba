"""A real Chromium for tests that look at pages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

CHROMIUM = Path("/usr/bin/chromium")
PATIENCE = 60_000  # ms, for a busy machine
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
    """The checkbox, in the open tab, without which the demo swaps nothing but its examples."""
    return page.get_by_label("I may use these faces: they are mine").locator("visible=true")


def open_page(
    browser: "playwright.sync_api.Browser",  # noqa: F821
    url: str,
    width: int = 1280,
    scheme: str = "light",
    agrees: bool = True,
):
    """The demo as a visitor has it who `agrees`; `requests_seen` lists what it asked for."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.set_default_timeout(PATIENCE)
    page.requests_seen = []
    page.on("request", lambda request: page.requests_seen.append(request.url))
    page.goto(url)
    consent_box(page).set_checked(agrees)
    return page


def upload(page: "playwright.sync_api.Page", where: str, *files: Path) -> None:  # noqa: F821
    """Hand files to the input with this id."""
    page.locator(f"#{where} input[type=file]").first.set_input_files(list(files))
