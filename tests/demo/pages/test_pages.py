"""Every tab: usable with a screen reader and by keyboard, and no wider than the screen.

And what a page does with answers that come late.
"""

import re
import urllib.request

import pytest

from simswap.demo.look import theme
from tests.support.demo.chromium import COMPONENT_JS, new_page

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe (extra dev)")

pytestmark = pytest.mark.browser


def test_a_link_to_the_demo_is_shown_with_its_own_title_and_picture(demo_url):
    with urllib.request.urlopen(demo_url) as answer:
        text = answer.read().decode()
    tags = dict(re.findall(r'<meta property="og:(\w+)" content="([^"]*)"', text))
    assert tags["title"].startswith("SimSwap")
    assert text.count("og:title") == text.count("og:image") == 1
    with urllib.request.urlopen(tags["image"]) as answer:
        assert answer.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_every_tab_fits_and_has_no_serious_fault_of_accessibility(browser, demo_url, width, scheme):
    page = new_page(browser, demo_url, width, scheme)
    page.goto(demo_url)
    page.get_by_role("button", name="Swap", exact=True).wait_for()
    faults = []
    for tab in page.get_by_role("tab").all():
        tab.click()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        faults += [
            f"{tab.inner_text()}: {fault['help']}: {fault['nodes'][0]['html'][:200]}"
            for fault in axe.Axe().run(page).response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
    page.close()
    assert faults == []


# For each selector: the colour of its edge, and the one around it. In both themes.
EDGES_JS = """(selectors) => {
  const paint = (element) => {
    const colour = getComputedStyle(element).backgroundColor;
    return colour === "rgba(0, 0, 0, 0)" && element.parentElement
      ? paint(element.parentElement) : colour;
  };
  const channels = (colour) => colour.match(/[0-9.]+/g).slice(0, 3).map(Number);
  return [false, true].map((isDark) => {
    document.body.classList.toggle("dark", isDark);
    return selectors.map((selector) => {
      const element = document.querySelector(selector);
      const edge = getComputedStyle(element);
      return [selector, parseFloat(edge.borderTopWidth), channels(edge.borderTopColor),
              channels(paint(element.parentElement))];
    });
  });
}"""
CONTROLS = [
    *("#source", "#target", "#consent input", "[data-example]", "#video-target"),
    *(".camera-buttons [data-do=full]", "#verify-file", "#save fieldset label"),
    'input[type="number"]',
]


def luminance(channels: list[float]) -> float:
    """Of an sRGB colour, by WCAG 2."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (channel / 255 for channel in channels)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_edges_of_controls_stand_out_in_both_themes(browser, demo_url):
    page = new_page(browser, demo_url)
    page.goto(demo_url)
    parts = {"Video": "#video-target", "Webcam": ".camera-buttons", "Verify": "#verify-file"}
    for name, part in parts.items():
        page.get_by_role("tab", name=name).click()
        page.locator(part).wait_for()
    themes = page.evaluate(EDGES_JS, CONTROLS)
    page.close()
    faint = []
    for edges in themes:
        for selector, width, edge, around in edges:
            low, high = sorted((luminance(edge), luminance(around)))
            if width < 1 or (high + 0.05) / (low + 0.05) < 3:
                faint.append((selector, width, edge, around))
    assert faint == []


def test_the_tabs_are_reached_and_opened_by_keyboard(browser, demo_url):
    page = new_page(browser, demo_url)
    page.goto(demo_url)
    page.get_by_role("button", name="Swap", exact=True).wait_for()
    tab = page.get_by_role("tab", name="Webcam")
    for _ in range(20):
        page.keyboard.press("Tab")
        if tab.evaluate("(element) => element === document.activeElement"):
            break
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Start camera").wait_for()
    page.close()


# Late answers


@pytest.fixture
def comparison(browser):
    """The comparison alone, before the first swap."""
    page = browser.new_page()
    page.goto("about:blank")
    texts = theme.read("comparison.html"), theme.read("comparison.js")
    page.evaluate(COMPONENT_JS, [*texts, {}])
    yield page
    page.close()


def give(comparison, **value: object) -> None:
    comparison.evaluate("value => { props.value = value; update(); }", value)


ANSWER = {"before": "before.png", "after": "after.png", "faces": []}


def test_an_older_answer_in_the_place_of_a_change_has_the_change_asked_for_again(comparison):
    give(comparison, version=1, ready=True, isAsked=True)
    comparison.wait_for_function("told.length === 1")
    give(comparison, version=2, ready=True, isAsked=False)
    comparison.wait_for_function("told.length === 2")
    give(comparison, version=1, **ANSWER)
    assert comparison.locator(".filled").count() == 0
    comparison.wait_for_function("told.length === 3")
    assert comparison.evaluate("props.value.version") == 2
    give(comparison, version=2, **ANSWER)
    assert comparison.locator(".filled").count() == 1
    assert comparison.locator(".busy").count() == 0


def test_an_older_answer_that_nothing_waits_for_is_left_alone(comparison):
    give(comparison, version=1, ready=True, isAsked=True)
    give(comparison, version=1, **ANSWER)
    give(comparison, version=2, ready=False, isAsked=False)
    asked = comparison.evaluate("told.length")
    give(comparison, version=1, **ANSWER)
    comparison.wait_for_timeout(700)  # more than it waits before it asks
    assert comparison.evaluate("told.length") == asked
