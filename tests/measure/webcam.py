"""Measures the Webcam tab in a real Chromium on this machine: `python tests/measure/webcam.py`.

Each frame of a fake camera carries its number as a barcode. The lag of a shown picture is the time
from when the camera gave that frame to the page to when the page drew its swapped twin.
"""

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from PIL import Image

from simswap import FaceSwapper
from simswap.demo.services.live_sessions import decode_frame, encode_frame
from tests.support.demo.chromium import consent_box, launched, upload
from tests.support.demo.demo_server import at_a_distance, running_demo
from tests.support.demo.fake_camera import (
    HEIGHT,
    READ_NUMBER_JS,
    camera_flags,
    camera_frame,
    write_camera,
)

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


# Medians of what the page itself does with each picture, as webcam_view.js does it.
PAGE_JS = """
async () => {
  const video = document.querySelector(".camera-source");
  const canvas = document.createElement("canvas");
  const [width, height] = [video.videoWidth, video.videoHeight];
  Object.assign(canvas, { width, height });
  const parts = { "capture and JPEG": [], "decode and draw": [] };
  for (let i = 0; i < 40; i++) {
    const start = performance.now();
    canvas.getContext("2d").drawImage(video, 0, 0, width, height);
    const uri = canvas.toDataURL("image/jpeg", 0.85);
    const jpeg = Uint8Array.from(atob(uri.slice(uri.indexOf(",") + 1)), (c) => c.charCodeAt(0));
    const captured = performance.now();
    const decoder = new ImageDecoder({ data: jpeg, type: "image/jpeg" });
    const { image } = await decoder.decode();
    canvas.getContext("2d").drawImage(image, 0, 0);
    canvas.getContext("2d").getImageData(0, 0, 1, 1);
    image.close();
    parts["capture and JPEG"].push(captured - start);
    parts["decode and draw"].push(performance.now() - captured);
  }
  const middle = (times) => times.sort((a, b) => a - b)[Math.floor(times.length / 2)];
  return Object.fromEntries(Object.entries(parts).map(([name, times]) => [name, middle(times)]));
}
"""


def server_parts(portrait: np.ndarray) -> dict[str, float]:
    """Medians, in ms, of what the server does with each picture; measured in this process."""
    swapper = FaceSwapper.from_pretrained()
    swapper.warm_up()
    picture = np.array(Image.fromarray(portrait).resize((HEIGHT, HEIGHT)))
    frames = [camera_frame(picture, number, NUM_FRAMES) for number in range(NUM_FRAMES)]
    frame, jpeg = frames[0], encode_frame(frames[0], b"")
    results = swapper.swap_live(itertools.cycle(frames), swapper.identity_of(portrait))
    steps = {
        "decode": lambda: decode_frame(jpeg),
        "swap": lambda: next(results),
        "encode": lambda: encode_frame(frame, b""),
    }
    return {name: _median_ms(step) for name, step in steps.items()}


def _median_ms(step: Callable[[], object], times: int = 40) -> float:
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        step()
        taken.append(1000 * (time.perf_counter() - started))
    return round(float(np.median(taken)), 1)


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
        "page_ms": {name: round(ms, 1) for name, ms in page.evaluate(PAGE_JS).items()},
    }


def main() -> None:
    """Measure both ways, and the start-up; a line of JSON for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20, help="watched of each way")
    parser.add_argument("--away", type=int, default=0, help="ms of a way there and back, besides")
    given = parser.parse_args()
    seconds = given.seconds
    portrait = np.array(Image.open(EXAMPLES / "astronaut.jpg").convert("RGB"))
    print(json.dumps({"way": "server's steps", "ms": server_parts(portrait)}), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        camera = write_camera(Path(folder) / "camera.y4m", portrait, NUM_FRAMES)
        started = time.perf_counter()
        with ExitStack() as stack:
            url = stack.enter_context(running_demo(Path(folder)))
            if given.away:
                url = stack.enter_context(at_a_distance(url, given.away / 2000))
            start = {"way": "server start-up", "s": round(time.perf_counter() - started, 1)}
            print(json.dumps(start), flush=True)
            for with_socket in (True, False):
                with launched(camera_flags(camera)) as browser:
                    page = browser.new_page(viewport={"width": 1280, "height": 900})
                    report = measure(page, url, with_socket=with_socket, seconds=seconds)
                    print(json.dumps(report), flush=True)


if __name__ == "__main__":
    sys.exit(main())
