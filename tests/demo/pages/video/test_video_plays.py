"""What we write plays in a real Chromium, at the size and length that we say, upright."""

import functools
import http.server
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from simswap.video.output.writing import Encoding
from simswap.video.source.info import probe_video
from tests.support.media.video_files import make_video, rewrite

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (extra dev)")

pytestmark = pytest.mark.browser

# Seeks to the middle, so that what is told is of a frame that was really decoded.
PLAY = """async (address) => {
  const video = document.createElement('video');
  video.muted = true;
  const outcome = new Promise((resolve) => {
    video.onerror = () => resolve(video.error.message || 'error ' + video.error.code);
    video.onseeked = () => resolve('');
    video.onloadeddata = () => { video.currentTime = video.duration * 0.5; };
    setTimeout(() => resolve('nothing happened for 20 s'), 20000);
  });
  video.src = address;
  const error = await outcome;
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
  const pen = canvas.getContext('2d');
  let corner = [0, 0, 0, 0];
  for (let tries = 0; tries < 50 && !corner[3]; tries += 1) {  // a busy browser has no frame yet
    pen.drawImage(video, 0, 0);
    corner = Array.from(pen.getImageData(canvas.width - 6, canvas.height - 6, 1, 1).data);
    if (!corner[3]) await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {error, width: video.videoWidth, height: video.videoHeight, duration: video.duration,
          corner: corner.slice(0, 3)};
}"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """All that is played."""
    home = tmp_path_factory.mktemp("home")
    (home / "page.html").write_text("<!doctype html><title>Player</title>")
    return home


@pytest.fixture(scope="module")
def page(browser, home: Path) -> Iterator["playwright.Page"]:
    handler = functools.partial(Quiet, directory=str(home))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_port}/page.html")
        yield page
        page.close()
        server.shutdown()


@pytest.fixture
def folder(home: Path, tmp_path: Path) -> Path:
    """A test's own, in which no name is another test's."""
    folder = home / tmp_path.name
    folder.mkdir()
    return folder


def played(page, path: Path) -> dict:
    return page.evaluate(PLAY, f"/{path.parent.name}/{path.name}")


LARGE = {"size": (320, 240), "num_frames": 30, "sound": 1.0}
KINDS = {
    "plain": LARGE,
    "hd": {"size": (1280, 720), "num_frames": 6, "sound": 0.2, "colour": (1, 1, 1, 1)},
    "full-range": {**LARGE, "colour": (6, 2, 6, 6)},
    "mute": {**LARGE, "sound": None},
    "phone": {**LARGE, "rotation": 90},
    "film": {**LARGE, "time_base": Fraction(1001, 24000)},
    "long-sound": {**LARGE, "sound": 3.0},
    "mp3": {**LARGE, "sound_codec": "mp3"},
    "hevc": {**LARGE, "codec": "libx265"},
}


@pytest.mark.parametrize("name", KINDS)
def test_a_written_mp4_plays(page, folder: Path, name: str):
    rewrite(make_video(folder / "in.mp4", **KINDS[name]), folder / "out.mp4", cut=24)
    info = probe_video(folder / "out.mp4")
    outcome = played(page, folder / "out.mp4")
    assert outcome["error"] == ""
    assert (outcome["width"], outcome["height"]) == (info.width, info.height)
    sound = min(KINDS[name]["sound"] or 0, info.duration + 1)  # no more is kept
    length = max(info.duration, sound)
    assert outcome["duration"] == pytest.approx(length, abs=0.1)


def test_a_written_webm_plays(page, folder: Path):
    source = make_video(folder / "in.mp4", **LARGE)
    rewrite(source, folder / "out.webm", Encoding("webm", preset="ultrafast"))
    outcome = played(page, folder / "out.webm")
    assert (outcome["error"], outcome["width"]) == ("", 320)
    assert outcome["duration"] == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_video_looks_the_same_before_and_after(page, folder, degrees: int):
    """The browser turns the source by its flag; ours has none and is upright by itself."""
    source = make_video(folder / "in.mp4", **LARGE, rotation=degrees)
    rewrite(source, folder / "out.mp4")
    before, after = (played(page, folder / name) for name in ("in.mp4", "out.mp4"))
    assert (before["width"], before["height"]) == (after["width"], after["height"])
    assert after["corner"] == pytest.approx(before["corner"], abs=8)
