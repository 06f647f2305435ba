"""The people that a visitor gives, in a real Chromium."""

import pytest

from tests.support.demo.chromium import PATIENCE, open_page, upload
from tests.support.examples import EXAMPLES

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
expect = playwright.expect

pytestmark = pytest.mark.browser


def open_tab(page, name: str) -> None:
    page.get_by_role("tab", name=name).click()


def test_a_person_who_is_given_in_one_tab_is_there_in_all_until_deleted_in_one(browser, demo_url):
    page = open_page(browser, demo_url)
    photo, strip = page.locator("#source img"), page.locator("#source-faces [data-face]")
    open_tab(page, "Webcam")
    upload(page, "source", EXAMPLES / "two_portraits.jpg")
    strip.nth(1).click()
    for name in ("Video", "Image", "Verify", "Webcam"):
        open_tab(page, name)
        expect(photo).to_be_visible(timeout=PATIENCE, visible=name != "Verify")
        expect(strip.nth(1)).to_have_attribute("aria-pressed", "true")
    open_tab(page, "Video")
    page.locator("#source").get_by_role("button", name="Clear").click()
    for name in ("Image", "Webcam"):
        open_tab(page, name)
        expect(page.locator("#source")).to_be_visible()
        expect(photo).to_have_count(0)
    page.close()


def test_a_tapped_face_gets_the_other_person_and_then_none(browser, demo_url):
    page = open_page(browser, demo_url)
    after, source = page.locator("#result .compare-after"), page.locator("#source img")
    upload(page, "source", EXAMPLES / "astronaut.jpg")
    page.get_by_role("button", name="Add another person").click()
    expect(source).to_have_count(0, timeout=PATIENCE)
    upload(page, "source", EXAMPLES / "grace_hopper.jpg")
    upload(page, "target", EXAMPLES / "two_portraits.jpg")
    faces = page.get_by_role("group", name="Faces in the target photo").get_by_role("button")
    people = page.get_by_role("group", name="People to put in").locator("img")
    expect(people).to_have_count(2, timeout=PATIENCE)
    expect(faces.nth(1)).to_have_accessible_name("Face 2: Person 2", timeout=PATIENCE)
    page.get_by_role("button", name="Swap", exact=True).click()
    for place, name, told in (
        (0, "Face 1: Person 2", "Swapped 2 faces"),
        (1, "Face 2: stays as it is", "Swapped 1 of 2 faces"),
    ):
        expect(page.locator("#result .compare.compared:not(.stale)")).to_be_visible(
            timeout=PATIENCE
        )
        before = after.get_attribute("src")
        faces.nth(place).press("Enter")
        expect(faces.nth(place)).to_be_focused()
        expect(faces.nth(place)).to_have_accessible_name(name)
        expect(after).not_to_have_attribute("src", before, timeout=PATIENCE)
        expect(page.get_by_text(told)).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Person 1", exact=True).press("Enter")
    expect(source).to_have_count(1)
    page.get_by_role("button", name="Remove person 1").press("Enter")
    expect(page.get_by_role("button", name="Add another person")).to_be_visible()
    expect(page.get_by_text("1 of 2 faces will be swapped")).to_be_visible()
    page.close()
