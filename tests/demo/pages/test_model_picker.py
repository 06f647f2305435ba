"""A demo with two models, as callers and visitors have it."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from simswap.provenance.metadata import read_label
from simswap.video.metadata_label import read_video_label
from tests.support.demo.chromium import PATIENCE, consent_box, new_page, open_page, upload
from tests.support.demo.two_models import BUNDLED, SECOND, demo_of_two_models
from tests.support.examples import EXAMPLES

pytestmark = pytest.mark.slow

ADMIRAL, ASTRONAUT = EXAMPLES / "grace_hopper.jpg", EXAMPLES / "astronaut.jpg"

# A list that fades in is pale for a moment.
SETTLED_JS = "document.getAnimations().every((moves) => moves.playState !== 'running')"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("two-models")


@pytest.fixture(scope="module")
def two_models(folder):
    with demo_of_two_models(folder) as url:
        yield url


@pytest.fixture(scope="module")
def client(two_models, tmp_path_factory) -> Client:
    return Client(two_models, verbose=False, download_files=tmp_path_factory.mktemp("downloads"))


@pytest.fixture(scope="module")
def swaps(client) -> dict[str | None, str]:
    """Paths of the admiral's face in the astronaut's portrait, by the model that was asked for."""
    photos = {"source": handle_file(ADMIRAL), "target": handle_file(ASTRONAUT)}
    return {
        model: client.predict(**photos, **given, api_name="/swap_image")[0]
        for model, given in (
            (None, {}),
            (BUNDLED, {"model": BUNDLED}),
            (SECOND, {"model": SECOND}),
        )
    }


def pixels(path: str) -> np.ndarray:
    return np.array(Image.open(path).convert("RGB"))


def test_who_names_no_model_gets_the_default(swaps):
    assert np.array_equal(pixels(swaps[None]), pixels(swaps[BUNDLED]))


def test_the_named_model_makes_the_swap(swaps):
    """Which paints in blue; the marks differ in all channels alike."""
    apart = np.abs(pixels(swaps[SECOND]).astype(int) - pixels(swaps[BUNDLED])).mean(axis=(0, 1))
    assert apart[2] > 1.5 * max(apart[:2])


@pytest.mark.parametrize("model", [BUNDLED, SECOND])
def test_all_marks_name_the_model_that_made_it(client, swaps, model):
    report = client.predict(handle_file(swaps[model]), api_name="/verify")
    told = (report["credentials"]["model"], report["label"]["model"], report["watermark"]["model"])
    assert told == (model, model, model)


def test_the_invisible_mark_alone_tells_each_model_on_offer(client, swaps, tmp_path):
    Image.fromarray(pixels(swaps[SECOND])).save(tmp_path / "stripped.png")
    report = client.predict(handle_file(tmp_path / "stripped.png"), api_name="/verify")
    assert (report["credentials"], report["label"]) == (None, None)
    assert report["watermark"]["model"] == SECOND


@pytest.mark.parametrize("api_name", ["/swap_image", "/swap_video", "/detect_faces"])
def test_a_model_that_is_not_offered_is_told_with_those_that_are(
    client, face_clip, api_name, folder
):
    source, photo = handle_file(ADMIRAL), handle_file(ASTRONAUT)
    given = {
        "/swap_image": {"source": source, "target": photo},
        "/swap_video": {"source": source, "target": handle_file(face_clip)},
        "/detect_faces": {"photo": photo},
    }[api_name]
    asked = str(folder / "hidden-place")
    with pytest.raises(AppError) as caught:
        client.predict(**given, model=asked, api_name=api_name)
    assert f"Use one of: {BUNDLED}, {SECOND}." in str(caught.value)


def test_a_video_is_swapped_and_marked_by_the_named_model(client, face_clip):
    path, _ = client.predict(
        source=handle_file(ADMIRAL),
        target=handle_file(face_clip),
        end=0.3,
        model=SECOND,
        api_name="/swap_video",
    )
    assert read_video_label(path).model == SECOND


def test_faces_are_found_by_the_named_model(client):
    faces = client.predict(handle_file(ASTRONAUT), model=SECOND, api_name="/detect_faces")
    assert len(faces) == 1


def test_what_could_not_be_loaded_is_in_the_log_and_places_are_nowhere_on_the_page(client, folder):
    assert "nobody/no-such-model is no model folder here" in (folder / "demo.log").read_text()
    page = str(client.config)
    assert SECOND in page
    assert "hidden-place" not in page
    assert "no-such-model" not in page


# The page.


@pytest.fixture
def page(browser, two_models):
    page = open_page(browser, two_models)
    yield page
    page.close()


def choose(page, model: str) -> None:
    page.get_by_role("combobox", name="Model").click()
    page.get_by_role("option", name=model).click()


@pytest.mark.browser
def test_one_model_leaves_nothing_to_choose(browser, demo_url):
    page = open_page(browser, demo_url)
    page.get_by_role("button", name="Swap", exact=True).wait_for()
    assert page.get_by_label("Model", exact=True).count() == 0
    page.close()


@pytest.mark.browser
def test_a_photo_is_swapped_and_converted_in_the_name_of_the_model_that_made_it(page, tmp_path):
    choose(page, SECOND)
    upload(page, "source", ADMIRAL)
    upload(page, "target", ASTRONAUT)
    page.get_by_role("button", name="Swap", exact=True).click()
    page.get_by_text(re.compile(r"^Swapped 1 face")).wait_for()
    page.get_by_label("JPEG").check()
    button = page.get_by_role("button", name="Download JPEG")
    playwright = pytest.importorskip("playwright.sync_api")
    playwright.expect(button).to_be_enabled(timeout=PATIENCE)
    with page.expect_download() as download:
        button.click()
    download.value.save_as(tmp_path / "result.jpg")
    assert read_label(tmp_path / "result.jpg").model == SECOND


def snapshot_models(page, tmp_path: Path) -> Iterator[str]:
    """The models that made one snapshot of the camera after the other, as each says."""
    playwright = pytest.importorskip("playwright.sync_api")
    picture, seen = page.locator("#snapshot img"), ""
    for _ in range(20):
        page.get_by_role("button", name="Take a snapshot").click()
        try:
            page.wait_for_function(
                "seen => { const img = document.querySelector('#snapshot img');"
                " return img && img.src !== seen }",
                arg=seen,
                timeout=3000,
            )
        except playwright.TimeoutError:
            continue  # a new model has swapped no picture yet
        seen = picture.get_attribute("src")
        with page.expect_download() as download:
            page.locator("#snapshot").get_by_role("button", name="Download").click()
        download.value.save_as(tmp_path / "snapshot.png")
        yield read_label(tmp_path / "snapshot.png").model


@pytest.mark.browser
@pytest.mark.parametrize("way", ["socket", "stream"])
def test_the_live_camera_follows_the_choice(browser, two_models, tmp_path, way):
    page = new_page(browser, two_models)
    if way == "stream":
        page.route_web_socket("**/live-camera", lambda socket: socket.close())
    page.goto(two_models)
    consent_box(page).check()
    page.get_by_role("tab", name="Webcam").click()
    upload(page, "source", ADMIRAL)
    page.locator("#source img").first.wait_for()
    page.get_by_role("button", name="Start camera").click()
    page.locator(".camera-figures", has_text="per second").wait_for()
    assert ("Gradio's stream" in page.locator(".camera-figures").inner_text()) == (way == "stream")
    told = snapshot_models(page, tmp_path)
    assert next(told) == BUNDLED
    choose(page, SECOND)
    assert SECOND in told  # within the next 20
    page.locator(".camera-on").wait_for()
    page.close()


@pytest.mark.browser
def test_a_consent_that_is_taken_back_ends_the_camera_and_says_why(browser, two_models):
    page = open_page(browser, two_models)
    page.get_by_role("tab", name="Webcam").click()
    upload(page, "source", ADMIRAL)
    page.locator("#source img").first.wait_for()
    page.get_by_role("button", name="Start camera").click()
    page.locator(".camera-on").wait_for()
    consent_box(page).uncheck()
    page.locator(".camera-message", has_text="tick the box").wait_for()
    assert page.locator(".camera-on").count() == 0
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_choice_fits_and_has_no_serious_fault_of_accessibility(
    browser, two_models, width, scheme
):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
    page = open_page(browser, two_models, width, scheme)
    faults = []
    for is_open in (False, True):
        if is_open:
            page.get_by_role("combobox", name="Model").click()
            page.get_by_role("option", name=SECOND).wait_for()
            page.wait_for_function(SETTLED_JS)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        faults += [
            fault["help"]
            for fault in axe.Axe().run(page).response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
    page.close()
    assert faults == []


@pytest.mark.browser
def test_the_choice_is_made_by_keyboard(page):
    picker = page.get_by_role("combobox", name="Model")
    picker.focus()
    page.get_by_role("option", name=SECOND).wait_for()
    for key in ("ArrowDown", "Enter"):
        page.keyboard.press(key)
    expect = pytest.importorskip("playwright.sync_api").expect
    expect(picker).to_have_value(SECOND, timeout=PATIENCE)
