"""A visitor swaps, saves, and has the Verify tab look at what was saved, in a real Chromium."""

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.support.credentials.certificates import active_manifest, failures_of, store_of
from tests.support.demo.chromium import PATIENCE, consent_box, new_page, upload
from tests.support.examples import EXAMPLES

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
expect = playwright.expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser, demo_url: str):
    page = new_page(browser, demo_url)
    page.goto(demo_url)
    yield page
    page.close()


@pytest.fixture(scope="module")
def saved(page, tmp_path_factory) -> Path:
    """A swap made on the page and saved."""
    consent_box(page).check()
    for where, name in (("source", "grace_hopper.jpg"), ("target", "astronaut.jpg")):
        upload(page, where, EXAMPLES / name)
    page.get_by_role("group", name="Faces in the target photo").get_by_role("button").wait_for()
    page.get_by_role("button", name="Swap", exact=True).click()
    page.get_by_text(re.compile(r"^Swapped \d")).wait_for()
    button = page.get_by_role("button", name="Download PNG")
    expect(button).to_be_enabled(timeout=PATIENCE)
    with page.expect_download() as download:
        button.click()
    path = tmp_path_factory.mktemp("saved") / download.value.suggested_filename
    download.value.save_as(path)
    return path


def verified(page, file: Path):
    """The report that the Verify tab shows of a file, once it is there."""
    page.reload()
    page.get_by_role("tab", name="Verify").click()
    upload(page, "verify-file", file)
    report = page.locator("#report .report")
    expect(report).to_have_count(1, timeout=PATIENCE)
    return report


def test_c2pas_own_reader_accepts_what_the_page_gave(saved):
    store = store_of(saved)
    assert failures_of(store) == []
    assert active_manifest(store)["ingredients"][0]["relationship"] == "parentOf"


def test_verify_knows_it(page, saved):
    report = verified(page, saved)
    expect(report).to_contain_text("Marked as synthetic")
    expect(report).to_contain_text("Content Credentials: intact")
    expect(report).to_contain_text("this installation's own certificate")
    expect(report).to_contain_text("Watermark: found, of “simswap-lite-128”")


def test_the_verdict_comes_first_with_the_photo_and_the_rest_on_request(page, saved):
    report = verified(page, saved)
    expect(report.get_by_role("img", name="The photo that was looked at")).to_be_visible()
    expect(report.get_by_text("Content Credentials: intact")).to_be_hidden()
    report.get_by_text("Details").click()
    expect(report.get_by_text("Content Credentials: intact")).to_be_visible()


def test_saved_again_as_jpeg_it_is_still_known_by_its_invisible_mark(page, saved, tmp_path):
    with Image.open(saved) as photo:
        photo.convert("RGB").save(tmp_path / "again.jpg", quality=70)
    report = verified(page, tmp_path / "again.jpg")
    expect(report).to_contain_text("Marked as synthetic")
    expect(report).to_contain_text("Content Credentials: none")
    expect(report).to_contain_text("Watermark: found")


def test_an_unrelated_photo_is_not(page):
    report = verified(page, EXAMPLES / "two_portraits.jpg")
    expect(report).to_contain_text("No mark found. That does not prove the photo is real")
    expect(report).to_contain_text("Watermark: none found")


def test_what_is_no_photo_is_told(page, tmp_path):
    (tmp_path / "letter.jpg").write_text("Dear Sir")
    expect(verified(page, tmp_path / "letter.jpg")).to_contain_text("letter.jpg is neither")
