"""A visitor at the Video tab, in a real Chromium."""

import re
from pathlib import Path

import pytest

from simswap.demo.calls.queue.waiting_line import BUSY
from simswap.provenance.metadata import read_label
from simswap.verify.report import verify
from simswap.video.metadata_label import read_video_label
from simswap.video.source.info import probe_video
from tests.support.demo.chromium import (
    PATIENCE,
    consent_box,
    open_page,
    open_video_tab,
    upload,
)
from tests.support.demo.demo_server import paths_below
from tests.support.examples import EXAMPLES
from tests.support.media.face_videos import NUM_FRAMES, NUM_WITHOUT_FACE, WIDTH
from tests.support.media.people_videos import cuts, make_scene
from tests.support.waiting import wait_until

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")
expect = playwright.expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NUM_SWAPPED = NUM_FRAMES - NUM_WITHOUT_FACE
IS_PLAYED = """async () => {
  const video = document.querySelector('#video-stage video');
  if (video.readyState < 2) await new Promise((resolve) => { video.onloadeddata = resolve; });
  const ended = new Promise((resolve, reject) => {
    video.onended = resolve;
    video.onerror = () => reject(video.error.message);
  });
  video.muted = true;
  await video.play();
  await ended;
  return [video.videoWidth, video.duration];
}"""


@pytest.fixture
def page(browser, demo_url: str):
    page = open_video_tab(browser, demo_url)
    yield page
    page.close()


def swap_button(page):
    return page.get_by_role("button", name="Swap the video")


def fill_in(page, clip: Path) -> None:
    upload(page, "source", EXAMPLES / "grace_hopper.jpg")
    upload(page, "video-target", clip)
    page.get_by_text("At 0.00 s: 1 of 1 face swapped.").wait_for()


def start_long_job(page, clip: Path, demo_folder: Path) -> list[Path]:
    """Returns the job's folder, when it is at work."""
    before = job_folders(demo_folder)
    fill_in(page, clip)
    swap_button(page).click()
    page.locator(".video-progress img").wait_for()
    return [path for path in job_folders(demo_folder) if path not in before]


def job_folders(demo_folder: Path) -> list[Path]:
    return [path for path in paths_below(demo_folder / "uploads") if path.suffix == ".job"]


def wait_until_gone(folders: list[Path]) -> None:
    wait_until(lambda: not any(folder.exists() for folder in folders), PATIENCE / 1000)


def test_a_visitor_previews_swaps_plays_and_saves(page, face_clip, tmp_path, demo_url):
    fill_in(page, face_clip)
    expect(page.locator("#video-preview img")).to_have_count(2, timeout=PATIENCE)
    expect(page.get_by_text(f"{NUM_FRAMES} frames.")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("slider", name="Frame", exact=True).press("End")
    expect(page.get_by_text("no face; such frames stay as they are")).to_be_visible(
        timeout=PATIENCE
    )
    swap_button(page).click()
    told = rf"^Swapped {NUM_SWAPPED} faces in {NUM_FRAMES} frames \({NUM_WITHOUT_FACE} without"
    expect(page.get_by_text(re.compile(told))).to_be_visible(timeout=PATIENCE)
    page.locator("#video-stage video").wait_for()
    assert page.evaluate(IS_PLAYED) == [WIDTH, pytest.approx(NUM_FRAMES / 24, abs=0.1)]
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the video").click()
    assert download.value.suggested_filename == "in-simswap.mp4"
    download.value.save_as(tmp_path / "saved.mp4")
    assert probe_video(tmp_path / "saved.mp4").num_frames == NUM_FRAMES
    assert read_video_label(tmp_path / "saved.mp4") is not None
    local = (demo_url, "data:", "blob:")
    assert [url for url in page.requests_seen if not url.startswith(local)] == []


def test_all_tabs_results_stay_with_the_page_until_forgotten(
    browser, demo_url, face_clip, tmp_path
):
    page = open_page(browser, demo_url)
    results = page.get_by_role("region", name="Results of this visit").get_by_role("link")
    page.locator("[data-example]").first.click()
    expect(results).to_have_count(1, timeout=PATIENCE)
    page.get_by_role("tab", name="Video").click()
    upload(page, "video-target", face_clip)
    expect(page.get_by_text("1 person seen so far.")).to_be_visible(timeout=PATIENCE)
    swap_button(page).click()
    expect(results).to_have_count(2, timeout=PATIENCE)
    for place, name, mark in (
        (0, "simswap-2.mp4", read_video_label),
        (1, "simswap-1.png", read_label),
    ):
        with page.expect_download() as download:
            results.nth(place).click()
        assert download.value.suggested_filename == name
        download.value.save_as(tmp_path / name)
        assert mark(tmp_path / name) is not None
    page.get_by_role("button", name="Forget them").click()
    expect(results).to_have_count(0)
    page.close()


def test_a_stretch_is_swapped_with_the_chosen_settings(page, face_clip):
    fill_in(page, face_clip)
    page.get_by_label("Start, in seconds").fill("0.5")
    page.get_by_label("End, in seconds").fill("0.75")
    page.get_by_role("button", name="Settings").locator("visible=true").click()
    page.get_by_label("WebM").check()
    swap_button(page).click()
    expect(page.get_by_text("Swapped 6 faces in 6 frames")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_text("WebM and MKV files cannot hold")).to_be_visible(timeout=PATIENCE)


def test_an_animation_has_no_quality_to_choose_and_is_shown_as_a_picture(
    page, browser, demo_url, face_clip, tmp_path
):
    fill_in(page, face_clip)
    page.get_by_label("End, in seconds").fill("0.125")
    page.get_by_role("button", name="Settings").locator("visible=true").click()
    quality = page.get_by_label("Quality: 0 is best").locator("visible=true").first
    expect(quality).to_be_visible()
    page.get_by_label("GIF").check()
    expect(quality).to_be_hidden(timeout=PATIENCE)
    swap_button(page).click()
    shown = page.get_by_alt_text("The swapped animation")
    expect(shown).to_be_visible(timeout=PATIENCE)
    saved = tmp_path / "result.gif"
    saved.write_bytes(page.request.get(shown.get_attribute("src")).body())
    assert verify(saved).is_marked
    another = open_video_tab(browser, demo_url)
    upload(another, "video-target", saved)
    expect(another.get_by_alt_text("The target")).to_be_visible(timeout=PATIENCE)
    expect(another.get_by_text("3 frames.")).to_be_visible(timeout=PATIENCE)
    another.close()


def test_a_tapped_person_is_left_out_of_preview_and_video(page, tmp_path):
    fill_in(page, make_scene(tmp_path / "cuts.mp4", cuts))
    page.get_by_role("slider", name="Frame", exact=True).fill("10")
    expect(page.get_by_text("2 of 2 faces swapped.")).to_be_visible(timeout=PATIENCE)
    seen = page.get_by_role("group", name="People seen in the video").get_by_role("button")
    expect(seen).to_have_count(2, timeout=PATIENCE)
    seen.nth(1).press("Enter")
    expect(page.get_by_text("1 of 2 faces swapped.")).to_be_visible(timeout=PATIENCE)
    swap_button(page).click()
    expect(page.get_by_text("Swapped 10 faces in 15 frames")).to_be_visible(timeout=PATIENCE)


def test_cancelling_stops_the_work_and_leaves_nothing(page, long_face_clip, demo_folder):
    folders = start_long_job(page, long_face_clip, demo_folder)
    assert len(folders) == 1
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled. Nothing was kept.")).to_be_visible(timeout=PATIENCE)
    expect(swap_button(page)).to_be_enabled(timeout=PATIENCE)
    wait_until_gone(folders)
    expect(page.locator(".video-progress")).to_have_count(0, timeout=PATIENCE)
    expect(page.get_by_text("Cancelled. Nothing was kept.")).to_be_visible()
    expect(page.get_by_text(BUSY)).to_have_count(0)
    page.get_by_label("End, in seconds").fill("0.25")
    swap_button(page).click()
    expect(page.get_by_text("Swapped 6 faces in 6 frames")).to_be_visible(timeout=PATIENCE)


def test_who_waits_is_told_how_many_come_before(page, browser, demo_url, long_face_clip, face_clip):
    upload(page, "video-target", face_clip)
    upload(page, "source", EXAMPLES / "grace_hopper.jpg")
    page.get_by_text("At 0.00 s: 1 of 1 face swapped.").wait_for()
    other = open_video_tab(browser, demo_url)
    fill_in(other, long_face_clip)
    swap_button(other).click()
    other.locator(".video-progress img").wait_for()
    swap_button(page).click()
    expect(page.get_by_text("Waiting: 1 video is before yours.")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled. Nothing was kept.")).to_be_visible(timeout=PATIENCE)
    expect(page.locator(".video-progress")).to_have_count(0)
    other.get_by_role("button", name="Cancel").click()  # or it goes on when its page is closed
    expect(other.get_by_text("Cancelled. Nothing was kept.")).to_be_visible(timeout=PATIENCE)
    other.close()


def test_progress_and_mistakes_are_told_right_under_the_button(page, face_clip):
    swap_button(page).click()
    told = page.get_by_text("There is no source photo yet")
    expect(told).to_be_in_viewport(timeout=PATIENCE)
    expect(page.locator(".video-progress")).to_have_count(0, timeout=PATIENCE)
    fill_in(page, face_clip)
    swap_button(page).click()
    expect(page.locator(".video-progress")).to_be_in_viewport(timeout=PATIENCE)
    expect(page.locator("#video-stage video")).to_be_in_viewport(timeout=PATIENCE)


# Notes what Gradio's own signs of work say.
WATCH_JS = """() => {
  window.seen = [];
  const look = () => {
    for (const sign of document.querySelectorAll('[data-testid="status-tracker"]')) {
      if (sign.checkVisibility() && sign.innerText.trim()) window.seen.push(sign.innerText);
    }
    requestAnimationFrame(look);
  };
  look();
}"""


def test_while_a_video_is_looked_at_no_text_of_gradios_covers_ours(page, face_clip):
    page.evaluate(WATCH_JS)
    fill_in(page, face_clip)
    assert page.evaluate("seen") == []


def test_a_running_video_can_be_cancelled_without_a_scroll(page, long_face_clip, demo_folder):
    page.set_viewport_size({"width": 390, "height": 844})
    start_long_job(page, long_face_clip, demo_folder)
    button = page.get_by_role("button", name="Cancel")
    expect(button).to_be_in_viewport(ratio=1)
    button.click()
    expect(page.get_by_text("Cancelled. Nothing was kept.")).to_be_in_viewport(timeout=PATIENCE)


def test_a_reloaded_page_finds_its_running_video_and_cancels_it(page, long_face_clip, demo_folder):
    folders = start_long_job(page, long_face_clip, demo_folder)
    page.reload()
    page.get_by_role("tab", name="Video").click()
    page.locator(".video-progress img").wait_for()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Cancelled. Nothing was kept.")).to_be_visible(timeout=PATIENCE)
    wait_until_gone(folders)


def test_a_reloaded_page_finds_its_finished_video(page, face_clip):
    fill_in(page, face_clip)
    page.get_by_label("End, in seconds").fill("0.25")
    swap_button(page).click()
    page.locator("#video-stage video").wait_for()
    page.reload()
    page.get_by_role("tab", name="Video").click()
    expect(page.get_by_text("Swapped 6 faces in 6 frames")).to_be_visible(timeout=PATIENCE)
    expect(page.get_by_role("button", name="Download the video")).to_be_enabled()


def test_without_consent_nothing_is_swapped(page, face_clip):
    consent_box(page).uncheck()
    upload(page, "source", EXAMPLES / "grace_hopper.jpg")
    upload(page, "video-target", face_clip)
    expect(page.get_by_text("At 0.00 s: as it is.")).to_be_visible(timeout=PATIENCE)
    swap_button(page).click()
    expect(page.get_by_text("One thing is missing: tick the box")).to_be_visible(timeout=PATIENCE)


def test_a_file_that_is_no_video_is_told_at_once(page, tmp_path):
    (tmp_path / "letter.mp4").write_text("Dear Sir")
    upload(page, "video-target", tmp_path / "letter.mp4")
    expect(page.get_by_text("letter.mp4 is not a video").first).to_be_visible(timeout=PATIENCE)


def test_the_tab_fits_its_width(page, face_clip):
    fill_in(page, face_clip)
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") == width
