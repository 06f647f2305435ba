"""A visitor at the Webcam tab, in a real Chromium with a camera of our own making."""

import re
from itertools import accumulate
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from simswap.demo.services.live_sessions import MAX_SESSIONS
from simswap.provenance.metadata import read_label
from tests.support.demo.chromium import PATIENCE, consent_box, new_page, upload
from tests.support.demo.demo_server import at_a_distance
from tests.support.demo.fake_camera import NUM_FRAMES, READ_NUMBER_JS
from tests.support.examples import EXAMPLES

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
expect = playwright.expect

pytestmark = pytest.mark.browser

SOCKET = "**/live-camera"
MOST_IN_FLIGHT = 4  # as in webcam_view.js


def open_tab(browser, url: str, before=lambda page: None):
    page = new_page(browser, url)
    before(page)
    page.goto(url)
    consent_box(page).check()
    page.get_by_role("tab", name="Webcam").click()
    return page


def start(page, source: str | None = "grace_hopper.jpg"):
    if source:
        upload(page, "source", EXAMPLES / source)
        page.locator("#source img").first.wait_for()
    button(page, "Start camera").click()


def button(page, name: str):
    return page.get_by_role("button", name=name, exact=True)


def wait_for_pictures(page):
    expect(page.locator(".camera-on")).to_have_count(1, timeout=PATIENCE)
    expect(page.locator(".camera-figures")).to_contain_text("per second", timeout=PATIENCE)


def number_shown(page) -> int | None:
    return page.evaluate(
        f"() => {{ {READ_NUMBER_JS} return readNumber(document.querySelector('.camera-shown')) }}"
    )


@pytest.mark.parametrize("way", ["socket", "stream"])
def test_a_visitor_sees_swapped_pictures_and_saves_a_marked_one(browser, demo_url, tmp_path, way):
    def before(page):
        if way == "stream":
            page.route_web_socket(SOCKET, lambda socket: socket.close())

    page = open_tab(browser, demo_url, before)
    start(page)
    wait_for_pictures(page)
    assert ("by Gradio's stream" in page.locator(".camera-figures").inner_text()) == (
        way == "stream"
    )
    assert number_shown(page) in range(NUM_FRAMES)  # the canvas is not mirrored, only its look is
    expect(page.locator(".camera-shown")).to_have_css("transform", "matrix(-1, 0, 0, 1, 0, 0)")
    expect(page.get_by_text("Synthetic", exact=True)).to_be_visible()
    button(page, "Take a snapshot").click()
    expect(page.locator("#snapshot img")).to_be_in_viewport(ratio=0.9, timeout=PATIENCE)
    with page.expect_download() as download:
        page.locator("#snapshot").get_by_role("button", name="Download").click()
    download.value.save_as(tmp_path / "snapshot.png")
    assert read_label(tmp_path / "snapshot.png") is not None
    assert is_swapped(tmp_path / "snapshot.png")
    results = page.get_by_role("region", name="Results of this visit")
    expect(results.get_by_role("link")).to_have_count(1)
    button(page, "Stop").click()
    expect(button(page, "Start camera")).to_be_enabled()
    expect(page.locator(".camera-on")).to_have_count(0)
    page.close()


def test_to_a_server_far_away_several_pictures_are_on_their_way(browser, demo_url):
    seen = []  # 1 for a picture that was sent, -1 for one that came back

    def watch(socket):
        for event, step in (("framesent", 1), ("framereceived", -1)):
            socket.on(event, lambda data, step=step: seen.append(step * isinstance(data, bytes)))

    with at_a_distance(demo_url, 0.5) as url:
        page = open_tab(browser, url, lambda page: page.on("websocket", watch))
        start(page)
        wait_for_pictures(page)
        page.wait_for_timeout(3000)
        page.close()
    assert 2 <= max(accumulate(seen)) <= MOST_IN_FLIGHT


def is_swapped(path: Path) -> bool:
    """Whether the picture's face is not the astronaut's, but its surroundings are."""
    photo = np.array(Image.open(path).convert("RGB")).astype(int)
    assert photo.shape == (480, 640, 3)
    portrait = np.array(Image.open(EXAMPLES / "astronaut.jpg").convert("RGB").resize((480, 480)))
    differences = [
        np.abs(photo[:440, left : left + 480] - portrait[:440]).mean(axis=2)
        for left in range(68, 93)
    ]
    best = min(differences, key=lambda difference: difference[250:].mean())
    return best[250:].mean() < 8 < best[90:150, 185:250].mean()


def test_two_visitors_at_once_see_their_own_sources(browser, demo_url):
    pages = [open_tab(browser, demo_url) for _ in range(2)]
    start(pages[0], "grace_hopper.jpg")
    start(pages[1], "astronaut.jpg")
    faces = []
    for page in pages:
        wait_for_pictures(page)
        faces.append(
            page.evaluate(
                "() => Array.from(document.querySelector('.camera-shown').getContext('2d')"
                ".getImageData(270, 90, 60, 60).data)"
            )
        )
        page.close()
    ours, theirs = (np.array(face, float) for face in faces)
    assert np.abs(ours - theirs).mean() > 4


FACE_JS = """() => Array.from(document.querySelector('.camera-shown').getContext('2d')
  .getImageData(270, 90, 60, 60).data)"""


def test_another_source_photo_changes_the_live_face(browser, demo_url):
    page = open_tab(browser, demo_url)
    start(page)
    wait_for_pictures(page)
    first = page.evaluate(FACE_JS)
    upload(page, "source", EXAMPLES / "astronaut.jpg")
    page.wait_for_function(
        f"(first) => {{ const now = ({FACE_JS})(); const off = (value, i) => "
        "Math.abs(value - first[i]); return now.map(off).reduce((a, b) => a + b) "
        "> 3 * now.length; }",
        arg=first,
    )
    expect(page.locator(".camera-on")).to_have_count(1)
    page.close()


# Two cameras, of which the second is the first once more; `asked`: the ids that were asked for.
TWO_CAMERAS_JS = """
const devices = navigator.mediaDevices;
const list = devices.enumerateDevices.bind(devices);
const get = devices.getUserMedia.bind(devices);
window.asked = [];
devices.enumerateDevices = async () => {
  const [one] = (await list()).filter((each) => each.kind === "videoinput");
  const two = { kind: "videoinput", deviceId: "other", label: "The other camera" };
  return [one, two];
};
devices.getUserMedia = ({ video: { deviceId, ...wanted } }) => {
  window.asked.push(deviceId?.exact);
  return get({ video: wanted });
};
"""


def test_another_camera_can_be_chosen_while_the_show_goes_on(browser, demo_url):
    page = open_tab(browser, demo_url, lambda page: page.add_init_script(TWO_CAMERAS_JS))
    start(page)
    wait_for_pictures(page)
    page.get_by_label("Camera", exact=True).select_option("The other camera")
    page.wait_for_function("asked.at(-1) === 'other'")
    page.wait_for_function("!document.querySelector('.camera-source').paused")
    figures = page.locator(".camera-figures")
    old = figures.inner_text()
    expect(figures).not_to_have_text(old, timeout=PATIENCE)
    expect(page.locator(".camera-on")).to_have_count(1)
    page.close()


def test_the_view_is_a_mirror_or_not_and_fills_the_screen(browser, demo_url):
    page = open_tab(browser, demo_url)
    shown = page.locator(".camera-shown")
    button(page, "Mirror").press("Enter")
    expect(button(page, "Mirror")).to_have_attribute("aria-pressed", "false")
    expect(shown).to_have_css("transform", "none")
    button(page, "Full screen").click()
    page.wait_for_function("document.fullscreenElement?.matches('.camera')")
    button(page, "Full screen").click()
    page.wait_for_function("!document.fullscreenElement")
    page.close()


def test_a_source_photo_that_is_taken_away_ends_the_show(browser, demo_url):
    page = open_tab(browser, demo_url)
    start(page)
    wait_for_pictures(page)
    page.locator("#source").get_by_role("button", name="Clear").click()
    expect(page.locator(".camera-message")).to_contain_text("no source photo", timeout=PATIENCE)
    expect(page.locator(".camera-on")).to_have_count(0)
    page.close()


def test_no_frame_is_sent_while_another_tab_is_open(browser, demo_url):
    sent = []
    page = open_tab(
        browser,
        demo_url,
        lambda page: page.on(
            "websocket", lambda socket: socket.on("framesent", lambda _: sent.append(1))
        ),
    )
    start(page)
    wait_for_pictures(page)
    page.get_by_role("tab", name="Verify").click()
    page.wait_for_timeout(1500)
    num_sent = len(sent)
    page.wait_for_timeout(1500)
    assert len(sent) == num_sent > 0
    page.get_by_role("tab", name="Webcam").click()
    for _ in range(60):
        page.wait_for_timeout(500)
        if len(sent) > num_sent:
            break
    assert len(sent) > num_sent
    page.close()


def test_what_is_missing_is_told_in_the_picture_and_pointed_out(browser, demo_url):
    page = open_tab(browser, demo_url)
    page.set_viewport_size({"width": 390, "height": 844})
    consent_box(page).uncheck()
    start(page, None)
    told = page.locator(".camera-message")
    expect(told).to_contain_text("no source photo yet")
    expect(page.locator("#source")).to_have_class(re.compile("wanted"))
    start(page)
    expect(told).to_contain_text("tick the box", timeout=PATIENCE)
    expect(told).to_be_in_viewport()
    expect(page.locator("#webcam-consent")).to_be_in_viewport(ratio=1)
    expect(page.locator("#webcam-consent")).to_have_class(re.compile("wanted"))
    consent_box(page).check()
    expect(page.locator(".wanted")).to_have_count(0)
    expect(button(page, "Start camera")).to_be_enabled()
    page.close()


def test_why_there_is_no_camera_is_told(browser, demo_url):
    page = open_tab(browser, demo_url)
    source = "grace_hopper.jpg"
    for name, sentence in (
        ("NotAllowedError", "may not use your camera"),
        ("NotFoundError", "No camera was found"),
        ("NotReadableError", "Close other programs"),
    ):
        page.evaluate(
            "(name) => { navigator.mediaDevices.getUserMedia = async () => {"
            " throw new DOMException('', name) } }",
            name,
        )
        start(page, source)
        expect(page.locator(".camera-message")).to_contain_text(sentence)
        expect(button(page, "Start camera")).to_be_enabled()
        source = None  # it is there now
    page.close()


def test_a_camera_that_is_switched_off_ends_the_show(browser, demo_url):
    page = open_tab(browser, demo_url)
    start(page)
    wait_for_pictures(page)
    page.evaluate(
        "() => document.querySelector('.camera-source').srcObject.getVideoTracks()[0]"
        ".dispatchEvent(new Event('ended'))"
    )
    expect(page.locator(".camera-message")).to_have_text(re.compile("disconnected or switched off"))
    page.close()


def test_who_closes_the_page_leaves_their_place_to_others(browser, demo_url):
    never = "navigator.mediaDevices.getUserMedia = () => new Promise(() => {})"
    for _ in range(MAX_SESSIONS + 1):
        page = open_tab(browser, demo_url, lambda page: page.add_init_script(never))
        start(page)
        expect(page.locator(".camera-message")).to_contain_text(
            "Waiting for the camera", timeout=PATIENCE
        )
        page.close()
