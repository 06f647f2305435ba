"""A visitor at the demo's page, in a real Chromium."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from simswap.provenance.metadata import read_mark
from tests.support.demo.chromium import PATIENCE, consent_box, launched, open_page, upload

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
expect = playwright.expect

pytestmark = pytest.mark.browser

EXAMPLES = Path(__file__).parents[3] / "assets" / "examples"


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with launched() as chromium:
        yield chromium


@pytest.fixture
def page(browser, demo_url: str):
    page = open_page(browser, demo_url)
    yield page
    page.close()


def swap_button(page):
    return page.get_by_role("button", name="Swap", exact=True)


def face_buttons(page):
    return page.get_by_role("group", name="Faces in the target photo").get_by_role("button")


def swap(page, source: str = "grace_hopper.jpg", target: str = "astronaut.jpg") -> None:
    upload(page, "source", EXAMPLES / source)
    upload(page, "target", EXAMPLES / target)
    face_buttons(page).first.wait_for()
    swap_button(page).click()
    page.get_by_text(re.compile(r"^Swapped \d")).wait_for()


def saved(page, tmp_path: Path, label: str) -> Path:
    button = page.get_by_role("button", name=label)
    expect(button).to_be_enabled(timeout=PATIENCE)
    with page.expect_download() as download:
        button.click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_visitor_swaps_compares_and_saves(page, tmp_path: Path):
    swap(page)
    expect(page.get_by_text(re.compile(r"^Swapped 1 face in \d+\.\d\d s\.$"))).to_be_visible()
    expect(page.locator("#result img")).to_have_count(2)
    path = saved(page, tmp_path, "Download PNG")
    with Image.open(path) as photo:
        assert (photo.format, photo.size) == ("PNG", (512, 512))
    assert read_mark(path) is not None


def test_the_result_can_be_saved_as_jpeg_with_its_mark(page, tmp_path: Path):
    swap(page)
    page.get_by_label("JPEG").check()
    path = saved(page, tmp_path, "Download JPEG")
    with Image.open(path) as photo:
        assert photo.format == "JPEG"
    assert read_mark(path) is not None


def test_faces_picked_in_the_strip_are_the_ones_swapped(page):
    upload(page, "source", EXAMPLES / "astronaut.jpg")
    upload(page, "target", EXAMPLES / "two_portraits.jpg")
    expect(face_buttons(page)).to_have_count(2, timeout=PATIENCE)
    face_buttons(page).nth(0).click()
    expect(face_buttons(page).nth(0)).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_label("Faces I pick")).to_be_checked()
    swap_button(page).click()
    expect(page.get_by_text("Swapped 1 of 2 faces in")).to_be_visible(timeout=PATIENCE)


def test_choosing_the_largest_face_shows_in_the_strip(page):
    upload(page, "target", EXAMPLES / "two_portraits.jpg")
    face_buttons(page).nth(1).wait_for()
    page.get_by_label("Largest face").check()
    expect(face_buttons(page).nth(1)).to_have_attribute("aria-pressed", "false")
    expect(face_buttons(page).nth(0)).to_have_attribute("aria-pressed", "true")


def test_an_example_fills_in_both_photos(page):
    page.get_by_role("button", name="Grace Hopper's face").click()
    face_buttons(page).first.wait_for()
    swap_button(page).click()
    expect(page.get_by_text("Swapped 1 face in")).to_be_visible(timeout=PATIENCE)


def test_a_file_that_is_no_photo_is_told_at_once(page, tmp_path: Path):
    wrong = tmp_path / "letter.jpg"
    wrong.write_text("Dear Sir")
    upload(page, "target", wrong)
    expect(page.get_by_text("letter.jpg is not a photo")).to_be_visible(timeout=PATIENCE)


def test_swapping_without_photos_says_what_to_add(page):
    swap_button(page).click()
    expect(page.get_by_text("There is no source photo yet")).to_be_visible(timeout=PATIENCE)


def test_nothing_is_swapped_before_the_visitor_says_that_they_may(page):
    consent_box(page).uncheck()
    upload(page, "source", EXAMPLES / "grace_hopper.jpg")
    upload(page, "target", EXAMPLES / "astronaut.jpg")
    face_buttons(page).first.wait_for()
    swap_button(page).click()
    expect(page.get_by_text("Tick the box at the top first")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#result img")).to_have_count(0)
    consent_box(page).check()
    swap_button(page).click()
    expect(page.get_by_text("Swapped 1 face in")).to_be_visible(timeout=PATIENCE)


def test_the_page_asks_nothing_of_other_servers(page, demo_url: str):
    swap(page)
    local = (demo_url, "data:", "blob:")
    assert page.requests_seen
    assert [url for url in page.requests_seen if not url.startswith(local)] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_width(browser, demo_url: str, tmp_path: Path, width: int, scheme: str):
    page = open_page(browser, demo_url, width, scheme)
    swap(page, "astronaut.jpg", "two_portraits.jpg")
    page.screenshot(path=tmp_path / f"page-{width}-{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.close()
