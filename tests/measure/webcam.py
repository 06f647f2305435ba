"""Measures the Webcam tab in a real Chromium on this machine: `python tests/measure/webcam.py`.

Each frame of a fake camera carries its number as a barcode. The lag of a shown picture is the time
from when the camera gave that frame to the page to when the page drew its swapped twin.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from PIL import Image

from tests.support.demo.chromium import consent_box, launched, upload
from tests.support.demo.demo_server import running_demo
from tests.support.demo.fake_camera import READ_NUMBER_JS, camera_flags, write_camera

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"
NUM_FRAMES = 150  # five seconds, more than any lag
WARM_UP_SECONDS = 5
WATCH_JS = (
    READ_NUMBER_JS
    + """
const video = document.querySelector(".camera-source");
const shown = document.querySelector(".camera-shown");
const captured = new Map();
window.lags = [];
let last = null;
function captures(now, frame) {
  captured.set(readNumber(video), frame.captureTime ?? now);
  video.requestVideoFrameCallback(captures);
}
video.requestVideoFrameCallback(captures);
function draws() {
  const number = readNumber(shown);
  if (number !== null && number !== last && captured.has(number))
    window.lags.push(performance.now() - captured.get(number));
  last = number;
  requestAnimationFrame(draws);
}
requestAnimationFrame(draws);
"""
)


def measure(page, url: str, *, with_socket: bool, seconds: float) -> dict[str, object]:
    """Frames a second and lag of one way of sending."""
    if not with_socket:
        page.route_web_socket("**/live-camera", lambda socket: socket.close())
    started = time.perf_counter()
    page.goto(url)
    page.get_by_role("button", name="Swap", exact=True).wait_for()
    loaded = time.perf_counter() - started
    consent_box(page).check()
    page.get_by_role("tab", name="Webcam").click()
    upload(page, "source", EXAMPLES / "grace_hopper.jpg")
    page.locator("#source img").first.wait_for()
    page.get_by_role("button", name="Start camera").click()
    page.locator(".camera-on").wait_for(timeout=60_000)
    time.sleep(WARM_UP_SECONDS)
    page.evaluate(f"() => {{ {WATCH_JS} }}")
    time.sleep(seconds)
    lags = page.evaluate("window.lags")
    return {
        "way": "WebSocket" if with_socket else "Gradio's stream",
        "fps": round(len(lags) / seconds, 1),
        "lag_ms_median": round(float(np.median(lags))),
        "lag_ms_p95": round(float(np.percentile(lags, 95))),
        "page_load_s": round(loaded, 2),
        "told": page.locator(".camera-figures").inner_text(),
    }


def main() -> None:
    """Measure both ways, and the start-up; a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="watched of each way")
    seconds = parser.parse_args().seconds
    portrait = np.array(Image.open(EXAMPLES / "astronaut.jpg").convert("RGB"))
    with tempfile.TemporaryDirectory() as folder:
        camera = write_camera(Path(folder) / "camera.y4m", portrait, NUM_FRAMES)
        started = time.perf_counter()
        with running_demo(Path(folder)) as url:
            start = {"way": "server start-up", "s": round(time.perf_counter() - started, 1)}
            print(json.dumps(start), flush=True)
            for with_socket in (True, False):
                with launched(camera_flags(camera)) as browser:
                    page = browser.new_page(viewport={"width": 1280, "height": 900})
                    report = measure(page, url, with_socket=with_socket, seconds=seconds)
                    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    sys.exit(main())
