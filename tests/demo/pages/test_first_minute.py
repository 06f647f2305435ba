"""What a first visitor does: taps an example, scrolls by finger, or has no mouse."""

import base64
import re

import pytest

from simswap.demo.look import theme
from tests.support.demo.chromium import PATIENCE, consent_box, open_page, upload
from tests.support.examples import EXAMPLES

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
expect = playwright.expect

pytestmark = pytest.mark.browser


@pytest.fixture
def open_tab(browser, demo_url: str):
    """Opens a tab, by its name, of a visitor who has agreed to nothing."""
    pages = []

    def opened(name: str, width: int = 1280):
        pages.append(open_page(browser, demo_url, width, agrees=False))
        pages[-1].get_by_role("tab", name=name).click()
        return pages[-1]

    yield opened
    for page in pages:
        page.close()


def tap_example(page, name: str) -> None:
    page.get_by_role("button", name=f"Try: {name}").click()


@pytest.mark.parametrize(
    ("width", "example"),
    [(1280, "Grace Hopper's face in a portrait"), (390, "Eileen Collins's face in the Mona Lisa")],
)
def test_one_tap_swaps_a_photo_and_asks_nothing(open_tab, width: int, example: str):
    page = open_tab("Image", width)
    tap_example(page, example)
    expect(page.get_by_text("Swapped 1 face in")).to_be_visible(timeout=PATIENCE)
    expect(page.locator("#result .compare-after")).to_be_in_viewport()
    expect(page.locator("#result .compare-tag-after")).to_be_visible()
    expect(page.locator("#result .compare-tag-before")).to_be_hidden()


def test_who_agrees_after_an_example_keeps_its_result_as_it_is(open_tab):
    page = open_tab("Image")
    tap_example(page, "Grace Hopper's face in a portrait")
    results = page.get_by_role("region", name="Results of this visit").get_by_role("link")
    expect(results).to_have_count(1, timeout=PATIENCE)
    shown = page.locator("#result .compare-after").get_attribute("src")
    consent_box(page).check()
    page.wait_for_timeout(1500)  # in which it would be swapped again
    assert page.locator("#result .compare-after").get_attribute("src") == shown
    expect(results).to_have_count(1)
    expect(page.locator("#result .stale")).to_have_count(0)


def test_one_tap_swaps_a_film_and_asks_nothing(open_tab):
    page = open_tab("Video", 390)
    tap_example(page, "Grace Hopper's face in a film of two seconds")
    film = page.locator("#video-stage video")
    expect(film).to_be_in_viewport(timeout=PATIENCE)
    expect(page.get_by_text("Swapped 48 faces in 48 frames")).to_be_visible()
    page.wait_for_function("document.querySelector('#video-stage video').duration === 2")


def test_one_tap_verifies_a_photo_that_was_swapped_here(open_tab):
    page = open_tab("Verify")
    tap_example(page, "a photo that is swapped here")
    expect(page.locator("#report .marked")).to_contain_text("Marked as synthetic", timeout=PATIENCE)
    expect(page.locator("#report img")).to_be_visible()


def test_one_tap_gives_the_camera_a_face(open_tab):
    page = open_tab("Webcam")
    tap_example(page, "Grace Hopper's face")
    expect(page.locator("#source img")).to_be_visible(timeout=PATIENCE)
    consent_box(page).check()
    page.get_by_role("button", name="Start camera").click()
    expect(page.locator(".camera-on")).to_have_count(1, timeout=PATIENCE)


def swipe_up(page, x: float, y: float, by: float) -> None:
    """With a finger that begins at (x, y); by: px."""
    session = page.context.new_cdp_session(page)
    for kind, at in (
        ("touchStart", y),
        *(("touchMove", y - by * step / 5) for step in range(1, 6)),
        ("touchEnd", None),
    ):
        points = [] if at is None else [{"x": x, "y": at}]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.detach()


def test_the_page_scrolls_with_a_finger_over_a_result(open_tab):
    page = open_tab("Image", 390)
    tap_example(page, "Grace Hopper's face in a portrait")
    picture = page.locator("#result .compare-after")
    expect(picture).to_be_in_viewport(timeout=PATIENCE)
    page.evaluate("scrollTo(0, 0)")
    picture.scroll_into_view_if_needed()
    box, start = picture.bounding_box(), page.evaluate("scrollY")
    swipe_up(page, box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, 120)
    page.wait_for_function("start => scrollY > start + 50", arg=start)


def test_no_small_icon_on_a_filled_photo_destroys_it(open_tab):
    page = open_tab("Image")
    for where in ("source", "target"):
        upload(page, where, EXAMPLES / "astronaut.jpg")
        photo = page.locator(f"#{where} img").first
        expect(photo).to_be_visible(timeout=PATIENCE)
        icons = page.locator(f"#{where} .icon-button-wrapper button:visible").all()
        names = [icon.get_attribute("aria-label") or icon.inner_text() for icon in icons]
        assert any(re.search("clear|remove", name, re.I) for name in names)
        for icon, name in zip(icons, names, strict=True):
            if not re.search("clear|remove", name, re.I):  # to upload another, to paste
                icon.click()
        page.keyboard.press("Control+v")
        expect(photo).to_be_visible()


DROP_JS = """async (where, uri) => {
  const brought = new DataTransfer();
  const photo = await (await fetch(uri)).blob();
  brought.items.add(new File([photo], "another.jpg", { type: "image/jpeg" }));
  const how = { bubbles: true, cancelable: true, dataTransfer: brought };
  return !where.dispatchEvent(new DragEvent("drop", how));
}"""


def test_a_photo_that_is_dropped_on_a_source_photo_is_added(open_tab):
    page = open_tab("Image")
    upload(page, "source", EXAMPLES / "astronaut.jpg")
    photos = page.locator("#source img")
    expect(photos).to_have_count(1, timeout=PATIENCE)
    content = base64.b64encode((EXAMPLES / "grace_hopper.jpg").read_bytes()).decode()
    assert photos.evaluate(DROP_JS, f"data:image/jpeg;base64,{content}")
    expect(photos).to_have_count(2, timeout=PATIENCE)


def test_a_file_that_is_dropped_beside_the_zones_does_not_take_the_pages_place(open_tab):
    page = open_tab("Image")
    assert page.locator("header").evaluate(DROP_JS, "data:image/jpeg;base64,")


# A picture of two kilobytes, as another program puts it into the clipboard.
COPY_JS = """async () => {
  const canvas = document.createElement("canvas");
  const picture = await new Promise((done) => canvas.toBlob(done));
  await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
}"""


def test_a_pasted_picture_goes_where_one_is_missing(open_tab):
    page = open_tab("Image")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate(COPY_JS)
    for where in ("source", "target"):
        page.keyboard.press("Control+v")
        expect(page.locator(f"#{where} img").first).to_be_visible(timeout=PATIENCE)
    page.context.clear_permissions()


def test_a_file_that_is_too_large_is_told_in_our_words(open_tab, tmp_path):
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(100_000_001)
    page = open_tab("Verify")
    upload(page, "verify-file", tmp_path / "large.png")
    told = page.get_by_role("alert")
    expect(told).to_have_text("large.png has 100.1 MB, and 100 MB is the most. Make it smaller.")
    upload(page, "verify-file", EXAMPLES / "astronaut.jpg")
    expect(told).to_have_count(0)


def test_of_several_files_those_that_fit_are_taken(open_tab, tmp_path):
    (tmp_path / "film.mp4").write_bytes(b"x")
    page = open_tab("Image")
    upload(page, "source", EXAMPLES / "astronaut.jpg", tmp_path / "film.mp4")
    expect(page.get_by_role("alert")).to_contain_text("film.mp4 is not a photo.")
    expect(page.locator("#source img")).to_have_count(1, timeout=PATIENCE)


def test_the_drop_zones_say_how_large_a_file_may_be():
    styles = theme.PAGE_CSS[0].read_text()
    assert styles.count(f"up to {theme.MOST_MEGABYTES} MB") == 2


def tab_to(page, target) -> None:
    """Press the Tab key until an element has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{target} is not reached")


def choose_by_keyboard(page, where: str, name: str) -> None:
    tab_to(page, page.locator(f"#{where} button").first)
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(EXAMPLES / name)
    expect(page.locator(f"#{where} img").first).to_be_visible(timeout=PATIENCE)


def test_a_visitor_without_a_mouse_swaps_and_compares(open_tab):
    page = open_tab("Image")
    page.on("filechooser", lambda chooser: None)  # or playwright sees but the first
    choose_by_keyboard(page, "source", "grace_hopper.jpg")
    choose_by_keyboard(page, "target", "astronaut.jpg")
    tab_to(page, consent_box(page))
    page.keyboard.press("Space")
    tab_to(page, page.get_by_role("button", name="Swap", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Swapped 1 face in")).to_be_visible(timeout=PATIENCE)
    tab_to(page, page.get_by_role("slider", name="Compare: share of the original"))
    page.keyboard.press("End")
    expect(page.locator("#result .compare-tag-before")).to_be_visible()
    expect(page.locator("#result .compare-tag-after")).to_be_hidden()
    tab_to(page, page.get_by_role("button", name="Hold to see the original"))
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Home")
    expect(page.locator("#result .compare-tag-before")).to_be_hidden()
