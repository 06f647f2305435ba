"""A visitor at the demo's page, in a real Chromium."""

import re
import time
from pathlib import Path

import pytest
from PIL import Image

from simswap.provenance.metadata import read_label
from tests.support.demo.chromium import PATIENCE, consent_box, open_page, upload

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
expect = playwright.expect

pytestmark = pytest.mark.browser

EXAMPLES = Path(__file__).parents[3] / "assets" / "examples"


@pytest.fixture
def page(browser, demo_url: str):
    page = open_page(browser, demo_url)
    yield page
    page.close()


def swap_button(page):
    return page.get_by_role("button", name="Swap", exact=True)


def face_buttons(page):
    return page.get_by_role("group", name="Faces in the target photo").get_by_role("button")


def swap(page, source: str = "grace_hopper.jpg", target: str | Path = "astronaut.jpg") -> None:
    upload(page, "source", EXAMPLES / source)
    upload(page, "target", EXAMPLES / target)
    face_buttons(page).first.wait_for()
    swap_button(page).click()
    page.get_by_text(re.compile(r"^Swapped \d")).wait_for()


@pytest.fixture(scope="module")
def swapped(browser, demo_url: str):
    """A page with a result, for tests that leave it as it was."""
    page = open_page(browser, demo_url)
    swap(page)
    yield page
    page.close()


def shown_whole(page) -> bool:
    """Whether the result is shown, and none of the original over it."""
    clip = "getComputedStyle(document.querySelector('#result .compare-before')).clipPath"
    return page.evaluate(clip).startswith("inset(0px 100% 0px 0px")


LEAST_ALPHA_JS = """(canvas) => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  return data.reduce((least, value, i) => (i % 4 === 3 ? Math.min(least, value) : least), 255);
}"""


def comparison(page, state: str = ""):
    return page.locator(f"#result .compare.compared{state}")


def saved(page, tmp_path: Path, label: str) -> Path:
    button = page.get_by_role("button", name=label)
    expect(button).to_be_enabled(timeout=PATIENCE)
    with page.expect_download() as download:
        button.click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_visitor_swaps_compares_and_saves(swapped, tmp_path: Path):
    page = swapped
    expect(page.get_by_text(re.compile(r"^Swapped 1 face in \d+\.\d\d s\.$"))).to_be_visible()
    expect(comparison(page)).to_be_visible()
    assert shown_whole(page)
    path = saved(page, tmp_path, "Download PNG")
    with Image.open(path) as photo:
        assert (photo.format, photo.size) == ("PNG", (512, 512))
    assert read_label(path) is not None


def test_the_result_can_be_saved_as_jpeg_with_its_mark(swapped, tmp_path: Path):
    page = swapped
    page.get_by_label("JPEG").check()
    path = saved(page, tmp_path, "Download JPEG")
    assert path.name == "astronaut-simswap.jpg"
    with Image.open(path) as photo:
        assert photo.format == "JPEG"
    assert read_label(path) is not None
    page.get_by_label("PNG").check()


def test_the_original_is_shown_while_its_button_is_held(swapped):
    page = swapped
    button = page.get_by_role("button", name="Hold to see the original")
    button.focus()
    page.keyboard.down(" ")
    assert not shown_whole(page)
    page.keyboard.up(" ")
    assert shown_whole(page)


def test_the_comparison_is_moved_by_keyboard(swapped):
    page = swapped
    slider = page.get_by_role("slider", name="Compare: share of the original")
    slider.focus()
    page.keyboard.press("End")
    expect(page.locator("#result .compare-tag-before")).to_be_visible()
    expect(page.locator("#result .compare-tag-after")).to_be_hidden()
    expect(slider).to_have_attribute("aria-valuetext", "100 % of the original")
    page.keyboard.press("Home")


def test_each_swapped_face_is_shown_close_before_and_after(swapped):
    faces = swapped.get_by_role("group", name="The swapped faces, before and after")
    expect(faces.get_by_role("img")).to_have_count(2, timeout=PATIENCE)
    pixels = [
        face.evaluate("canvas => canvas.toDataURL()") for face in faces.get_by_role("img").all()
    ]
    assert pixels[0] != pixels[1]


def test_a_face_at_the_border_is_shown_close_without_empty_stripes(page, tmp_path: Path):
    with Image.open(EXAMPLES / "astronaut.jpg") as photo:
        photo.crop((190, 60, 512, 512)).save(tmp_path / "border.png")
    swap(page, "grace_hopper.jpg", tmp_path / "border.png")
    face = page.get_by_role("img", name="Face 1, after")
    assert face.evaluate(LEAST_ALPHA_JS) == 255


def test_before_the_first_swap_the_result_speaks_of_no_change(page):
    upload(page, "target", EXAMPLES / "astronaut.jpg")
    face_buttons(page).first.wait_for()
    expect(page.locator("#result .compare-state")).to_be_empty()


def test_faces_picked_in_the_strip_are_swapped_by_themselves(page):
    swap(page, "grace_hopper.jpg", "two_portraits.jpg")
    expect(page.get_by_text("2 of 2 faces will be swapped")).to_be_visible(timeout=PATIENCE)
    face_buttons(page).nth(0).click()
    expect(face_buttons(page).nth(0)).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_text("Swapped 1 of 2 faces in")).to_be_visible(timeout=PATIENCE)


def test_of_two_people_in_the_source_photo_one_is_picked(page):
    swap(page, "two_portraits.jpg", "astronaut.jpg")
    strip = page.get_by_role("group", name="Faces in the source photo")
    expect(strip.get_by_role("button")).to_have_count(2, timeout=PATIENCE)
    first = page.locator("#result .compare-after").get_attribute("src")
    strip.locator("[aria-pressed=false]").click()
    expect(page.locator("#result .compare-after")).not_to_have_attribute(
        "src", first, timeout=PATIENCE
    )
    expect(comparison(page, ":not(.stale)")).to_be_visible(timeout=PATIENCE)


def test_a_source_photo_without_a_face_is_told_at_once(page, tmp_path: Path):
    Image.new("RGB", (200, 200), "teal").save(tmp_path / "teal.png")
    upload(page, "source", tmp_path / "teal.png")
    expect(page.get_by_text("No face found in source photo 1")).to_be_visible(timeout=PATIENCE)


def test_without_a_picked_face_nothing_is_swapped(page):
    swap(page, "grace_hopper.jpg", "two_portraits.jpg")
    page.get_by_role("button", name="None").click()
    expect(page.get_by_text("Pick at least one face to swap.")).to_be_visible(timeout=PATIENCE)
    expect(comparison(page, ".stale")).to_be_visible()


def test_a_photo_that_is_taken_away_leaves_no_result_that_looks_new(page):
    swap(page)
    page.locator("#target").get_by_role("button", name="Remove Image").click()
    expect(comparison(page, ".stale")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("button", name="Download PNG")).to_be_disabled()


def test_another_target_is_swapped_by_itself(page):
    swap(page)
    first = page.locator("#result .compare-after").get_attribute("src")
    page.locator("#target").get_by_role("button", name="Remove Image").click()
    upload(page, "target", EXAMPLES / "two_portraits.jpg")
    expect(page.get_by_text("Swapped 2 faces in")).to_be_visible(timeout=PATIENCE)
    expect(comparison(page, ":not(.stale)")).to_be_visible()
    assert page.locator("#result .compare-after").get_attribute("src") != first


def test_the_page_scrolls_with_the_wheel_over_a_result(swapped):
    page = swapped
    page.set_viewport_size({"width": 1280, "height": 500})
    page.evaluate("scrollTo(0, 100)")
    page.locator("#result .compare-after").hover()
    start = page.evaluate("scrollY")
    page.mouse.wheel(0, 120)
    page.wait_for_function("start => scrollY > start", arg=start)
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_file_that_is_no_photo_is_told_at_once(page, tmp_path: Path):
    wrong = tmp_path / "letter.jpg"
    wrong.write_text("Dear Sir")
    upload(page, "target", wrong)
    expect(page.get_by_text("letter.jpg is not a photo")).to_be_visible(timeout=PATIENCE)


DROP = """(where, name) => {
  const brought = new DataTransfer();
  brought.items.add(new File(["x"], name, { type: "video/mp4" }));
  const drop = new DragEvent("drop", { bubbles: true, cancelable: true, dataTransfer: brought });
  where.dispatchEvent(drop);
}"""


@pytest.mark.parametrize("way", ["chosen", "dropped"])
def test_markup_in_the_name_of_a_file_of_a_wrong_kind_is_text(page, tmp_path: Path, way: str):
    wrong = tmp_path / "<img src=x>.mp4"
    wrong.write_bytes(b"x")
    if way == "chosen":
        upload(page, "target", wrong)
    else:
        page.locator("#target button").first.evaluate(DROP, wrong.name)
    expect(page.get_by_text("<img src=x>.mp4 is not a photo.")).to_be_visible(timeout=PATIENCE)
    assert page.locator("img[src=x]").count() == 0


def test_what_is_missing_is_told_in_the_order_of_the_page(browser, demo_url):
    page = open_page(browser, demo_url, agrees=False)
    for told, id, name in (
        ("There is no source photo yet", "source", "grace_hopper.jpg"),
        ("There is no target photo yet", "target", "two_portraits.jpg"),
    ):
        press_until(page, told)
        expect(page.locator(f"#{id}")).to_have_class(re.compile("wanted"))
        upload(page, id, EXAMPLES / name)
    page.close()


def press_until(page, told: str) -> None:
    """Press Swap until something is told: what was uploaded just now is there a moment later."""
    until = time.monotonic() + PATIENCE / 1000
    while not page.get_by_text(told).is_visible() and time.monotonic() < until:
        swap_button(page).click()
        page.wait_for_timeout(500)
    expect(page.get_by_text(told)).to_be_visible()


def altered(name: str, folder: Path) -> Path:
    """A shipped photo that is another file: what is asked for is the visitor's own."""
    with Image.open(EXAMPLES / name) as photo:
        photo.save(folder / name, quality=90)
    return folder / name


def test_nothing_is_swapped_before_the_visitor_says_that_they_may(browser, demo_url, tmp_path):
    page = open_page(browser, demo_url, 390, agrees=False)
    upload(page, "source", altered("grace_hopper.jpg", tmp_path))
    upload(page, "target", EXAMPLES / "astronaut.jpg")
    face_buttons(page).first.wait_for()
    swap_button(page).click()
    expect(page.get_by_text("One thing is missing: tick the box")).to_be_visible(timeout=PATIENCE)
    expect(comparison(page)).to_have_count(0)
    expect(page.locator("#consent")).to_be_in_viewport()
    expect(page.locator(".toast-body")).to_have_count(0)
    consent_box(page).check()
    expect(page.get_by_text("Swapped 1 face in")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#result .compare-after")).to_be_in_viewport()
    page.close()


def test_consent_is_given_once_a_visit_for_all_tabs(page):
    page.reload()
    expect(consent_box(page)).to_be_checked(timeout=PATIENCE)
    page.get_by_role("tab", name="Video").click()
    expect(consent_box(page)).to_be_checked(timeout=PATIENCE)
    assert page.evaluate("localStorage.length") == 0


def test_the_page_asks_nothing_of_other_servers(swapped, demo_url: str):
    local = (demo_url, "data:", "blob:")
    assert swapped.requests_seen
    assert [url for url in swapped.requests_seen if not url.startswith(local)] == []


def test_the_page_fits_its_width(page):
    swap(page, "astronaut.jpg", "two_portraits.jpg")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
