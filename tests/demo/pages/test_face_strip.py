"""The row of buttons for faces, when answers of the server come after a visitor's taps."""

import pytest

from simswap.demo.look import theme
from tests.support.demo.chromium import COMPONENT_JS

pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")

pytestmark = pytest.mark.browser

BUTTONS = "".join(f'<button data-face="{face}">{face}</button>' for face in range(3))
FOUND = {"of": "a.mp4", "faces": ["A", "B"], "numbers": [0, 1], "picked": [0, 1]}
GROWN = {"faces": ["A", "B", "C"], "numbers": [0, 1, 2], "picked": [0, 1, 2]}


@pytest.fixture
def strip(browser):
    """Shows the buttons alone, the second of two tapped; gives their page."""
    page = browser.new_page()
    page.goto("about:blank")

    def show(single: bool = False):
        page.evaluate(COMPONENT_JS, [BUTTONS, theme.read("face_strip.js"), FOUND])
        page.evaluate("single => { props.words = { single }; }", single)
        page.get_by_text("1").click()
        return page

    yield show
    page.close()


def answered(page, **values: object) -> dict[str, object]:
    """The buttons' value, once the server's answer has come."""
    page.evaluate("value => { props.value = value; update(); }", {**FOUND, **values})
    return page.evaluate("props.value")


def test_a_tap_outlives_an_answer_asked_for_before(strip):
    page = strip()
    value = answered(page, **GROWN)
    assert (value["picked"], value["numbers"]) == ([0], [0, 1, 2])
    assert page.evaluate("told") == ["input", "input"]  # what was answered shows more faces


def test_who_goes_where_outlives_an_answer_asked_for_before(strip):
    page = strip()
    people = [{"id": 4}, {"id": 7}]
    answered(page, people=people, who=[4, 4], taps=1)
    page.get_by_text("0").click()
    value = answered(page, **GROWN, people=people, who=[4, 4, 4], taps=1)
    assert (value["who"], value["isMapped"], value["taps"]) == ([7, 4, 4], True, 2)


@pytest.mark.parametrize("values", [{"taps": 1}, {"of": "b.mp4"}, {"faces": ["B", "A"]}], ids=str)
def test_an_answer_to_the_last_tap_or_with_other_faces_is_taken(strip, values):
    page = strip()
    assert answered(page, **values)["picked"] == [0, 1]
    assert page.evaluate("told") == ["input"]


def test_a_photo_that_was_taken_away_begins_anew(strip):
    page = strip()
    answered(page, of=None, faces=[], numbers=[], picked=[])
    assert answered(page)["picked"] == [0, 1]


def test_which_face_is_a_source_is_the_trays_say(strip):
    assert answered(strip(single=True), picked=[0])["picked"] == [0]
