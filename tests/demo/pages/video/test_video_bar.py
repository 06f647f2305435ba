"""The bar below a video's frame: which frame is shown, and which part is swapped."""

import json

import pytest

from simswap.demo.look import theme
from simswap.demo.tabs.video import part
from simswap.video.source.info import probe_video
from tests.support.demo.chromium import COMPONENT_JS, PATIENCE, open_video_tab, upload
from tests.support.media.face_videos import NUM_FRAMES, RATE
from tests.support.media.video_files import make_video

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
expect = playwright.expect

pytestmark = pytest.mark.browser

TEN_SECONDS = {
    "of": "film.mp4",
    "frames": 100,
    "times": [0, 5, 10],
    "mostSeconds": 120,
    "mostFrames": 7200,
}


@pytest.fixture
def bar(browser):
    """Shows the bar alone, with a value as from the server; gives its page."""
    page = browser.new_page()
    page.goto("about:blank")

    def show(**more: object):
        texts = theme.read("video_bar.html"), theme.read("video_bar.js")
        page.evaluate(COMPONENT_JS, [*texts, {**TEN_SECONDS, **more}])
        return page

    yield show
    page.close()


def handle(page, name: str):
    return page.get_by_role("slider", name=name, exact=True)


def field(page, name: str):
    return page.get_by_label(f"{name}, in seconds")


def value(page, name: str) -> object:
    return page.evaluate("name => props.value[name]", name)


def chosen(page) -> tuple[float, float | None]:
    return value(page, "start"), value(page, "end")


def said(page) -> str:
    return page.locator(".bar-said").inner_text()


def test_at_first_the_whole_is_chosen(bar):
    page = bar()
    assert chosen(page) == (0, None)
    assert said(page) == "The whole video will be swapped, 10.00 s."


def test_handles_and_fields_say_the_same(bar):
    page = bar()
    field(page, "Start").fill("2.5")
    assert handle(page, "Start of the part").input_value() == "25"
    handle(page, "End of the part").fill("60")
    assert field(page, "End").input_value() == "6"
    assert chosen(page) == (2.5, 6)
    assert said(page) == "3.50 of 10.00 s will be swapped, 35 frames: from 2.50 to 6.00 s."
    field(page, "End").fill("")
    field(page, "End").blur()
    assert (field(page, "End").input_value(), chosen(page)) == ("10", (2.5, None))


def test_a_handle_stops_at_the_other(bar):
    page = bar()
    handle(page, "End of the part").fill("40")
    handle(page, "Start of the part").fill("70")
    assert chosen(page) == (3.9, 4)
    field(page, "End").fill("1")
    field(page, "End").blur()
    assert (chosen(page), field(page, "End").input_value()) == ((3.9, 4), "4")


def test_a_moved_handle_shows_the_frame_there(bar):
    page = bar()
    handle(page, "End of the part").fill("40")
    assert handle(page, "Frame").input_value() == "39"
    page.wait_for_function("told.length === 1 && told[0] === 'look'")
    assert value(page, "frame") == 39


def test_no_more_is_chosen_than_is_swapped_at_a_time(bar):
    page = bar(mostSeconds=4)
    assert chosen(page) == (0, 4)
    assert said(page).endswith("At most 4 s are swapped at a time.")
    handle(page, "End of the part").fill("70")
    assert chosen(page) == (3, 7)
    handle(page, "Start of the part").fill("10")
    assert chosen(page) == (1, 5)
    assert chosen(bar(mostFrames=30)) == (0, 3)
    assert said(page).endswith("At most 30 frames are swapped at a time.")


def test_frames_of_uneven_length_keep_their_times(bar):
    """Two of three seconds each, then four of one."""
    page = bar(frames=6, times=[0, 3, 6, 7, 8, 9, 10])
    handle(page, "Start of the part").fill("1")
    assert chosen(page) == (3, None)
    field(page, "Start").fill("6.9")
    assert (chosen(page), handle(page, "Start of the part").input_value()) == ((6, None), "2")


def test_another_video_begins_with_its_own_whole(bar):
    page = bar()
    handle(page, "Start of the part").fill("50")
    page.evaluate("next => { props.value = next; update(); }", {**TEN_SECONDS, "of": "b.mp4"})
    assert chosen(page) == (0, None)
    assert handle(page, "Start of the part").input_value() == "0"


def test_an_answer_about_the_same_video_leaves_what_was_chosen_meanwhile(bar):
    page = bar()
    handle(page, "Start of the part").fill("50")
    page.wait_for_function("told.length === 1")
    page.evaluate("next => { props.value = next; update(); }", TEN_SECONDS)
    assert chosen(page) == (5, None)
    assert handle(page, "Frame").input_value() == "50"
    page.wait_for_function("told.length === 2")  # that answer showed the first frame
    page.evaluate("() => { props.value = {}; update(); }")
    page.evaluate("next => { props.value = next; update(); }", TEN_SECONDS)
    assert chosen(page) == (0, None)


def test_the_server_takes_no_part_of_another_video():
    bar = {"of": "a.mp4", "frame": 9, "start": 0.5, "end": 0.75}
    assert part.part_of(bar, "a.mp4") == {"start": 0.5, "end": 0.75}
    assert part.part_of(bar, "b.mp4") == {"start": 0.0, "end": None}
    assert (part.frame_of(bar, "a.mp4"), part.frame_of(bar, "b.mp4")) == (9, 0)


def test_a_long_video_is_told_in_few_times(tmp_path):
    info = probe_video(make_video(tmp_path / "long.mp4", size=(32, 32), num_frames=1300))
    shown = part.show(info, "long.mp4")
    assert len(shown["times"]) == part.MOST_TIMES + 1
    assert (shown["times"][0], shown["times"][-1]) == (0, pytest.approx(info.duration, abs=1e-4))


@pytest.fixture
def page(browser, demo_url: str):
    page = open_video_tab(browser, demo_url, 390)
    yield page
    page.close()


def drag_by_mouse(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(*end, steps=4)
    page.mouse.up()


def drag_by_touch(page, start: tuple[float, float], end: tuple[float, float]) -> None:
    session = page.context.new_cdp_session(page)
    for kind, at in (("touchStart", start), ("touchMove", end), ("touchEnd", None)):
        points = [{"x": at[0], "y": at[1]}] if at else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    session.detach()


@pytest.mark.parametrize("drag", [drag_by_mouse, drag_by_touch])
def test_the_part_is_dragged_and_its_frames_are_shown(page, face_clip, drag):
    upload(page, "video-target", face_clip)
    track = page.locator(".bar-track")
    track.wait_for()
    page.wait_for_function("document.querySelector('#video-preview .compare-after').naturalHeight")
    track.scroll_into_view_if_needed()
    box = track.bounding_box()
    grip, y = 26, box["y"] + box["height"] - 15
    span = box["width"] - 2 * grip
    middle = box["x"] + grip + span / 2
    drag(page, (box["x"] + grip / 2, y), (middle - grip / 2, y))
    expect(field(page, "Start")).to_have_value(str(round(NUM_FRAMES / 2 / RATE, 3)))
    expect(page.get_by_text("At 0.54 s: as it is.")).to_be_visible(timeout=PATIENCE)
    drag(page, (box["x"] + box["width"] - grip / 2, y), (middle + span / 4 + grip / 2, y))
    expect(page.get_by_text("of 1.08 s will be swapped, ")).to_be_visible()
    end = float(field(page, "End").input_value())
    assert end == pytest.approx(0.75 * NUM_FRAMES / RATE, abs=1.5 / RATE)


def test_the_part_is_moved_by_keyboard(page, face_clip):
    upload(page, "video-target", face_clip)
    for name, key, times in (
        ("Start of the part", "ArrowRight", 12),
        ("End of the part", "ArrowLeft", 8),
    ):
        for _ in range(times):
            handle(page, name).press(key)
    expect(page.get_by_text("6 frames: from 0.50 to 0.75 s.")).to_be_visible()
    expect(page.get_by_text("At 0.71 s: as it is.")).to_be_visible(timeout=PATIENCE)


def test_the_film_shows_the_frame_that_is_looked_at(page, face_clip):
    upload(page, "video-target", face_clip)
    handle(page, "Frame").fill("12")
    page.wait_for_function("document.querySelector('#video-film video').currentTime === 0.5")


def test_a_chosen_frame_outlives_an_answer_asked_for_before(page, face_clip):
    upload(page, "video-target", face_clip)
    page.get_by_text("At 0.00 s: as it is.").wait_for()

    def ask_as_before_the_first_answer(route) -> None:
        asked = route.request.post_data_json
        given = [{} if isinstance(one, dict) and "times" in one else one for one in asked["data"]]
        route.continue_(post_data=json.dumps({**asked, "data": given}))

    page.route("**/queue/join*", ask_as_before_the_first_answer, times=1)
    handle(page, "Frame").fill("12")
    expect(page.get_by_text("At 0.50 s: as it is.")).to_be_visible(timeout=PATIENCE)
    expect(handle(page, "Frame")).to_have_value("12")


def test_a_video_that_is_replaced_at_once_keeps_its_own_end(page, face_clip, long_face_clip):
    upload(page, "video-target", long_face_clip)
    handle(page, "Start of the part").fill("100")
    remove = page.locator("#video-target").get_by_role("button", name="Clear")
    for clip in (long_face_clip, face_clip):
        remove.click()
        upload(page, "video-target", clip)
    expect(page.get_by_text("The whole video will be swapped, 1.08 s.")).to_be_visible(
        timeout=PATIENCE
    )
    expect(page.get_by_text("At 0.00 s: as it is.")).to_be_visible(timeout=PATIENCE)
    expect(field(page, "Start")).to_have_value("0")
    expect(field(page, "End")).to_have_value("1.083")
