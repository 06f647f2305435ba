"""A real Chromium for tests that look at pages."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

# The first that is installed. The shell has no window and nothing to draw one with, which spares
# a third to two thirds of what loading a page costs.
CHROMIUMS = (Path("/usr/bin/chromium-headless-shell"), Path("/usr/bin/chromium"))
PATIENCE = 60_000  # ms, for a busy machine
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Pages of one demo share a process, which has its scripts compiled: 1.6 s of a processor in
    # place of 3.7 for each page after the first.
    "--process-per-site",
]

# Gradio's page asks for 60 pictures a second as long as it is open, and a picture of a spinning
# sign costs as much as one of something new. Fewer will do: a visit then takes a sixth less.
SELDOM_JS = """
window.requestAnimationFrame = (draw) => setTimeout(() => draw(performance.now()), 50);
window.cancelAnimationFrame = clearTimeout;
"""

# As Gradio runs a component's script; `told` is what it has told.
COMPONENT_JS = """([html, js, value]) => {
  document.body.innerHTML = `<div>${html}</div>`;
  window.props = { value };
  window.told = [];
  const script = new Function("element", "trigger", "props", "watch", js);
  script(document.body.firstChild, (name) => told.push(name), props, (name, act) => {
    window.update = act;
  });
}"""


@contextmanager
def launched(flags: Sequence[str] = ()) -> Iterator["playwright.sync_api.Browser"]:  # noqa: F821
    """The browser, closed at the end; skips the test where it is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
    installed = next((path for path in CHROMIUMS if path.exists()), None)
    if installed is None:
        pytest.skip(f"needs {CHROMIUMS[-1]} (Debian package chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=str(installed), args=[*FLAGS, *flags])
        yield browser
        browser.close()


def new_page(
    browser: "playwright.sync_api.Browser",  # noqa: F821
    url: str,
    width: int = 1280,
    scheme: str = "light",
):
    """An empty page for a visitor of `url`; the browser knows that address from earlier ones.

    A blank page of each address stays open as long as the browser, and keeps its process.
    """
    if not browser.contexts:
        browser.new_context()
    context = browser.contexts[0]
    address = f"{url}/manifest.json"
    if not any(kept.url == address for kept in context.pages):
        context.new_page().goto(address)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.add_init_script(SELDOM_JS)
    return page


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
    page = new_page(browser, url, width, scheme)
    page.requests_seen = []
    page.on("request", lambda request: page.requests_seen.append(request.url))
    page.goto(url)
    consent_box(page).set_checked(agrees)
    return page


def open_video_tab(
    browser: "playwright.sync_api.Browser",  # noqa: F821
    url: str,
    width: int = 1280,
    scheme: str = "light",
    agrees: bool = True,
):
    """The demo's Video tab, as `open_page` opens the page."""
    page = open_page(browser, url, width, scheme, agrees)
    page.get_by_role("tab", name="Video").click()
    page.get_by_role("button", name="Swap the video").wait_for()
    return page


def upload(page: "playwright.sync_api.Page", where: str, *files: Path) -> None:  # noqa: F821
    """Hand files to the input with this id."""
    page.locator(f"#{where} input[type=file]").first.set_input_files(list(files))
