"""When the comparison has photos swapped again, and which answers it shows."""

import pytest

from simswap.demo.look import theme
from tests.support.demo.chromium import COMPONENT_JS

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser):
    """The comparison alone, before the first swap."""
    page = browser.new_page()
    page.goto("about:blank")
    texts = theme.read("comparison.html"), theme.read("comparison.js")
    page.evaluate(COMPONENT_JS, [*texts, {}])
    yield page
    page.close()


def give(page, **value: object) -> None:
    page.evaluate("value => { props.value = value; update(); }", value)


ANSWER = {"before": "before.png", "after": "after.png", "faces": []}


def test_an_older_answer_in_the_place_of_a_change_has_the_change_asked_for_again(page):
    give(page, version=1, ready=True, isAsked=True)
    page.wait_for_function("told.length === 1")
    give(page, version=2, ready=True, isAsked=False)
    page.wait_for_function("told.length === 2")
    give(page, version=1, **ANSWER)
    assert page.locator(".filled").count() == 0
    page.wait_for_function("told.length === 3")
    assert page.evaluate("props.value.version") == 2
    give(page, version=2, **ANSWER)
    assert page.locator(".filled").count() == 1
    assert page.locator(".busy").count() == 0


def test_an_older_answer_that_nothing_waits_for_is_left_alone(page):
    give(page, version=1, ready=True, isAsked=True)
    give(page, version=1, **ANSWER)
    give(page, version=2, ready=False, isAsked=False)
    asked = page.evaluate("told.length")
    give(page, version=1, **ANSWER)
    page.wait_for_timeout(700)  # more than it waits before it asks
    assert page.evaluate("told.length") == asked
